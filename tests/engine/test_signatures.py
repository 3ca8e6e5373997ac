"""What may be a job's function, and how it is called."""

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.engine.replica import run_once

from schedcore import RunContext

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


class Callables:
    """Things other than functions that may be jobs."""

    def method(self, run: RunContext) -> None:
        run.progress(note="method")

    def __call__(self, *, optional: int = 1) -> None: ...

    async def coroutine(self, one: RunContext, other: int = 2) -> None:
        one.progress(note="coroutine")


class AsyncCallable:
    async def __call__(self, run: object) -> None:
        assert isinstance(run, RunContext)


def bound(prefix: str, run: RunContext) -> None:
    run.progress(note=prefix)


def optional(number: int = 1) -> None:
    assert number == 1


def optional_run(run: RunContext | None = None) -> None:
    assert run is not None


def quoted(run: "RunContext") -> None:
    assert isinstance(run, RunContext)


def any_arguments(*arguments: object, **named: object) -> None:
    assert (arguments, named) == ((), {})


async def bound_coroutine(prefix: str) -> None:
    await asyncio.sleep(0)


FUNCTIONS: list[Callable[..., Any]] = [
    Callables().method,
    Callables(),
    Callables().coroutine,
    AsyncCallable(),
    partial(bound, "bound"),
    partial(bound_coroutine, "x"),
    optional,
    optional_run,
    quoted,
    any_arguments,
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: getattr(f, "__name__", type(f).__name__))
def test_what_may_be_a_job(function: Callable[..., Any]) -> None:
    """Methods, objects, partials and functions with defaults are called as they want to be."""
    assert run_once(function) == "succeeded"

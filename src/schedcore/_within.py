"""Has a framework's context around each run of a job's function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import wraps
from typing import Any

from schedcore._functions import is_coroutine_function


def within(
    function: Callable[..., Any],
    context: Callable[[], AbstractContextManager[Any]],
    async_context: Callable[[], AbstractAsyncContextManager[Any]],
) -> Callable[..., Any]:
    """Return a function that calls `function` within a new context each time, and looks like it."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return function  # it is refused where the job is made, by its own name
    if is_coroutine_function(function):

        @wraps(function)
        async def coroutine(*args: Any) -> Any:
            async with async_context():
                return await function(*args)

        return coroutine

    @wraps(function)
    def plain(*args: Any) -> Any:
        with context():
            return function(*args)

    return plain

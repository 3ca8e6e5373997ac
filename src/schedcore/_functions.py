"""What a job's function is: a coroutine or plain, whether it takes the run's context, its name and place."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from types import CodeType
from typing import get_args

from schedcore.context import RunContext
from schedcore.errors import ConfigurationError


def inspected(name: str, function: object) -> tuple[bool, bool]:
    if not callable(function):
        raise ConfigurationError(f"job {name!r}: {function!r} is no function")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(
            f"job {name!r}: {function!r} is a generator: calling it would run nothing of it"
        )
    try:
        return _inspected(function)
    except ValueError as exc:
        raise ConfigurationError(f"job {name!r}: {exc}") from None
    except TypeError:  # not hashable, so not cacheable
        return _inspected.__wrapped__(function)


@lru_cache(maxsize=1024)
def _inspected(function: Callable[..., object]) -> tuple[bool, bool]:
    return is_coroutine_function(function), _wants_context(function)


def is_coroutine_function(function: object) -> bool:
    """Tell whether calling it makes a coroutine: itself, what a partial binds, or an object's `__call__`."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  an object whose __call__ is a coroutine function
    )


def _wants_context(function: Callable[..., object]) -> bool:
    """Tell whether the function takes the run's context; any other required parameter is refused."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature takes what it likes
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [
        p
        for p in parameters
        if p.default is p.empty
        and p.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    if len(required) == 1 and required[0].kind in positional:
        return True
    if required:
        names = ", ".join(p.name for p in required)
        raise ValueError(
            f"its function requires {names}; a job's function is given one positional argument at most, "
            "the run's context: bind the others with functools.partial"
        )
    return any(p.kind in positional and _is_context(p.annotation) for p in list(parameters)[:1])


def _is_context(annotation: object) -> bool:
    return (
        annotation is RunContext
        or RunContext in get_args(annotation)
        or (isinstance(annotation, str) and annotation.rpartition(".")[2].strip("'\" |None") == "RunContext")
    )


def name_of(function: object) -> str:
    """Return the name under which a decorated function becomes a job.

    Raises:
        ConfigurationError: it has none of its own.
    """
    name = getattr(function, "__name__", None)
    if not isinstance(name, str) or name == "<lambda>":
        raise ConfigurationError(f"{function!r} has no name of its own: pass name=...")
    return name


def place_of(function: object) -> str:
    """Tell file and line of a function, for messages."""
    while (inner := getattr(function, "func", None) or getattr(function, "__wrapped__", None)) is not None:
        function = inner
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(function)
    return _place(code, getattr(function, "__module__", ""))


@lru_cache(maxsize=1024)
def _place(code: CodeType, module_name: str) -> str:
    module = sys.modules.get(module_name)
    where = getattr(module, "__file__", None) or code.co_filename
    return f"{where}:{code.co_firstlineno}"

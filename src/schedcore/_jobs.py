"""Jobs as users declare them: a name, a schedule, a function and its options, checked at once."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeAlias, TypedDict, get_args

import attrs

from schedcore._answers import RunInfo
from schedcore._functions import inspected
from schedcore._state import CatchUp, DeliveryMode, OnDoubt, Options, Overlap, Spec, interned
from schedcore._units import AN_INSTANT, Seconds, to_micros
from schedcore.errors import ConfigurationError, did_you_mean
from schedcore.schedules import Schedule, parse_schedule
from schedcore.values import Micros, Status

JobFunction: TypeAlias = Callable[..., Awaitable[object] | object]

Hook: TypeAlias = Callable[[RunInfo], Awaitable[object] | object]
"""A function that is told a line of history."""

HOOKS: Mapping[str, tuple[Status, ...]] = {
    "on_success": (Status.SUCCEEDED,),
    "on_failure": (Status.FAILED, Status.TIMED_OUT),
    "on_missed": (Status.MISSED,),
    "on_dead": (Status.DEAD, Status.LOST),
}
"""Which lines each hook is told."""

NAME = re.compile(r"[A-Za-z0-9._:/-]{1,200}")


class JobOptions(TypedDict, total=False):
    """Everything that a job may be given beside its name, schedule and function."""

    tz: str
    jitter: Seconds
    start_at: datetime | None
    until: datetime | None
    enabled: bool
    overlap: Overlap
    catch_up: CatchUp
    catch_up_within: Seconds | None
    max_catch_up: int
    grace: Seconds
    delivery: DeliveryMode
    retries: int
    retry_on: type[BaseException] | tuple[type[BaseException], ...]
    timeout: Seconds | None
    on_doubt: OnDoubt
    history: int
    history_days: float
    traceback: bool
    on_success: Hook | None
    on_failure: Hook | None
    on_missed: Hook | None
    on_dead: Hook | None


@attrs.frozen(eq=False)
class Job:
    """A declared job: what is shared with other replicas is its `spec`, the rest is this process's own."""

    name: str
    spec: Spec
    function: JobFunction
    is_coroutine: bool
    wants_context: bool
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    declared_in: str = ""
    hooks: Mapping[str, Hook] = {}


def check_name(kind: str, name: object) -> str:
    """Return an app's or a job's name, if it is one.

    Raises:
        ConfigurationError: it is not 1 to 200 letters, digits, or one of `. _ - : /`.
    """
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"{name!r} cannot be the name of {kind}: use 1 to 200 ASCII letters, digits and . _ - : /"
        )
    return name


def check_number(option: str, value: object) -> None:
    """Refuse what is no positive whole number.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{option} must be a whole number of at least 1, not {value!r}")


def make_job(
    name: str,
    schedule: str | datetime | Schedule,
    function: JobFunction,
    options: JobOptions,
    declared_in: str = "",
) -> Job:
    """Check a declaration and make the job.

    Raises:
        ConfigurationError: the name, the function or an option cannot be used.
        ScheduleError: the schedule cannot be used.
    """
    check_name("a job", name)
    unknown = sorted(set(options) - _KNOWN)
    if unknown:
        raise ConfigurationError(
            f"job {name!r}: unknown option {', '.join(map(repr, unknown))}"
            f"{did_you_mean(unknown[0], _KNOWN)}; there are {', '.join(sorted(_KNOWN))}"
        )
    is_coroutine, wants_context = inspected(name, function)
    retry_on = options.get("retry_on", Exception)
    return Job(
        name,
        _spec(name, schedule, options),
        function,
        is_coroutine,
        wants_context,
        _exceptions(name, retry_on),
        declared_in,
        _hooks(name, options),
    )


def _hooks(name: str, options: JobOptions) -> Mapping[str, Hook]:
    given: Mapping[str, Any] = options
    return {hook: check_hook(f"job {name!r}: {hook}", given[hook]) for hook in HOOKS if given.get(hook)}


def check_hook(whose: str, hook: object) -> Hook:
    """Return a hook, if it is one.

    Raises:
        ConfigurationError: it cannot be called with one argument.
    """
    try:
        inspect.signature(hook).bind(None)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"{whose} must be a function of one argument, the line of history, not {hook!r}"
        ) from None
    assert callable(hook)
    return hook


_ANY_EXCEPTION: tuple[type[BaseException], ...] = (Exception,)
_KNOWN = frozenset(JobOptions.__annotations__)
_SHARED_DEFAULT = Options()


def _spec(name: str, schedule: str | datetime | Schedule, options: JobOptions) -> Spec:
    tz = options.get("tz", "UTC")
    if isinstance(schedule, Schedule):
        tz = options.get("tz", schedule.tz)
        schedule = schedule.expression
    parsed = parse_schedule(schedule, tz=tz, key=name)
    # only H needs the job's name; without it, equal schedules of all jobs are one object
    key = name if parsed.hashed else ""
    jitter = _micros(name, "jitter", options.get("jitter", 0))
    gap = parsed.shortest_gap()
    if gap is not None and jitter and jitter >= gap / timedelta(microseconds=1):
        raise ConfigurationError(
            f"job {name!r}: jitter must be below the shortest distance of its times, {gap}"
        )
    spec = Spec(
        parsed.expression,
        parsed.tz,
        key,
        _constant_share(name, jitter),
        _instant(name, "start_at", options.get("start_at")),
        _instant(name, "until", options.get("until")),
        _flag(name, "enabled", options.get("enabled", True)),
        _options(name, options),
    )
    shared: Spec = interned(spec)
    return shared


def _constant_share(name: str, jitter: Micros) -> Micros:
    """Choose a job's place within its jitter: the same on every replica, different for every name."""
    if not jitter:
        return 0
    from hashlib import blake2b

    return int.from_bytes(blake2b(f"jitter:{name}".encode(), digest_size=8).digest()) * jitter >> 64


def _options(name: str, given: JobOptions) -> Options:
    shared = {key: value for key, value in given.items() if key in _OPTION_CHECKS}
    if not shared:
        return _SHARED_DEFAULT
    values = {key: _OPTION_CHECKS[key](name, key, value) for key, value in shared.items()}
    options = Options(**values)
    if options.delivery == "at_most_once" and options.retries:
        raise ConfigurationError(
            f"job {name!r}: retries={options.retries} contradicts delivery='at_most_once'; choose one of them"
        )
    shared_options: Options = interned(options)
    return shared_options


def _micros(name: str, option: str, value: object, *, least: float = 0) -> Micros:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not least <= seconds < 1e10:
        raise ConfigurationError(
            f"job {name!r}: {option} must be seconds or a timedelta, at least {least:g}, not {value!r}"
        )
    return round(seconds * 1_000_000)


def _maybe_micros(name: str, option: str, value: object) -> Micros | None:
    return None if value is None else _micros(name, option, value, least=0.001)


def _whole(name: str, option: str, value: object, *, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(
            f"job {name!r}: {option} must be a whole number from {least} to {most}, not {value!r}"
        )
    return value


def _one_of(name: str, option: str, value: object, *, valid: tuple[str, ...]) -> str:
    if value not in valid:
        raise ConfigurationError(f"job {name!r}: {option} must be one of {', '.join(valid)}, not {value!r}")
    return str(value)


def _flag(name: str, option: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"job {name!r}: {option} must be True or False, not {value!r}")
    return value


def _days(name: str, option: str, value: object) -> float:
    days = value / timedelta(days=1) if isinstance(value, timedelta) else value
    if isinstance(days, bool) or not isinstance(days, (int, float)) or not 0.001 <= days < 1e6:
        raise ConfigurationError(
            f"job {name!r}: {option} must be days or a timedelta, at least 0.001 days, not {value!r}"
        )
    return float(days)


_OPTION_CHECKS: dict[str, Callable[[str, str, Any], Any]] = {
    "overlap": partial(_one_of, valid=get_args(Overlap)),
    "catch_up": partial(_one_of, valid=get_args(CatchUp)),
    "catch_up_within": _maybe_micros,
    "max_catch_up": partial(_whole, least=1, most=1000),
    "grace": _micros,
    "delivery": partial(_one_of, valid=get_args(DeliveryMode)),
    "retries": partial(_whole, least=0, most=1000),
    "timeout": _maybe_micros,
    "on_doubt": partial(_one_of, valid=get_args(OnDoubt)),
    "history": partial(_whole, least=1, most=100_000),
    "history_days": _days,
    "traceback": _flag,
}


def _instant(name: str, option: str, value: object) -> Micros | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise ConfigurationError(
            f"job {name!r}: {option} must be an aware datetime, not {value!r} ({AN_INSTANT})"
        )
    return to_micros(value)


def _exceptions(name: str, value: object) -> tuple[type[BaseException], ...]:
    if value is Exception:
        return _ANY_EXCEPTION
    types = value if isinstance(value, tuple) else (value,)
    if not types or not all(isinstance(t, type) and issubclass(t, BaseException) for t in types):
        raise ConfigurationError(
            f"job {name!r}: retry_on must be one or several exception types, not {value!r}"
        )
    return types

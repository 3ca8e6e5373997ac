"""What users give and get, lengths of time and instants, to and from whole microseconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeAlias

from schedcore.errors import ConfigurationError, ScheduleError
from schedcore.values import Micros

NO_INSTANT = "an instant is an aware datetime"
AN_INSTANT = "write e.g. datetime.now(UTC) or datetime(2026, 12, 24, 18, tzinfo=ZoneInfo('Europe/Berlin'))"

Seconds: TypeAlias = float | timedelta
"""A length of time, as seconds or as a `timedelta`."""


def seconds(option: str, value: object) -> float:
    """Convert a length of time that is no job's option.

    Raises:
        ConfigurationError: it is none.
    """
    length = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(length, bool) or not isinstance(length, (int, float)) or not 0 <= length < 1e10:
        raise ConfigurationError(f"{option} must be seconds or a timedelta, not {value!r}")
    return float(length)


def to_micros(when: object, option: str = "time") -> Micros:
    """Convert an aware datetime, which a user gave as `option`.

    Raises:
        ScheduleError: it is none, or has no time zone.
    """
    if not isinstance(when, datetime) or when.utcoffset() is None:
        raise ScheduleError(when, NO_INSTANT, kind=option, remedy=AN_INSTANT)
    return (when - _EPOCH) // _MICROSECOND


def to_datetime(micros: Micros) -> datetime:
    """Convert to an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)

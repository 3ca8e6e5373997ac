"""What users give and get, lengths of time and instants, to and from whole microseconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeAlias

from schedcore.errors import ConfigurationError, ScheduleError
from schedcore.values import Micros

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


def to_micros(when: datetime) -> Micros:
    """Convert an aware datetime.

    Raises:
        ScheduleError: it has no time zone.
    """
    if when.tzinfo is None:
        raise ScheduleError(
            when, "it has no time zone", remedy="use an aware datetime, such as in datetime.UTC"
        )
    return (when - _EPOCH) // _MICROSECOND


def to_datetime(micros: Micros) -> datetime:
    """Convert to an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)

"""Durations as Go writes them: 1h30m, 1.5s, 250ms."""

from __future__ import annotations

import re
from datetime import timedelta

from schedcore.errors import ScheduleError

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # micro sign
    "\u03bcs": 1_000,  # Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_LONGEST = (1 << 63) - 1  # nanoseconds, Go's own limit: 292 years
_PART = r"([0-9]*)(?:\.([0-9]*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)"
_PARTS = re.compile(_PART)
_WHOLE = re.compile(rf"\+?(?:{_PART})+")
_REMEDY = "write e.g. 90s, 1h30m or 250ms; the units are h, m, s, ms, us and ns"


def parse_duration(text: str) -> timedelta:
    """Parse a duration in Go's syntax (`time.ParseDuration`), zero or positive, in whole microseconds.

    Raises:
        ScheduleError: it is no such duration.
    """
    if not isinstance(text, str):
        raise ScheduleError(text, f"a duration is text, not {type(text).__name__}", remedy=_REMEDY)
    if text in ("0", "+0"):
        return timedelta()
    if len(text) > 100 or _WHOLE.fullmatch(text) is None:
        raise ScheduleError(text, "not a duration", remedy=_REMEDY)
    total = 0
    for whole, fraction, unit in _PARTS.findall(text):
        if not whole and not fraction:
            raise ScheduleError(text, f"the unit {unit!r} has no number", remedy=_REMEDY)
        total += _part(text, whole, fraction, _NANOSECONDS[unit])
    if total > _LONGEST:
        raise ScheduleError(text, "longer than 292 years", remedy="use a one-off time")
    if total % 1_000:
        raise ScheduleError(text, "not a whole number of microseconds", remedy="round it")
    return timedelta(microseconds=total // 1_000)


def _part(text: str, whole: str, fraction: str, unit: int) -> int:
    number, rest = divmod(int(whole + fraction) * unit, int(10 ** len(fraction)))
    if rest:
        raise ScheduleError(text, "not a whole number of nanoseconds", remedy="round it")
    return number

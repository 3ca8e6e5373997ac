"""Which days a cron line means: day of month, month and day of week, as bit masks.

The 28 kinds of month (four lengths, seven first weekdays) and the 14 kinds of year repeat for ever, so that
each is worked out once per pattern, and days are found and counted a month or a year at a time. Days are
numbered from 1970-01-01, weekdays from Sunday, 0.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import NamedTuple

_UNIX_ORDINAL = date(1970, 1, 1).toordinal()
MIN_DAY = date.min.toordinal() - _UNIX_ORDINAL
MAX_DAY = date.max.toordinal() - _UNIX_ORDINAL
ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS = 0xFFFFFFFE, 0x1FFE, 0x7F
SUNDAY, SATURDAY = 0, 6

_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY = 1 << 2
_SHORT_MONTHS = 1 << 4 | 1 << 6 | 1 << 9 | 1 << 11
_MONTHS_BY_LENGTH = (
    (31, ALL_MONTHS ^ _SHORT_MONTHS ^ _FEBRUARY),
    (30, _SHORT_MONTHS),
    (29, _FEBRUARY),
    (28, _FEBRUARY),
)
_FIVE_WEEKS = sum(1 << week * 7 for week in range(5))
_REPEATS_AFTER = 28  # years, for all pairs of neighbouring kinds of year
_LONGEST_GAP = 365


class DayRule(NamedTuple):
    """The day fields of a cron line, parsed; bit n of a mask stands for the value n."""

    days: int = ALL_DAYS
    months: int = ALL_MONTHS
    weekdays: int = ALL_WEEKDAYS
    last_day: bool = False
    last_workday: bool = False
    workday_near: int = 0
    nth: tuple[int, ...] = ()  # for each of the five weeks of a month a mask of weekdays
    last: int = 0  # weekdays whose last one in the month is meant
    both: bool = True  # AND instead of OR, by Debian's rule


class DayPattern:
    """The days that a rule means."""

    __slots__ = ("_every", "_months", "_rule", "_years")

    def __init__(self, rule: DayRule) -> None:
        self._rule = rule
        self._months: list[int] = [-1] * 28
        self._years: list[int] = [-1] * 14
        self._every = rule == DayRule(both=rule.both)

    def first_from(self, day: int) -> int | None:
        """Return the first matching day that is not before a day."""
        day = max(day, MIN_DAY)
        if day > MAX_DAY:
            return None
        if self._every:
            return day
        when = _date(day)
        ahead = self._month(when.year, when.month, day - when.day + 1) >> (when.day - 1)
        if ahead:
            return day + (ahead & -ahead).bit_length() - 1
        return self._in_later_month(when.year, when.month, day - when.day + 1)

    def last_to(self, day: int) -> int | None:
        """Return the last matching day that is not after a day."""
        day = min(day, MAX_DAY)
        if day < MIN_DAY:
            return None
        if self._every:
            return day
        when = _date(day)
        first = day - when.day + 1
        past = self._month(when.year, when.month, first) & ((1 << when.day) - 1)
        if past:
            return first + past.bit_length() - 1
        return self._in_earlier_month(when.year, when.month, first)

    def count(self, start: int, end: int) -> int:
        """Count the matching days from one day up to, not including, another."""
        start, end = max(start, MIN_DAY), min(end, MAX_DAY + 1)
        if start >= end:
            return 0
        if self._every:
            return end - start
        first, last = _date(start), _date(end - 1)
        years = sum(
            self._year(_leap(year), _weekday(_new_year(year))) for year in range(first.year, last.year)
        )
        return years + self._of_year(last) - self._of_year(first) + (self.first_from(start) == start)

    def ever(self) -> bool:
        """Tell whether any day matches; within 400 years each month begins on each weekday."""
        months = self._rule.months
        lengths = (length for length, which in _MONTHS_BY_LENGTH if which & months)
        return self._every or any(self._kind(length, first) for length in lengths for first in range(7))

    def shortest_gap(self) -> int:
        """Return the least distance of two matching days, in days, at most a year."""
        if self._every:
            return 1
        day = self.first_from(date(2001, 1, 1).toordinal() - _UNIX_ORDINAL)
        end = date(2002 + _REPEATS_AFTER, 1, 1).toordinal() - _UNIX_ORDINAL
        shortest = _LONGEST_GAP
        while day is not None and day < end and shortest > 1:
            following = self.first_from(day + 1)
            if following is not None:
                shortest = min(shortest, following - day)
            day = following
        return shortest

    def _in_later_month(self, year: int, month: int, first: int) -> int | None:
        months = self._rule.months
        while True:
            first += _length(year, month)
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            if first > MAX_DAY:
                return None
            days = months >> month & 1 and self._kind(_length(year, month), _weekday(first))
            if days:
                return first + (days & -days).bit_length() - 1

    def _in_earlier_month(self, year: int, month: int, first: int) -> int | None:
        months = self._rule.months
        while True:
            year, month = (year, month - 1) if month > 1 else (year - 1, 12)
            if first <= MIN_DAY:
                return None
            first -= _length(year, month)
            days = months >> month & 1 and self._kind(_length(year, month), _weekday(first))
            if days:
                return first + days.bit_length() - 1

    def _of_year(self, when: date) -> int:
        """Count the matching days of a date's year up to and including it."""
        first, total = _new_year(when.year), 0
        for month in range(1, when.month):
            total += self._month(when.year, month, first).bit_count()
            first += _length(when.year, month)
        return total + (self._month(when.year, when.month, first) & ((1 << when.day) - 1)).bit_count()

    def _year(self, leap: bool, first: int) -> int:
        kind = leap * 7 + first
        total = self._years[kind]
        if total < 0:
            total = 0
            for month in range(1, 13):
                length = 29 if leap and month == 2 else _LENGTHS[month]
                total += self._kind(length, first).bit_count() if self._rule.months >> month & 1 else 0
                first = (first + length) % 7
            self._years[kind] = total
        return total

    def _month(self, year: int, month: int, first: int) -> int:
        if not self._rule.months >> month & 1:
            return 0
        return self._kind(_length(year, month), _weekday(first))

    def _kind(self, length: int, first: int) -> int:
        kind = (length - 28) * 7 + first
        days = self._months[kind]
        if days < 0:
            days = self._months[kind] = matching_days(self._rule, length, first)
        return days


@lru_cache(maxsize=1024)
def day_pattern(rule: DayRule) -> DayPattern | None:
    """Return the pattern of a rule, `None` if no day ever matches; equal rules share one."""
    pattern = DayPattern(rule)
    return pattern if pattern.ever() else None


def matching_days(rule: DayRule, length: int, first: int) -> int:
    """Return the days of a month that a rule means, the first as bit 0.

    Args:
        length: days in the month.
        first: weekday of its first day.
    """
    whole = (1 << length) - 1
    by_date = (rule.days >> 1 & whole) | _special_days(rule, length, first)
    by_weekday = _week(rule.weekdays, first) * _FIVE_WEEKS & whole
    for week, weekdays in enumerate(rule.nth):
        by_weekday |= _week(weekdays, first) << week * 7 & whole
    by_weekday |= _week(rule.last, (first + length) % 7) << length - 7
    return by_date & by_weekday if rule.both else by_date | by_weekday


def _special_days(rule: DayRule, length: int, first: int) -> int:
    days = 0
    if rule.last_day:
        days |= 1 << length - 1
    if rule.last_workday:
        days |= 1 << _nearest_workday(length, length, first) - 1
    if 0 < rule.workday_near <= length:
        days |= 1 << _nearest_workday(rule.workday_near, length, first) - 1
    return days


def _nearest_workday(day: int, length: int, first: int) -> int:
    weekday = (first + day - 1) % 7
    if weekday == SATURDAY:
        return day - 1 if day > 1 else 3
    if weekday == SUNDAY:
        return day + 1 if day < length else day - 2
    return day


def _week(weekdays: int, first: int) -> int:
    """Turn a mask of weekdays so that bit 0 is the weekday `first`."""
    return (weekdays >> first | weekdays << 7 - first) & ALL_WEEKDAYS


def _date(day: int) -> date:
    return date.fromordinal(day + _UNIX_ORDINAL)


def _length(year: int, month: int) -> int:
    return 29 if month == 2 and _leap(year) else _LENGTHS[month]


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _weekday(day: int) -> int:
    return (day + 4) % 7


def _new_year(year: int) -> int:
    return date(year, 1, 1).toordinal() - _UNIX_ORDINAL

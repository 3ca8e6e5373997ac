"""When a job is due: cron lines, `@every`, aliases and one-off times as immutable values."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from weakref import WeakValueDictionary

import attrs

from schedcore._clocktimes import clock_times
from schedcore._crontimes import CronTimes
from schedcore._days import day_pattern
from schedcore._durations import parse_duration
from schedcore._fields import parse_cron_line
from schedcore._times import MAX_US, MIN_US, SECOND, OneTime, Period, Times
from schedcore._units import AN_INSTANT, NO_INSTANT
from schedcore._zones import EPOCH, Zone, zone_of
from schedcore.errors import ScheduleError

__all__ = ["Schedule", "parse_duration", "parse_schedule"]

_LONGEST = 1_024
_SHORTEST_PERIOD_US = 100_000
_MICROSECOND = timedelta(microseconds=1)
_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_NOT_PLAIN = re.compile("[^\t -~\u00b5\u03bc]")  # microseconds are written with a mu, of which there are two
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
).fullmatch
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?", re.ASCII).fullmatch
_LOOKS_ISO = re.compile(r"\d{4}-", re.ASCII).match
# In a cron line an h that no letter precedes is a hash, or an error; that of "thu" or "march" is neither.
_MAY_HASH = re.compile(r"(?<![a-z])h", re.ASCII | re.IGNORECASE).search


@attrs.frozen(cache_hash=True, repr=False)
class Schedule:
    """When a job is due: an immutable, hashable value; equal text in an equal zone is equal.

    Instants go in as aware datetimes and come out as aware datetimes in UTC, in whole microseconds. The
    methods that end in `_us` take and return whole microseconds since the Unix epoch instead.

    Attributes:
        expression: text from which `parse_schedule` makes an equal schedule again.
        tz: the IANA name of its time zone.
        key: what `H` was hashed on; empty if there is no `H`.
    """

    expression: str
    tz: str
    key: str
    _times: Times = attrs.field(eq=False)

    def __repr__(self) -> str:
        key = f", key={self.key!r}" if self.key else ""
        return f"Schedule({self.expression!r}, tz={self.tz!r}{key})"

    def __reduce__(self) -> tuple[Callable[..., Schedule], tuple[str, str, str]]:
        return _cached, (self.expression, self.tz, self.key)

    @property
    def wild(self) -> bool:
        """Tell whether minute or hour begins with `*`, and the line fires at each real match."""
        return self._times.wild

    @property
    def hashed(self) -> bool:
        """Tell whether the times depend on the key, because there is an `H`."""
        return bool(self.key)

    def next_after(self, when: datetime) -> datetime | None:
        """Return the first scheduled time after an instant.

        Raises:
            ScheduleError: `when` has no time zone.
        """
        return _datetime(self._times.next_us(_micros(when)))

    def last_before(self, when: datetime) -> datetime | None:
        """Return the newest scheduled time strictly before an instant.

        Raises:
            ScheduleError: `when` has no time zone.
        """
        return _datetime(self._times.last_us(_micros(when)))

    def upcoming(self, after: datetime, limit: int) -> list[datetime]:
        """List the first scheduled times after an instant, at most `limit` of them.

        Raises:
            ScheduleError: `after` has no time zone.
        """
        found: list[datetime] = []
        at = self._times.next_us(_micros(after))
        while at is not None and len(found) < limit:
            found.append(EPOCH + timedelta(microseconds=at))
            at = self._times.next_us(at)
        return found

    def count(self, after: datetime, until: datetime, limit: int | None = None) -> int:
        """Count the scheduled times after one instant, up to and including another; never more than `limit`.

        Nothing is walked through: days, months and years are counted by their kind.

        Raises:
            ScheduleError: an instant has no time zone.
        """
        return self._times.count_us(_micros(after), _micros(until), limit)

    def shortest_gap(self) -> timedelta | None:
        """Return a lower bound of the distance of any two scheduled times; `None` for a one-off.

        It is the distance itself but for rare combinations of days. Clocks are taken to change as they do in
        the years 2024 to 2037, and by less than three hours.
        """
        gap = self._times.shortest_gap_us()
        return None if gap is None else timedelta(microseconds=gap)

    def next_after_us(self, us: int) -> int | None:
        """Return the first scheduled time after an instant."""
        return self._times.next_us(us)

    def last_before_us(self, us: int) -> int | None:
        """Return the newest scheduled time strictly before an instant."""
        return self._times.last_us(us)

    def count_us(self, after_us: int, until_us: int, limit: int | None = None) -> int:
        """Count the scheduled times after one instant, up to and including another."""
        return self._times.count_us(after_us, until_us, limit)


def parse_schedule(expression: str | datetime, *, tz: str = "UTC", key: str = "") -> Schedule:
    """Parse a schedule; equal ones are parsed once and are one object.

    Args:
        expression: five cron fields, or six with the seconds first; `@hourly` and its kin; `@every` and a
            duration as Go writes it, counted from the Unix epoch; or one instant, as an aware datetime or in
            ISO 8601.
        tz: the IANA name of the zone in which a cron line, or a one-off time without an offset, is read.
        key: what `H` is hashed on, usually the job's name.

    Raises:
        ScheduleError: it cannot be understood or can never be due; names expression, field and remedy.
    """
    if isinstance(expression, datetime):
        expression = _canonical_instant(expression)
    if not isinstance(expression, str):
        remedy = "pass a cron line, '@every 90s', an ISO 8601 time or an aware datetime"
        raise ScheduleError(expression, f"{type(expression).__name__} is no schedule", remedy=remedy)
    hashed = expression[:1] != "@" and _MAY_HASH(expression) is not None
    return _cached(expression, _text("tz", tz), _text("key", key) if hashed else "")


# Every schedule that is in use is found in the second place, however many there are; the first only saves the
# work of getting there, and bounds what a stream of different expressions can hold on to.
_in_use: WeakValueDictionary[tuple[str, str, str], Schedule] = WeakValueDictionary()


@lru_cache(maxsize=2048)
def _cached(expression: str, tz: str, key: str) -> Schedule:
    text = _plain(expression)
    found = _in_use.get((text, tz, key))
    if found is None:
        parsed = _parsed(text, tz, key)
        found = _in_use.setdefault((parsed.expression, parsed.tz, parsed.key), parsed)
    return found


def _plain(expression: str) -> str:
    if len(expression) > _LONGEST:
        raise ScheduleError(expression, f"longer than {_LONGEST} characters", remedy="write ranges and steps")
    text = expression.strip(" \t\r\n")
    if not text:
        raise ScheduleError(expression, "empty", remedy="write e.g. '*/5 * * * *' or '@hourly'")
    if _NOT_PLAIN.search(text):
        raise ScheduleError(expression, "characters other than printable ASCII", remedy="retype it")
    return " ".join(text.split())


def _parsed(text: str, tz: str, key: str) -> Schedule:
    if _LOOKS_ISO(text):
        return _one_off(text, tz)
    if text[0] == "@":
        return _at_schedule(text, tz)
    return _cron(text, text, tz, key)


def _cron(text: str, line: str, tz: str, key: str) -> Schedule:
    parsed = parse_cron_line(line, key)
    days = day_pattern(parsed.days)
    if days is None:
        remedy = "choose a day that one of its months has"
        raise ScheduleError(text, "no year has such a day", field="day of month", remedy=remedy)
    clock = clock_times(parsed.seconds, parsed.minutes, parsed.hours)
    return Schedule(text, tz, key, CronTimes(days, clock, zone_of(tz), parsed.wild))


def _at_schedule(text: str, tz: str) -> Schedule:
    word, _, duration = text.partition(" ")
    word = word.lower()
    if word == "@every":
        return _every(text, duration, tz)
    if word in _ALIASES and not duration:
        return _cron(text, _ALIASES[word], tz, "")
    if word == "@reboot":
        raise ScheduleError(
            text, "@reboot is not supported", remedy="call the function when the program starts"
        )
    if word in _ALIASES:
        raise ScheduleError(text, f"nothing may follow {word}", remedy=f"write {word}")
    raise ScheduleError(text, "no such alias", remedy=f"write one of {', '.join(_ALIASES)} or @every 90s")


def _every(text: str, duration: str, tz: str) -> Schedule:
    try:
        period = parse_duration(duration) // _MICROSECOND
    except ScheduleError as error:
        raise ScheduleError(text, error.problem, field="duration", remedy=error.remedy) from None
    if period < _SHORTEST_PERIOD_US:
        raise ScheduleError(
            text, "shorter than 100 ms", field="duration", remedy="write @every 100ms or more"
        )
    return Schedule(text, zone_of(tz).name, "", Period(period))


def _one_off(text: str, tz: str) -> Schedule:
    zone = zone_of(tz)
    parts = _ISO(text)
    try:
        if parts is None:
            raise ValueError
        when = datetime.fromisoformat(f"{parts[1]}T{parts[2]}{(parts[3] or '+00:00').upper()}")
        at = _micros(when)
    except (ValueError, OverflowError):
        problem = "a date without a time of day" if _DATE(text) else "no time in ISO 8601"
        remedy = "write e.g. 2026-12-24T18:00:00+01:00, or 2026-12-24T18:00 for the clocks of tz="
        raise ScheduleError(text, problem, remedy=remedy) from None
    if parts[3] is None:
        at = _first_shown(zone, at)
    return Schedule(_iso(at, text), tz, "", OneTime(at))


def _first_shown(zone: Zone, wall: int) -> int:
    """Return when a wall clock first shows a time, or when the gap ends that swallows it."""
    second, fraction = divmod(wall, SECOND)
    at = zone.instant_of(second)
    swallowed = zone.instant_of(second + 1) == at
    return at * SECOND + (0 if swallowed else fraction)


def _canonical_instant(when: datetime) -> str:
    if when.utcoffset() is None:
        remedy = "give it a tzinfo, or write it as text, which is read in tz="
        raise ScheduleError(when, "a datetime without a time zone", remedy=remedy)
    return _iso(_micros(when), when)


def _iso(at: int, given: object) -> str:
    if not MIN_US <= at <= MAX_US:
        raise ScheduleError(given, "beyond the years 1 to 9999, UTC", remedy="choose a nearer time")
    return (EPOCH + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")


def _text(option: str, value: object) -> str:
    if not isinstance(value, str):
        remedy = "pass a name, such as 'Europe/Berlin'" if option == "tz" else "pass a string"
        problem = f"{type(value).__name__} is no text"
        raise ScheduleError(value, problem, kind=option, field=option, remedy=remedy)
    return value


def _micros(when: object) -> int:
    if not isinstance(when, datetime) or when.utcoffset() is None:
        raise ScheduleError(when, NO_INSTANT, kind="time", remedy=AN_INSTANT)
    return (when - EPOCH) // _MICROSECOND


def _datetime(us: int | None) -> datetime | None:
    return None if us is None else EPOCH + timedelta(microseconds=us)

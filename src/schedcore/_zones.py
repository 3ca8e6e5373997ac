"""Time zones as stretches of constant UTC offset, found by asking `zoneinfo`."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import NamedTuple

from schedcore.errors import ScheduleError

_KIND = "time zone"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400
MIN_SECOND = (datetime.min.replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
MAX_SECOND = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1)

# A jump this long is a clock correction and not daylight saving (Debian's cron).
_CORRECTION = 3 * 3600
# The shortest stretch in any zone lasts 3.99 days (Africa/Freetown, 1939); modern ones last a week and more.
_PROBE = 2 * DAY
# From then on only yearly rules apply, and those of Ramadan until they end, too.
_RULES_ONLY, _RULES_PROBE = 4_102_444_800, 16 * DAY
_WINDOW_BITS = 25  # 388 days: what one look-up probes and keeps
_WINDOWS_KEPT = 128
_TELLING_YEARS = 1_704_067_200, 2_145_916_800  # 2024 to 2037, what is due now and soon
# These name the host's zone, or none; everything else that is refused has no place in the database's list.
_HOST_ZONES = frozenset({"localtime", "posixrules", "Factory"})
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", re.ASCII)


class Stretch(NamedTuple):
    """An interval of instants with one UTC offset; all in whole seconds, instants since the Unix epoch."""

    start: int
    end: int
    offset: int
    before: int  # the offset just before the start; equal to offset where nothing changes

    @property
    def fresh(self) -> int:
        """Return the first wall-clock second of the stretch that no earlier instant has shown."""
        return self.start + max(self.offset, self.before)

    @property
    def skipped(self) -> bool:
        """Tell whether wall-clock times are missing before the stretch, by daylight saving."""
        return 0 < self.offset - self.before < _CORRECTION


class Zone:
    """A time zone of the IANA database."""

    def __init__(self, name: str, info: tzinfo) -> None:
        self.name = name
        self._info = info
        self._windows: dict[int, tuple[Stretch, ...]] = {}
        self._recent = Stretch(1, 0, 0, 0)
        self._shifts: frozenset[tuple[int, int]] | None = None

    def __repr__(self) -> str:
        return f"Zone({self.name!r})"

    def stretch_at(self, second: int) -> Stretch:
        """Return the stretch that an instant lies in, cut where a window of the cache begins or ends."""
        recent = self._recent
        if recent[0] <= second < recent[1]:
            return recent
        stretches = self._window(second >> _WINDOW_BITS)
        found = stretches[bisect_right(stretches, second, key=lambda each: each.start) - 1]
        self._recent = found
        return found

    def instant_of(self, wall: int) -> int:
        """Return when a wall clock first shows a time; for one that is skipped, when the gap ends.

        Args:
            wall: seconds since 1970-01-01T00:00:00 on that clock.
        """
        stretch = self.stretch_at(max(wall - DAY, MIN_SECOND))
        while wall >= stretch.end + stretch.offset and stretch.end <= MAX_SECOND:
            stretch = self.stretch_at(stretch.end)
        return max(wall - stretch.offset, stretch.start)

    def shifts(self) -> frozenset[tuple[int, int]]:
        """Return when clocks are put forward and back, as time of day, and by how much, in seconds.

        Midnight is the end of a day here, 86,400. The years 2024 to 2037 tell; corrections are left out.
        """
        if self._shifts is None:
            self._shifts = frozenset(
                ((each.start + each.before - 1) % DAY + 1, each.offset - each.before)
                for each in self._changes(*_TELLING_YEARS)
                if each.offset - each.before < _CORRECTION
            )
        return self._shifts

    def _changes(self, second: int, until: int) -> Iterator[Stretch]:
        while second < until:
            stretch = self.stretch_at(second)
            if stretch.offset != stretch.before:
                yield stretch
            second = stretch.end

    def _window(self, index: int) -> tuple[Stretch, ...]:
        found = self._windows.get(index)
        if found is None:
            if len(self._windows) >= _WINDOWS_KEPT:
                self._windows.clear()
            found = self._windows[index] = tuple(self._probe(index))
        return found

    def _probe(self, index: int) -> list[Stretch]:
        start = max(index << _WINDOW_BITS, MIN_SECOND)
        end = min((index + 1) << _WINDOW_BITS, MAX_SECOND + 1)
        before = self._offset_at(start - 1)
        offset = self._offset_at(start)
        probe = _PROBE if start < _RULES_ONLY else _RULES_PROBE
        stretches = []
        at = start
        while at < end:
            ahead = min(at + probe, end)
            if self._offset_at(ahead - 1) != offset:
                change = self._change_between(at - 1, ahead - 1, offset)
                stretches.append(Stretch(start, change, offset, before))
                start, before, offset = change, offset, self._offset_at(change)
                ahead = change
            at = ahead
        stretches.append(Stretch(start, end, offset, before))
        return stretches

    def _change_between(self, same: int, other: int, offset: int) -> int:
        while other - same > 1:
            middle = (same + other) // 2
            if self._offset_at(middle) == offset:
                same = middle
            else:
                other = middle
        return other

    def _offset_at(self, second: int) -> int:
        # Within two days of year 1 or 9999 the local time may be no datetime at all.
        second = min(max(second, MIN_SECOND + 2 * DAY), MAX_SECOND - 2 * DAY)
        local = (EPOCH + timedelta(seconds=second)).astimezone(self._info)
        return (local.utcoffset() or timedelta()) // timedelta(seconds=1)


class _Utc(Zone):
    """The one zone that needs no looking up."""

    _ALWAYS = Stretch(MIN_SECOND, MAX_SECOND + 1, 0, 0)

    def stretch_at(self, second: int) -> Stretch:
        return self._ALWAYS


def zone_of(name: str) -> Zone:
    """Return the zone of an IANA name.

    Raises:
        ScheduleError: the name is not in the database; the nearest that are come with it.
    """
    if name in _HOST_ZONES:
        remedy = "name the zone, e.g. 'UTC' or 'Europe/Berlin'"
        raise ScheduleError(name, "it depends on the host", kind=_KIND, field="tz", remedy=remedy)
    if name in _names() or (_ZONE_NAME.fullmatch(name) and name in _installed()):
        return _load(name)
    problem = "there is none of this name in the IANA database"
    raise ScheduleError(name, problem, kind=_KIND, field="tz", remedy=_near(name))


@cache
def _load(name: str) -> Zone:
    if name == "UTC":
        return _Utc(name, UTC)
    from zoneinfo import ZoneInfo  # 15 ms, and many an app has no zone but UTC

    return Zone(name, ZoneInfo(name))


@cache
def _names() -> frozenset[str]:
    # Reading the list takes a millisecond, walking the host's directories a hundred. The list is also what
    # makes 'europe/berlin' fail on file systems that do not tell cases apart.
    from importlib import resources

    try:
        return frozenset(resources.files("tzdata").joinpath("zones").read_text("ascii").split())
    except (ModuleNotFoundError, FileNotFoundError):
        return _installed()


@cache
def _installed() -> frozenset[str]:
    from zoneinfo import available_timezones

    return frozenset(available_timezones())


def _near(name: str) -> str:
    from difflib import get_close_matches

    known = sorted(_names() - _HOST_ZONES)
    folded = {each.casefold().rpartition("/")[2]: each for each in known}
    folded.update({each.casefold(): each for each in known})
    near = {folded[match]: None for match in get_close_matches(name[:60].casefold(), folded, n=3)}
    return f"did you mean {', '.join(near)}?" if near else "write e.g. 'UTC' or 'Europe/Berlin'"

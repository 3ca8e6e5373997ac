"""The times of a cron line in a time zone."""

from __future__ import annotations

from functools import lru_cache

import attrs

from schedcore._clocktimes import NEVER, ClockTimes
from schedcore._days import DayPattern
from schedcore._times import MAX_US, SECOND
from schedcore._zones import DAY, MAX_SECOND, MIN_SECOND, Stretch, Zone

# No clock is as far from UTC, so what no wall clock shows for longer can be leapt over.
_BEYOND_OFFSETS = 2 * DAY
# No clock was ever put back further (Juneau, 1867, when Alaska changed hands).
_FURTHEST_SHIFT = DAY


@attrs.frozen
class CronTimes:
    """The instants at which a wall clock shows a match.

    Wall-clock times are counted like instants, in seconds since 1970-01-01T00:00:00 on that clock: within a
    stretch of constant UTC offset the two differ by a constant, so that matching never meets a time zone.

    Daylight saving follows Debian's cron: a *wild* line fires at each real match; a *fixed* one once for each
    wall-clock time, and those that a gap swallows fire together at the first instant after the gap.
    """

    days: DayPattern
    times: ClockTimes
    zone: Zone
    wild: bool

    def next_us(self, us: int) -> int | None:
        """Return the first time after an instant."""
        second = max(us // SECOND + 1, MIN_SECOND)
        while second <= MAX_SECOND:
            stretch = self.zone.stretch_at(second)
            found = self._fires_from(stretch, second)
            end = stretch[1]
            if found is not None and found < end:
                return found * SECOND
            if end - second < _FURTHEST_SHIFT:
                second = end  # which may be a fold, that shows again what lies before this search
            elif found is None:
                return None
            else:
                second = max(end, found - _BEYOND_OFFSETS)
        return None

    def last_us(self, us: int) -> int | None:
        """Return the last time before an instant."""
        second = min(-(-us // SECOND), MAX_SECOND + 1)
        while second > MIN_SECOND:
            stretch = self.zone.stretch_at(second - 1)
            start, _, offset, _ = stretch
            wall = self._last_before(second + offset)
            if wall is not None and wall >= self._opening(stretch):
                return (wall - offset) * SECOND
            if self._fires_for_gap(stretch):
                return start * SECOND
            if second - start < _FURTHEST_SHIFT:
                second = start
            elif wall is None:
                return None
            else:
                second = min(start, wall - offset + _BEYOND_OFFSETS)
        return None

    def count_us(self, after: int, until: int, limit: int | None) -> int:
        """Count the times after one instant, up to and including another; stop at the limit."""
        second = max(after // SECOND + 1, MIN_SECOND)
        end = min(until, MAX_US) // SECOND + 1
        total = 0
        while second < end and (limit is None or total < limit):
            stretch = self.zone.stretch_at(second)
            if second == stretch[0] and self._fires_for_gap(stretch):
                # A match at the very end of the gap is the same fire.
                total += self._first_from(second + stretch[2]) != second + stretch[2]
            first = max(second + stretch[2], self._opening(stretch))
            total += self._matches(first, min(end, stretch[1]) + stretch[2])
            second = stretch[1]
        return total if limit is None else min(total, max(limit, 0))

    def shortest_gap_us(self) -> int:
        """Return a lower bound of the distance of two times, clock corrections of three hours aside."""
        return _shortest_gap(self) * SECOND

    def _fires_from(self, stretch: Stretch, second: int) -> int | None:
        start, _, offset, before = stretch
        wall = second + offset
        if offset != before and not self.wild:
            if second == start and self._fires_for_gap(stretch):
                return start
            wall = max(wall, stretch.fresh)
        found = self._first_from(wall)
        return None if found is None else found - offset

    def _opening(self, stretch: Stretch) -> int:
        """Return the wall-clock time from which a stretch counts."""
        return stretch[0] + stretch[2] if self.wild else stretch.fresh

    def _fires_for_gap(self, stretch: Stretch) -> bool:
        if self.wild or not stretch.skipped:
            return False
        wall = self._first_from(stretch.start + stretch.before)
        return wall is not None and wall < stretch.start + stretch.offset

    def _first_from(self, wall: int) -> int | None:
        day, time = divmod(wall, DAY)
        found = self.days.first_from(day)
        if found == day:
            match = self.times.first_from(time)
            if match is not None:
                return day * DAY + match
            found = self.days.first_from(day + 1)
        return None if found is None else found * DAY + self.times.first

    def _last_before(self, wall: int) -> int | None:
        day, time = divmod(wall - 1, DAY)
        found = self.days.last_to(day)
        if found == day:
            match = self.times.last_to(time)
            if match is not None:
                return day * DAY + match
            found = self.days.last_to(day - 1)
        return None if found is None else found * DAY + self.times.last

    def _matches(self, first: int, end: int) -> int:
        """Count the matches from one wall-clock time up to, not including, another."""
        if first >= end:
            return 0
        day, time = divmod(first, DAY)
        last_day, last_time = divmod(end, DAY)
        total = self.days.count(day, last_day) * self.times.number
        if self.days.first_from(last_day) == last_day:
            total += self.times.before(last_time)
        if self.days.first_from(day) == day:
            total -= self.times.before(time)
        return total


@lru_cache(maxsize=1024)
def _shortest_gap(cron: CronTimes) -> int:
    days = cron.days.shortest_gap()
    overnight = days * DAY - cron.times.last + cron.times.first
    shifts = cron.zone.shifts()
    if days > 1 and shifts:
        overnight -= max(abs(shift) for _, shift in shifts)
    around = (_gap_around(cron, clock, shift, wrap=days == 1) for clock, shift in shifts)
    within = cron.times.shortest_gap() if cron.times.number > 1 else overnight
    return max(min(within, overnight, *around), 1)


def _gap_around(cron: CronTimes, clock: int, shift: int, *, wrap: bool) -> int:
    """Return the least distance of two times between which a clock is put forward or back."""
    back = cron.times.back(clock, wrap=wrap)
    ahead = cron.times.ahead(clock + shift, wrap=wrap)
    if shift < 0 or cron.wild:
        return back + ahead if cron.wild else NEVER
    swallowed = cron.times.ahead(clock % DAY, wrap=True) < shift
    return min(back, ahead or NEVER) if swallowed else back + ahead

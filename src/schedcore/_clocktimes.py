"""The times of day of a cron line."""

from __future__ import annotations

from functools import lru_cache

import attrs

DAY = 86_400
NEVER = 366 * DAY


@attrs.frozen
class ClockTimes:
    """The times of day of a cron line, as masks in which bit n stands for the value n."""

    seconds: int
    minutes: int
    hours: int
    first: int
    last: int
    number: int

    def first_from(self, time: int) -> int | None:
        """Return the first match that is not before a time of day."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1:
                ahead = self.seconds >> second
                if ahead:
                    return time + _lowest(ahead)
            ahead = self.minutes >> minute + 1
            if ahead:
                return hour * 3600 + (minute + 1 + _lowest(ahead)) * 60 + _lowest(self.seconds)
        ahead = self.hours >> hour + 1
        if ahead:
            return (hour + 1 + _lowest(ahead)) * 3600 + self.first % 3600
        return None

    def last_to(self, time: int) -> int | None:
        """Return the last match that is not after a time of day."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1:
                past = self.seconds & (2 << second) - 1
                if past:
                    return time - second + _highest(past)
            past = self.minutes & (1 << minute) - 1
            if past:
                return hour * 3600 + _highest(past) * 60 + _highest(self.seconds)
        past = self.hours & (1 << hour) - 1
        if past:
            return _highest(past) * 3600 + self.last % 3600
        return None

    def before(self, time: int) -> int:
        """Count the matches before a time of day."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        per_minute = self.seconds.bit_count()
        total = (self.hours & (1 << hour) - 1).bit_count() * self.minutes.bit_count() * per_minute
        if self.hours >> hour & 1:
            total += (self.minutes & (1 << minute) - 1).bit_count() * per_minute
            if self.minutes >> minute & 1:
                total += (self.seconds & (1 << second) - 1).bit_count()
        return total

    def ahead(self, time: int, *, wrap: bool) -> int:
        """Return how long it is from a time of day to the first match that is not before it.

        Args:
            time: seconds since midnight.
            wrap: whether tomorrow counts; otherwise it may be `NEVER`.
        """
        found = self.first_from(time % DAY)
        if found is None:
            return DAY - time % DAY + self.first if wrap else NEVER
        return found - time % DAY

    def back(self, time: int, *, wrap: bool) -> int:
        """Return how long it is from the last match before a time of day, 1 to 86,400, until then."""
        found = self.last_to(time - 1)
        if found is None:
            return time + DAY - self.last if wrap else NEVER
        return time - found

    def shortest_gap(self) -> int:
        """Return the least distance of two matches of one day in seconds, a day if there is but one."""
        gaps = [DAY]
        if self.seconds.bit_count() > 1:
            gaps.append(_narrowest(self.seconds))
        if self.minutes.bit_count() > 1:
            gaps.append(_narrowest(self.minutes) * 60 - _spread(self.seconds))
        if self.hours.bit_count() > 1:
            gaps.append(_narrowest(self.hours) * 3600 - _spread(self.minutes) * 60 - _spread(self.seconds))
        return min(gaps)


@lru_cache(maxsize=2048)
def clock_times(seconds: int, minutes: int, hours: int) -> ClockTimes:
    """Return the times of day of three masks; equal ones share one object."""
    first = _lowest(hours) * 3600 + _lowest(minutes) * 60 + _lowest(seconds)
    last = _highest(hours) * 3600 + _highest(minutes) * 60 + _highest(seconds)
    number = hours.bit_count() * minutes.bit_count() * seconds.bit_count()
    return ClockTimes(seconds, minutes, hours, first, last, number)


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _highest(mask: int) -> int:
    return mask.bit_length() - 1


def _spread(mask: int) -> int:
    return _highest(mask) - _lowest(mask)


def _narrowest(mask: int) -> int:
    """Return the least distance of two bits."""
    distance = 1
    while not mask & mask >> distance:
        distance += 1
    return distance

"""What a schedule consists of: a cron line's times, those of `@every`, or a single one."""

from __future__ import annotations

from typing import Protocol

import attrs

from schedcore._zones import MAX_SECOND, MIN_SECOND

SECOND = 1_000_000
MIN_US, MAX_US = MIN_SECOND * SECOND, MAX_SECOND * SECOND + SECOND - 1


class Times(Protocol):
    """An ordered set of instants, in microseconds."""

    @property
    def wild(self) -> bool:
        """Tell whether the line follows the wall clock through daylight saving as it is."""

    def next_us(self, us: int) -> int | None:
        """Return the first time after an instant."""

    def last_us(self, us: int) -> int | None:
        """Return the last time before an instant."""

    def count_us(self, after: int, until: int, limit: int | None) -> int:
        """Count the times after one instant, up to and including another; stop at the limit."""

    def shortest_gap_us(self) -> int | None:
        """Return a lower bound of the distance of two times."""


@attrs.frozen
class OneTime:
    """A single time."""

    at: int
    wild: bool = False

    def next_us(self, us: int) -> int | None:
        return self.at if us < self.at else None

    def last_us(self, us: int) -> int | None:
        return self.at if self.at < us else None

    def count_us(self, after: int, until: int, limit: int | None) -> int:
        return _bounded(int(after < self.at <= until), limit)

    def shortest_gap_us(self) -> int | None:
        return None


@attrs.frozen
class Period:
    """The multiples of a period, counted from the Unix epoch, so that all replicas agree."""

    period: int
    wild: bool = False

    def next_us(self, us: int) -> int | None:
        at = (max(us, MIN_US - 1) // self.period + 1) * self.period
        return at if at <= MAX_US else None

    def last_us(self, us: int) -> int | None:
        at = (min(us, MAX_US + 1) - 1) // self.period * self.period
        return at if at >= MIN_US else None

    def count_us(self, after: int, until: int, limit: int | None) -> int:
        after, until = max(after, MIN_US - 1), min(until, MAX_US)
        return _bounded(until // self.period - after // self.period, limit)

    def shortest_gap_us(self) -> int | None:
        return self.period


def _bounded(number: int, limit: int | None) -> int:
    number = max(number, 0)
    return number if limit is None else min(number, limit)

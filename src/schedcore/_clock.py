"""The store's clock as one replica knows it: its own monotonic clock plus a measured offset."""

from __future__ import annotations

import time
from collections import deque
from typing import Protocol

from schedcore.protocols import Micros

LEASE: Micros = 10_000_000
DOUBT: Micros = LEASE - 1_000_000
"""How long after it was claimed, or last renewed, a delivery is surely still its holder's."""


class Clock(Protocol):
    """What the engine needs of a machine's clocks.

    `rounding` is by how much a sleep may be too long: wake that much earlier, and yield until it is time.
    """

    rounding: Micros

    def monotonic(self) -> Micros:
        """Tell a clock that never steps."""
        ...

    def wall(self) -> Micros:
        """Tell this machine's idea of the time, since the Unix epoch, UTC."""
        ...


class SystemClock:
    """The clocks of this machine; asyncio rounds a sleep up to the next millisecond."""

    rounding: Micros = 1_500

    def monotonic(self) -> Micros:
        """Tell `time.monotonic` in microseconds."""
        return time.monotonic_ns() // 1000

    def wall(self) -> Micros:
        """Tell `time.time` in microseconds."""
        return time.time_ns() // 1000


class StoreClock:
    """Estimates the store's now: of the last eight measurements, the shortest round trip counts."""

    STEP: Micros = 5_000_000

    def __init__(self, clock: Clock) -> None:
        """Start without a measurement: `now` is the machine's own until the first beat."""
        self.clock = clock
        self._samples: deque[tuple[Micros, Micros]] = deque(maxlen=8)
        self._offset = clock.wall() - clock.monotonic()

    def now(self) -> Micros:
        """Tell the store's now, as well as it is known here."""
        return self.clock.monotonic() + self._offset

    def measure(self, sent: Micros, received: Micros, store_now: Micros) -> Micros:
        """Take in one answer (own monotonic clock before and after); by how much the store's clock stepped.

        Half the round trip bounds the error (Cristian, "Probabilistic clock synchronization", 1989).
        """
        trip, offset = received - sent, store_now - (sent + received) // 2
        stepped = offset - self._offset if self._samples else 0
        if abs(stepped) - trip > self.STEP:
            self._samples.clear()
        else:
            stepped = 0
        self._samples.append((trip, offset))
        self._offset = min(self._samples)[1]
        return stepped

    @property
    def offset(self) -> Micros:
        """What is added to the monotonic clock."""
        return self._offset

    @property
    def skew(self) -> Micros:
        """By how much this machine's wall clock is ahead of the store's."""
        return self.clock.wall() - self.now()

"""An event loop in virtual time: when nothing is ready, its clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import math
import selectors
from typing import Any

from schedcore.protocols import Micros

START: Micros = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


class DeadlockError(Exception):
    """Nothing is ready and no timer is set: the loop would wait for ever."""

    def __init__(self) -> None:
        super().__init__(
            "nothing is ready and no timer is set; a virtual loop waits for no thread, socket or other loop"
        )


class _Selector(selectors.SelectSelector):
    """Lets time pass, instead of waiting for files."""

    def __init__(self, start: Micros) -> None:
        super().__init__()
        self.now = start
        self.until: Micros | None = None
        self.loop: asyncio.AbstractEventLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        # Rounded up; where an end was told, not for what is only the error of a float.
        slack = 0.0 if self.until is None else 0.1
        passes = None if timeout is None else max(0, math.ceil(timeout * 1_000_000 - slack))
        if self.until is not None and (passes is None or self.now + passes > self.until):
            self.now = self.until
            self.loop.stop()
        elif passes is None:
            raise DeadlockError
        else:
            self.now += passes
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time is `now_us`, and which never waits."""

    def __init__(self, start: Micros = START) -> None:
        """Begin at `start`."""
        self._start = start
        self._virtual = _Selector(start)
        super().__init__(self._virtual)
        self._virtual.loop = self
        self._clock_resolution = 1e-6  # a timer is ready once it is less than this ahead

    def time(self) -> float:
        """Tell how long it has run, in seconds."""
        return (self._virtual.now - self._start) / 1_000_000

    @property
    def now_us(self) -> Micros:
        """Tell its time of day."""
        return self._virtual.now

    def run_until(self, until: Micros) -> None:
        """Run all that is due up to `until`, and stop there."""
        self._virtual.until = until
        try:
            self.run_forever()
        finally:
            self._virtual.until = None


class LoopClock:
    """The clocks of a machine in virtual time, whose wall clock is off by `skew_us`."""

    rounding = 0

    def __init__(self, skew_us: Micros = 0) -> None:
        """Belong to whichever virtual loop runs."""
        self.skew_us = skew_us

    def monotonic(self) -> Micros:
        """Tell the loop's time."""
        return now_us()

    def wall(self) -> Micros:
        """Tell the loop's time, as this machine sees it."""
        return now_us() + self.skew_us


def now_us() -> Micros:
    """Tell the virtual time of the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop), "this runs in a virtual loop only"
    return loop.now_us

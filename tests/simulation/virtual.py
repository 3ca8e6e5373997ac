"""An event loop in virtual time: when nothing is ready, the clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


class DeadlockError(Exception):
    """Nothing is ready and no timer is set: the simulation would wait for ever."""


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_us = START_US

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise DeadlockError
        self.now_us += max(0, -int(-timeout * 1_000_000 // 1))
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time is `now_us`, and which never waits."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self._clock_resolution = 1e-6  # a timer is ready once it is less than this ahead

    def time(self) -> float:
        return (self._virtual.now_us - START_US) / 1_000_000

    @property
    def now_us(self) -> int:
        return self._virtual.now_us


def run_virtual(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end in virtual time, from 2026-01-01T00:00:00Z on."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


class VirtualClock:
    """The clocks of one simulated machine, whose wall clock is off by `skew_us`."""

    rounding = 0

    def __init__(self, skew_us: int = 0) -> None:
        self.skew_us = skew_us

    def monotonic(self) -> int:
        return now_us()

    def wall(self) -> int:
        return now_us() + self.skew_us


def now_us() -> int:
    """Tell the virtual time."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.now_us

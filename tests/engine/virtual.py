"""The cluster's virtual time: the loop that is shipped for tests, and machines whose clocks are off."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from schedcore.testing._loop import START as START_US
from schedcore.testing._loop import DeadlockError, VirtualLoop, now_us
from schedcore.testing._loop import LoopClock as VirtualClock

__all__ = ["START_US", "DeadlockError", "VirtualClock", "VirtualLoop", "now_us", "run_virtual"]

T = TypeVar("T")


def run_virtual(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end in virtual time, from 2026-01-01T00:00:00Z on."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)

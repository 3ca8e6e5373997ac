"""Memory is bounded by jobs and history, whatever the number of fires."""

from __future__ import annotations

import asyncio
import gc
from random import Random

from sched_ram import Memory, RamBackend
from schedcore._engine import Engine
from schedcore._jobs import JobOptions, make_job
from schedcore._launch import InLoop
from schedcore._state import JobState

from .virtual import VirtualClock, now_us, run_virtual


def test_nothing_grows_with_the_number_of_fires() -> None:
    """Five thousand further fires of a job leave no object behind, in the engine or in the store."""

    async def nothing() -> None: ...

    async def main() -> tuple[int, int, int]:
        memory = Memory(now_us)
        jobs = {"job": make_job("job", "@every 1s", nothing, JobOptions(history=20))}
        backend = RamBackend("a", memory=memory)
        engine = Engine("a", "r", backend, jobs, clock=VirtualClock(), random=Random(1))
        running = asyncio.create_task(engine.run(InLoop(engine.runner.ended)))
        counts = []
        for seconds in (5000, 5000):
            await asyncio.sleep(seconds)
            gc.collect()
            counts.append(len(gc.get_objects()))
        state = memory.rows["job"].data
        assert isinstance(state, JobState)
        fired = sum(state.counters.values())
        running.cancel()
        return fired, *counts

    fired, before, after = run_virtual(main())
    assert fired >= 9_999
    assert after - before < 50

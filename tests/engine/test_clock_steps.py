"""The store's clock steps while a replica runs."""

import asyncio

from tests.engine.replica import Replica, virtual

from schedcore import Status


def step(replica: Replica, seconds: float) -> None:
    """Set the store's clock forward, or back."""
    before = replica.memory.clock
    replica.memory.clock = lambda: before() + round(seconds * 1_000_000)


@virtual
async def test_a_time_that_the_stores_clock_jumped_over_is_run_soon(replica: Replica) -> None:
    """The clock goes an hour forward: what is due by it runs with the next beat, not an hour later."""
    replica.add("a", "@every 3600s")
    async with replica.running():
        await asyncio.sleep(10)
        step(replica, 3595)
        await asyncio.sleep(10)
        assert len(replica.starts) == 1


@virtual
async def test_an_edit_after_the_clock_was_set_back_is_not_lost(replica: Replica) -> None:
    """A declaration that comes too early by the store's clock is repeated until it holds."""
    replica.add("a", "@every 1s")
    async with replica.running() as engine:
        await asyncio.sleep(10.5)
        step(replica, -2)
        await asyncio.sleep(1)
        replica.add("a", "@every 10s")
        await engine.add(replica.jobs["a"])
        (info,) = await replica.control.jobs()
        assert info.schedule == "@every 10s"


@virtual
async def test_a_resume_after_the_clock_was_set_back_is_not_lost(replica: Replica) -> None:
    """What resume() returned from holds, and the job fires again."""
    replica.add("a", "@every 1s")
    async with replica.running():
        await asyncio.sleep(5)
        await replica.control.pause("a")
        await asyncio.sleep(5.5)
        before = replica.memory.clock

        def steps_back_once_it_was_read() -> int:
            replica.memory.clock = before
            step(replica, -1)
            return before()

        replica.memory.clock = steps_back_once_it_was_read
        await replica.control.resume("a")
        await asyncio.sleep(60)
        assert (await replica.counters())[Status.SUCCEEDED] > 50

"""The store's clock steps while a replica runs."""

import asyncio

import pytest
from tests.engine.flaky import Far, FlakyBackend
from tests.engine.replica import RARELY, Replica, virtual
from tests.engine.virtual import run_virtual

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


async def stepped(by: float) -> tuple[float, int]:
    """Trigger a job after the clock was set; how long until it starts, and how often it was given back."""
    plain = Replica()
    backend = FlakyBackend("app", memory=plain.memory)
    backend.bus = Far(backend.replica_bus)
    r = Replica(backend)
    r.add("a", RARELY)
    async with r.running():
        await asyncio.sleep(20.1)  # behind a beat; the last number was given out twenty seconds ago
        step(plain, by)
        asked = r.now()
        await plain.control.trigger("a", wait=True)
        (started,) = r.starts
        return started - asked, backend.bus.calls.count("give_back")


@pytest.mark.parametrize("by", [-20, -3600, 20, 3600])
def test_what_is_handed_out_right_after_the_stores_clock_was_set_begins(by: int) -> None:
    """Set back, what is claimed looks old until the next beat: that comes at once, nothing else before."""
    took, given_back = run_virtual(stepped(by))
    assert given_back <= 1, "it was received and given back over and over"
    assert took < 0.1

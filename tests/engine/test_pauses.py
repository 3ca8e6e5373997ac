"""Pausing and resuming: what is not sent meanwhile, and how it is accounted for."""

import asyncio

import pytest
from tests.engine.replica import RARELY, Replica, accounted, second, virtual
from tests.engine.virtual import now_us

from sched_ram import Memory, RamBackend
from schedcore import ConfigurationError
from schedcore.protocols import Row


@virtual
async def test_a_paused_job_is_not_sent(replica: Replica) -> None:
    """Times that fall in a pause are one line; others run; nothing is caught up; all adds up."""
    replica.add("a", "@every 10s")
    replica.add("b", "@every 10s", lambda: None)
    async with replica.running():
        await asyncio.sleep(25)
        await replica.control.pause("a", note="migration")
        (info,) = await replica.control.jobs(["a"])
        assert (info.state, info.note) == ("paused", "migration")
        await asyncio.sleep(40)
        await replica.control.resume("a")
        await asyncio.sleep(20)
        assert replica.starts == [10, 20, 70, 80]
        (line,) = await replica.lines(status="paused")
        assert (line.scheduled_at, line.last_at, line.count) == (second(30), second(60), 4)
        assert line.detail == "migration"
        assert (await replica.control.jobs(["b"]))[0].counters == {"succeeded": 8}
        for job in ("a", "b"):
            await accounted(replica, job)


@virtual
async def test_all_jobs_are_paused_at_once(replica: Replica) -> None:
    """Without a name it holds for every job, also one that is added meanwhile."""
    replica.add("a", "@every 10s")
    replica.add("b", "@every 10s")
    async with replica.running() as engine:
        await replica.control.pause(None, note="all of it")
        await asyncio.sleep(15)
        replica.add("c", "@every 10s")
        await engine.add(replica.jobs["c"])
        await asyncio.sleep(20)
        assert replica.starts == []
        assert {info.state for info in await replica.control.jobs()} == {"paused"}
        await replica.control.resume(None)
        await asyncio.sleep(10)
        assert replica.starts == [40, 40, 40]
        for job in ("a", "b"):
            assert await replica.counters(job) == {"paused": 3, "succeeded": 1}
        assert await replica.counters("c") == {"paused": 2, "succeeded": 1}


@virtual
async def test_a_pause_may_have_an_end(replica: Replica) -> None:
    """It ends by itself, to the second, and its times are recorded as paused."""
    replica.add("a", "@every 10s")
    async with replica.running():
        await replica.control.pause("a", until=second(35))
        await asyncio.sleep(51)
        assert replica.starts == [40, 50]
        (line,) = await replica.lines(status="paused")
        assert (line.scheduled_at, line.last_at, line.count) == (second(10), second(30), 3)
        await accounted(replica)


@virtual
async def test_a_pause_in_the_past_is_refused(replica: Replica) -> None:
    """An end that has passed is a mistake; nothing is paused."""
    replica.add("a", RARELY)
    async with replica.running():
        await asyncio.sleep(10)
        with pytest.raises(ConfigurationError, match="has passed already"):
            await replica.control.pause("a", until=second(5))
        assert (await replica.control.jobs())[0].state == "idle"


@virtual
async def test_a_paused_job_can_be_triggered(replica: Replica) -> None:
    """A pause concerns scheduled times, nothing else."""
    replica.add("a", "@every 10s")
    async with replica.running():
        await replica.control.pause("a")
        assert (await replica.control.trigger("a", wait=True)).outcome == "succeeded"
    assert replica.starts == [0]


@virtual
async def test_what_waits_goes_although_the_job_is_paused(replica: Replica) -> None:
    """A trigger that was accepted is executed."""

    async def job() -> None:
        replica.note()
        await asyncio.sleep(15)

    replica.add("a", "@every 10s", job, overlap="queue_one")
    async with replica.running():
        await asyncio.sleep(21)
        await replica.control.pause("a")
        await asyncio.sleep(30)
        assert replica.starts == [10, 25]
        await replica.control.resume("a")
        await accounted(replica)


@virtual
async def test_a_pause_outlives_the_scheduler(replica: Replica) -> None:
    """It is the app's, not the process's: after a restart it still holds."""
    replica.add("a", "@every 10s")
    async with replica.running():
        await replica.control.pause("a")
    async with replica.running():
        await asyncio.sleep(35)
        assert replica.starts == []
        await replica.control.resume("a")
        await asyncio.sleep(10)
        assert replica.starts == [40]
        await accounted(replica)


@virtual
async def test_resuming_what_is_not_paused_changes_nothing(replica: Replica) -> None:
    """Neither an error nor a line."""
    replica.add("a", "@every 10s")
    async with replica.running():
        await replica.control.resume("a")
        await replica.control.resume(None)
        await asyncio.sleep(25)
        assert await replica.counters() == {"succeeded": 2}


@virtual
async def test_a_job_fires_at_once_after_a_long_pause_too(replica: Replica) -> None:
    """Every five minutes all rows are read; what was read so, with the pause in it, is not taken for new."""
    replica.add("a", "@every 10s")
    async with replica.running():
        await replica.control.pause("a")
        await asyncio.sleep(605)
        await replica.control.resume("a")
        await asyncio.sleep(20)
        assert replica.starts == [610, 620]
        await accounted(replica)


class AlwaysHeld(Memory):
    """A store whose rows always have what the bus holds, asked for or not."""

    def row(self, job: str, *, held: bool = True) -> Row:
        return super().row(job, held=True)


@virtual
async def test_a_store_may_tell_what_is_held_with_every_row(replica: Replica) -> None:
    """It was so when the row was read: whoever has ended the pause since is heard."""
    replica = Replica(RamBackend("app", memory=AlwaysHeld(now_us)))
    replica.add("a", "@every 10s")
    async with replica.running():
        await asyncio.sleep(15)
        await replica.control.pause("a")
        await asyncio.sleep(40)
        await replica.control.resume("a")
        await asyncio.sleep(20)
        assert replica.starts == [10, 60, 70]


@virtual
async def test_of_two_pauses_the_one_that_ends_last_is_told(replica: Replica) -> None:
    """A job's own pause has an end, that of all jobs has none: nobody is told that it goes on by then."""
    replica.add("a", "@every 10s")
    async with replica.running():
        await replica.control.pause("a", until=second(60), note="its own")
        await replica.control.pause(None, note="all of it")
        (info,) = await replica.control.jobs()
        assert (info.paused_until, info.all_paused, info.note) == (None, True, "all of it")
        assert await replica.control.resume("a") == ["a"]
        await replica.control.pause("a", until=second(60), note="its own")
        await replica.control.pause(None, until=second(50))
        (info,) = await replica.control.jobs()
        assert (info.paused_until, info.all_paused, info.note) == (second(60), False, "its own")
        assert await replica.control.resume(None) == ["a"]
        assert await replica.control.resume("a") == []

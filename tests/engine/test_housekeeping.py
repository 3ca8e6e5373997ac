"""What somebody has to look after: jobs that nobody declares any more, and pauses that are over."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from tests.engine.replica import Replica, virtual

from schedcore.errors import UnknownJobError
from schedcore.protocols import Answer, Locker, Status, Step

HOUR = 3600


@virtual
async def test_a_job_that_nobody_declares_is_retired_after_an_hour_and_may_come_back(
    replica: Replica,
) -> None:
    """Its row goes, a line with the sums stays; declared again it begins anew."""
    replica.add("keep", "@every 600s")
    replica.add("gone", "@every 60s")
    async with replica.running():
        await asyncio.sleep(130)
    del replica.jobs["gone"]
    async with replica.running() as engine:
        await asyncio.sleep(3500)
        assert "gone" in replica.memory.rows
        await asyncio.sleep(1000)
        assert "gone" not in replica.memory.rows
        with pytest.raises(UnknownJobError):
            await replica.control.trigger("gone")
        (line, *_), _ = replica.memory.history.read("gone", None, None, None, 10, "")
        assert line.status is Status.RETIRED
        assert "succeeded 2" in line.detail
        replica.add("gone", "@every 60s")
        await engine.add(replica.jobs["gone"])
        await asyncio.sleep(130)
        assert await replica.counters("gone") == {"succeeded": 2}


@virtual
async def test_a_removed_job_is_retired_although_its_declarer_lives(replica: Replica) -> None:
    """The replica that declared it last lives on without it: an hour later its row is gone."""
    replica.add("keep", "@every 600s")
    replica.add("gone", "@every 60s")
    async with replica.running() as engine:
        await asyncio.sleep(130)
        await engine.remove(replica.jobs.pop("gone"))
        await asyncio.sleep(2 * HOUR)
        assert "gone" not in replica.memory.rows


@virtual
async def test_a_job_that_is_declared_again_while_it_is_being_retired_stays(replica: Replica) -> None:
    """Between the decision to retire and the deletion somebody declared it: its row is his, and it fires."""
    replica.add("keep", "@every 600s", lambda: None)
    replica.add("x", "@every 60s")
    async with replica.running() as engine:
        await asyncio.sleep(100)
        await engine.remove(replica.jobs.pop("x"))
        retire = engine.housekeeper._retire
        decided = []

        async def slow(orphans: Mapping[str, int], now: int) -> None:
            decided.extend(orphans)
            replica.add("x", "@every 60s")
            await engine.add(replica.jobs["x"])
            await asyncio.sleep(5)
            await retire(orphans, now)

        engine.housekeeper._retire = slow  # the moment between decision and deletion
        await asyncio.sleep(2 * HOUR)
        assert decided == ["x"]
        assert await replica.lines("x", status=Status.RETIRED) == []
        assert replica.starts[-1] > replica.now() - 61


@virtual
async def test_a_job_that_was_removed_while_it_was_being_decided_is_ticked_no_more(replica: Replica) -> None:
    """Nothing is sent for which this replica has no function any more."""
    commit = replica.backend.bus.commit

    async def slow(steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        await asyncio.sleep(0.2)
        return await commit(steps, locker)

    replica.backend.bus.commit = slow
    replica.add("keep", "@every 600s")
    replica.add("x", "@every 1s", lambda: None)
    async with replica.running() as engine:
        await asyncio.sleep(9.9)  # and 0.2 before it was ready
        await engine.remove(replica.jobs.pop("x"))
        await asyncio.sleep(10)
        (before,) = await replica.control.jobs(["x"])
        assert (before.counters, len(before.outstanding)) == ({"succeeded": 9}, 1)
        await asyncio.sleep(60)
        (after,) = await replica.control.jobs(["x"])
        assert after.decided_until == before.decided_until


@virtual
async def test_pauses_of_the_app_are_forgotten_once_they_matter_no_more(replica: Replica) -> None:
    """Three hundred ended pauses do not stay in the app's row, a disabled job or not."""
    replica.add("a", "@every 10s", lambda: None)
    replica.add("off", "@every 10s", enabled=False)
    async with replica.running():
        for _ in range(300):
            await replica.control.pause(None)
            await asyncio.sleep(20)
            await replica.control.resume(None)
            await asyncio.sleep(40)
        await asyncio.sleep(3 * HOUR)
        assert replica.memory.rows[""].data.pauses == ()

"""Trigger, pause, resume, jobs, history: what is asked of an app while it runs."""

import asyncio
import time
from datetime import timedelta

import pytest
from tests.engine.replica import RARELY, Replica, accounted, scheduler, second, virtual

from schedcore import ConfigurationError, RunContext, Status, Triggered, UnknownJobError


@virtual
async def test_a_trigger_is_sent_beside_the_schedule(replica: Replica) -> None:
    """It runs at once, is counted apart, and moves no scheduled time."""
    replica.add("a", "@every 10s")
    async with replica.running():
        await asyncio.sleep(4)
        said = await replica.control.trigger("a")
        await asyncio.sleep(10)
        assert (said.job, said.outcome) == ("a", "sent")
        assert replica.starts == [4, 10]
        (info,) = await replica.control.jobs()
        assert (info.counters, info.manual) == ({"succeeded": 1}, {"succeeded": 1})
        await accounted(replica)


@virtual
async def test_waiting_for_the_outcome(replica: Replica) -> None:
    """`wait` returns once the run has ended, with its status and detail."""

    async def job() -> None:
        await asyncio.sleep(30)
        raise ValueError("reason")

    replica.add("a", RARELY, job)
    async with replica.running():
        said = await replica.control.trigger("a", wait=True)
    assert 30 <= replica.now() < 32
    assert said.outcome == "failed"
    assert "ValueError: reason" in said.detail


@virtual
async def test_waiting_for_the_outcome_has_an_end(replica: Replica) -> None:
    """After `timeout` it raises; the run goes on, and asking again with the key tells its outcome."""

    async def job() -> None:
        await asyncio.sleep(30)

    replica.add("a", RARELY, job)
    async with replica.running():
        with pytest.raises(TimeoutError):
            await replica.control.trigger("a", key="k", wait=True, timeout=5)
        assert round(replica.now()) == 5
        assert (await replica.control.trigger("a", key="k", wait=True)).outcome == "succeeded"
    assert (await replica.control.jobs())[0].manual == {"succeeded": 1}


@virtual
async def test_the_same_key_triggers_once(replica: Replica) -> None:
    """Asked again it answers what became of the first: sent, later its outcome."""

    async def job() -> None:
        replica.note()
        await asyncio.sleep(10)

    replica.add("a", RARELY, job)
    async with replica.running():
        first = await replica.control.trigger("a", key="order-17")
        again = await replica.control.trigger("a", key="order-17")
        await asyncio.sleep(11)
        later = await replica.control.trigger("a", key="order-17")
    assert (first, again) == (Triggered("a", "order-17", "sent"),) * 2
    assert later == Triggered("a", "order-17", "succeeded")
    assert replica.starts == [0]


@virtual
async def test_the_same_key_of_another_job_is_another_trigger(replica: Replica) -> None:
    """A key belongs to its job."""
    replica.add("a", RARELY)
    replica.add("b", RARELY)
    async with replica.running():
        for job in ("a", "b"):
            assert (await replica.control.trigger(job, key="k")).outcome == "sent"
        await asyncio.sleep(1)
    assert replica.starts == [0, 0]


@virtual
async def test_a_key_is_forgotten_after_a_day(replica: Replica) -> None:
    """Then the same key triggers anew."""
    replica.add("a", RARELY, enabled=False)
    async with replica.running():
        for _ in range(2):
            await replica.control.trigger("a", key="k", wait=True)
    await asyncio.sleep(90_000)
    async with replica.running():
        await replica.control.trigger("a", key="other", wait=True)  # what is old goes when a new key comes
        await replica.control.trigger("a", key="k", wait=True)
        assert (await replica.control.jobs())[0].manual == {"succeeded": 3}


@virtual
async def test_a_trigger_follows_the_overlap_policy(replica: Replica) -> None:
    """While one is outstanding: skipped, waiting, or sent, as the job says."""

    async def job() -> None:
        await asyncio.sleep(10)

    for policy in ("skip", "queue_one", "queue_all", "allow"):
        replica.add(policy, RARELY, job, overlap=policy)
    async with replica.running():
        said = {}
        for policy in replica.jobs:
            await replica.control.trigger(policy, key="1")
            said[policy] = [(await replica.control.trigger(policy, key=key)).outcome for key in ("2", "3")]
        assert said == {
            "skip": ["skipped", "skipped"],
            "queue_one": ["waiting", "waiting"],
            "queue_all": ["waiting", "waiting"],
            "allow": ["sent", "sent"],
        }
        assert (
            await replica.control.trigger("skip", key="2")
        ).detail == "the previous run was still outstanding"
        assert (await replica.control.trigger("queue_one", key="2")).outcome == "skipped", (
            "the newer one replaces it"
        )
        assert (await replica.control.trigger("queue_one", key="3", wait=True)).outcome == "succeeded"
        await asyncio.sleep(31)
        manual = {info.name: info.manual for info in await replica.control.jobs()}
        assert manual["queue_one"] == {"succeeded": 2, "skipped": 1}
        assert manual["queue_all"] == manual["allow"] == {"succeeded": 3}


@virtual
async def test_an_unknown_job_is_refused_with_the_nearest(replica: Replica) -> None:
    """Each question that names a job says which names there are."""
    replica.add("invoices", RARELY)
    control = replica.control
    async with replica.running():
        for question in (control.trigger("invoice"), control.pause("invoice"), control.resume("invoice")):
            with pytest.raises(UnknownJobError, match="no job is named 'invoice'; did you mean 'invoices'"):
                await question
        with pytest.raises(UnknownJobError, match="did you mean 'invoices'"):
            await control.history("invoice")
        assert await control.jobs(["invoice"]) == []


@virtual
async def test_what_cannot_be_a_payload_is_refused(replica: Replica) -> None:
    """JSON of at most 64 KB; anything else names the reason, and triggers nothing."""
    replica.add("a", RARELY)
    async with replica.running():
        with pytest.raises(ConfigurationError, match="must be JSON"):
            await replica.control.trigger("a", payload={1, 2})
        with pytest.raises(ConfigurationError, match="must be JSON"):
            await replica.control.trigger("a", payload=float("nan"))
        with pytest.raises(ConfigurationError, match="65536 bytes as JSON, not 65537"):
            await replica.control.trigger("a", payload="x" * 65_535)
        await replica.control.trigger("a", payload="x" * 65_534, wait=True)
        for key in ("", "x" * 201):
            with pytest.raises(ConfigurationError, match="1 to 200 characters"):
                await replica.control.trigger("a", key=key)
    assert replica.starts == [0]


@virtual
async def test_jobs_tells_what_the_app_knows(replica: Replica) -> None:
    """Schedule, zone, state, next time, what is outstanding, counters and who declared it."""

    async def job() -> None:
        await asyncio.sleep(5)

    replica.add("b", "@every 10s", job)
    replica.add("a", "@every 60s", tz="Europe/Berlin")
    async with replica.running():
        await asyncio.sleep(11)
        a, b = await replica.control.jobs()
        assert (a.name, a.schedule, a.tz, a.state) == ("a", "@every 60s", "Europe/Berlin", "idle")
        assert (a.next_at, a.last_success, a.declared_by) == (second(60), None, "r0")
        assert (b.state, b.next_at, b.decided_until) == ("outstanding", second(20), second(10))
        assert len(b.outstanding) == 1
        await asyncio.sleep(6)
        (b,) = await replica.control.jobs(["b"])
        assert (b.state, b.last_success, b.outstanding) == ("idle", second(15), ())


@virtual
async def test_history_is_filtered_by_status_and_time(replica: Replica) -> None:
    """Newest first, at most `limit`, statuses by name or as `Status`, times after one and until another."""

    async def job() -> None:
        if round(replica.now()) % 20 == 0:
            raise ValueError

    replica.add("a", "@every 10s", job)
    async with replica.running():
        await asyncio.sleep(61)
        history = replica.control.history
        assert [r.scheduled_at for r in await history("a", limit=2)] == [second(60), second(50)]
        assert [r.scheduled_at for r in await history("a", status="failed")] == [
            second(60),
            second(40),
            second(20),
        ]
        assert len(await history("a", status=[Status.FAILED, "succeeded"])) == 6
        chosen = await history("a", after=second(20), until=second(40))
        assert [r.scheduled_at for r in chosen] == [second(40), second(30)]
        with pytest.raises(ValueError, match="nonsense"):
            await history("a", status="nonsense")


@virtual
async def test_a_line_of_history_tells_the_run(replica: Replica) -> None:
    """When it was due, began and ended, on which replica, at which attempt and delivery."""

    async def job() -> None:
        await asyncio.sleep(3)

    replica.add("a", "@every 10s", job)
    async with replica.running():
        await asyncio.sleep(14)
        (line,) = await replica.lines()
    assert (line.job, line.scheduled_at, line.started_at, line.ended_at) == (
        "a",
        second(10),
        second(10),
        second(13),
    )
    assert (line.status, line.replica, line.attempt, line.delivery, line.count) == (
        "succeeded",
        "r0",
        1,
        1,
        1,
    )


def test_awaited_and_blocking_answer_the_same() -> None:
    """One implementation: each question has a twin, which answers alike."""
    s = scheduler()
    s.add_job("a", RARELY, lambda: None)
    s.add_job("b", RARELY, lambda: None)
    blocking = s.blocking

    async def asked() -> list[object]:
        return [
            await s.jobs(),
            await s.history("a"),
            await s.trigger("a", key="k"),
            (await s.health()).replica,
        ]

    with s:
        blocking.trigger("a", key="k", wait=True)
        blocking.pause("b", note="n")
        assert asyncio.run(asked()) == [
            blocking.jobs(),
            blocking.history("a"),
            blocking.trigger("a", key="k"),
            blocking.health().replica,
        ]
        assert blocking.jobs(["b"])[0].state == "paused"
        blocking.resume("b")
        assert blocking.jobs(["b"])[0].state == "idle"
        blocking.remove_job("b")
        with pytest.raises(UnknownJobError):
            blocking.remove_job("b")


def test_the_blocking_wait_has_an_end() -> None:
    """A `timedelta` or seconds; the run goes on."""
    s = scheduler()
    s.add_job("a", RARELY, lambda run: time.sleep(0.3))
    with s:
        for limit in (timedelta(seconds=0.05), 0.05):
            with pytest.raises(TimeoutError):
                s.blocking.trigger("a", key="k", wait=True, timeout=limit)
        assert s.blocking.trigger("a", key="k", wait=True).outcome == "succeeded"


@virtual
async def test_hundreds_who_wait_all_learn_the_outcome(replica: Replica) -> None:
    """While they look again hundreds of others end: each is told how its own run ended."""
    replica = Replica(concurrency=1000)

    async def job(run: RunContext) -> None:
        await asyncio.sleep(1.2)
        if run.payload % 7 == 0:
            raise ValueError

    async def ask(number: int) -> Triggered:
        await asyncio.sleep(number / 500)
        return await replica.control.trigger("a", payload=number, wait=True)

    replica.add("a", RARELY, job, overlap="allow", history=50)
    async with replica.running():
        said = await asyncio.gather(*map(ask, range(1000)))
    assert [each.outcome for each in said] == ["succeeded" if n % 7 else "failed" for n in range(1000)]

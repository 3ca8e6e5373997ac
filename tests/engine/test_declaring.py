"""Declaring jobs: what is refused, and adding and removing them while the scheduler runs."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from tests.engine.flaky import Far, FlakyBackend
from tests.engine.replica import RARELY, Replica, nothing, scheduler, until, virtual

from sched_ram import Memory, RamBackend
from schedcore import (
    ConfigurationError,
    Scheduler,
    UnknownJobError,
    parse_schedule,
)
from schedcore.protocols import APP_ROW, Answer, Locker, Step, Verdict

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(seconds=34)


def test_a_decorated_function_is_a_job_under_its_own_name() -> None:
    """The decorator gives the function back, and `name=` may say otherwise."""
    s = scheduler()

    @s.job(RARELY)
    def first() -> str:
        return "still callable"

    @s.job(RARELY, name="second:one")
    async def other() -> None: ...

    assert first() == "still callable"
    with s:
        assert [job.name for job in s.blocking.jobs()] == ["first", "second:one"]


@pytest.mark.parametrize("function", [lambda: None, partial(nothing)], ids=["lambda", "partial"])
def test_a_function_without_a_name_needs_one(function: Callable[[], None]) -> None:
    """A lambda's name is no name."""
    with pytest.raises(ConfigurationError, match="has no name of its own: pass name="):
        scheduler().job(RARELY)(function)


def test_two_jobs_of_one_name_are_refused_naming_both_places() -> None:
    """File and line of both, so that neither has to be searched for; the first stays."""
    s = scheduler()

    def one() -> None: ...

    def two() -> None: ...

    s.add_job("a", RARELY, one)
    with pytest.raises(ConfigurationError, match="two jobs are named 'a'") as caught:
        s.add_job("a", RARELY, two)
    for function in (one, two):
        assert f"{__file__}:{function.__code__.co_firstlineno}" in str(caught.value)
    assert "rename one of them" in str(caught.value)
    assert s._jobs["a"].function is one


def test_a_name_is_free_again_after_its_removal() -> None:
    """As the error of a taken name says."""
    s = scheduler()
    s.add_job("a", RARELY, nothing)
    s.blocking.remove_job("a")
    s.add_job("a", "@every 1h", nothing)


def test_a_parsed_schedule_brings_its_zone() -> None:
    """What `parse_schedule` made is taken with its zone; `tz=` overrides it."""
    s = scheduler()
    s.add_job("a", parse_schedule("0 3 * * *", tz="Europe/Berlin"), nothing)
    s.add_job("b", parse_schedule("0 3 * * *", tz="Europe/Berlin"), nothing, tz="Asia/Tokyo")
    assert [s._jobs[name].spec.tz for name in "ab"] == ["Europe/Berlin", "Asia/Tokyo"]


def test_a_job_that_is_added_while_running_runs() -> None:
    """From any thread, without a restart; coroutine and plain function alike."""
    s = scheduler()
    ran = threading.Event(), threading.Event()

    async def coroutine() -> None:
        ran[1].set()

    with s:
        s.add_job("a", "@every 100ms", ran[0].set)
        s.add_job("b", "@every 100ms", coroutine)
        assert ran[0].wait(3)
        assert ran[1].wait(3)


def far_away() -> Scheduler:
    """Make a scheduler for which what it commits takes a moment, and what it reads none."""
    backend = FlakyBackend("app", memory=Memory())
    backend.bus = Far(backend.bus)
    return Scheduler("app", backend=backend, drain=5)


def test_a_job_can_be_triggered_as_soon_as_it_is_added() -> None:
    """It is being declared then: who asks about it waits for that."""
    s, ran = far_away(), list[str]()

    async def main() -> None:
        async with s:
            for number in range(10):
                s.add_job(f"job-{number}", RARELY, lambda: ran.append("a"))
                assert (await s.trigger(f"job-{number}", wait=True, timeout=5)).outcome == "succeeded"
            s.add_job("paused", RARELY, nothing)
            await s.pause("paused")
            (info,) = await s.jobs(["paused"])
            assert info.state == "paused"

    asyncio.run(main())
    with s:
        for number in range(10, 20):
            s.add_job(f"job-{number}", RARELY, lambda: ran.append("b"))
            assert s.blocking.trigger(f"job-{number}", wait=True, timeout=5).outcome == "succeeded"
    assert ran == ["a"] * 10 + ["b"] * 10


def test_who_asks_about_a_job_that_cannot_be_declared_waits_a_moment_at_most() -> None:
    """The store takes nothing: after a beat and more there is no such job, and no other is waited for."""
    backend = FlakyBackend("app", memory=Memory())
    s = Scheduler("app", backend=backend, drain=5)
    s.add_job("a", RARELY, nothing)
    with s:
        backend.fail("commit")
        s.add_job("b", RARELY, nothing)
        began = time.monotonic()
        with pytest.raises(UnknownJobError):
            s.blocking.history("c")
        assert s.blocking.history("a") == []
        assert time.monotonic() - began < 1
        with pytest.raises(UnknownJobError):
            s.blocking.history("b")
        assert 4 <= time.monotonic() - began < 8
        backend.fail()
        s.blocking.trigger("b")


@virtual
async def test_a_job_that_is_removed_while_running_is_not_sent_any_more(replica: Replica) -> None:
    """A run of it that has begun goes on and is recorded; its times are nobody's from now on."""
    ended = []

    async def job() -> None:
        await asyncio.sleep(15)
        ended.append(replica.now())

    replica.add("a", "@every 10s", job)
    replica.add("b", "@every 10s")
    async with replica.running() as engine:
        await asyncio.sleep(11)
        await engine.remove(replica.jobs.pop("a"))
        await asyncio.sleep(40)
        assert ended == [25]
        assert replica.starts == [10, 20, 30, 40, 50]
        assert await replica.counters() == {"succeeded": 1}


def test_removing_from_a_running_scheduler() -> None:
    """Awaited or blocking, by name; afterwards it no longer has the job."""
    s = scheduler()
    ran: list[int] = []
    s.add_job("a", "@every 100ms", lambda: ran.append(1))
    with s:
        until(lambda: bool(ran))
        s.blocking.remove_job("a")
        assert s.blocking.health().jobs == 0
        with pytest.raises(UnknownJobError):
            asyncio.run(s.remove_job("a"))


def test_an_unknown_job_cannot_be_removed() -> None:
    """With the nearest name; started or not."""
    s = scheduler()
    s.add_job("invoices", RARELY, nothing)
    with pytest.raises(UnknownJobError, match="did you mean 'invoices'"):
        s.blocking.remove_job("invoice")


@virtual
async def test_a_job_that_comes_back_finds_what_waits_for_it(replica: Replica) -> None:
    """A trigger sent while no replica had the job is run soon after it is added again."""
    replica.add("a", RARELY)
    replica.add("b", RARELY, lambda: None)
    async with replica.running() as engine:
        job = replica.jobs.pop("a")
        await engine.remove(job)
        await replica.control.trigger("a")
        await asyncio.sleep(5)
        assert replica.starts == []
        await engine.add(job)
        await asyncio.sleep(4)
        assert len(replica.starts) == 1


@virtual
async def test_an_edited_schedule_takes_over_when_it_is_declared(replica: Replica) -> None:
    """After a deploy only the new times fire; those of the old one up to now are settled."""
    replica.add("a", "@every 10s")
    async with replica.running():
        await asyncio.sleep(15)
    replica.add("a", "@every 7s")
    async with replica.running():
        await asyncio.sleep(19)
        (info,) = await replica.control.jobs()
        assert info.schedule == "@every 7s"
        first, *others = replica.starts
        assert first == 10
        times = parse_schedule("@every 7s").upcoming(START + timedelta(seconds=15), 3)
        assert [START + timedelta(seconds=at) for at in others] == [at for at in times if at <= END]


@virtual
async def test_what_could_not_be_declared_is_declared_in_an_order_that_is_always_the_same(
    replica: Replica,
) -> None:
    """Jobs whose rows somebody has reserved are declared with a beat, whatever the hashes of names are."""
    commit, declared = replica.backend.bus.commit, list[str]()

    async def held(steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        if replica.now() < 2.5:
            return [Answer(Verdict.HELD, (), 0) for _ in steps]
        declared.extend(step.job for step in steps)
        return await commit(steps, locker)

    replica.backend.bus.commit = held
    names = [f"job-{number}" for number in range(10)]
    for name in names:
        replica.add(name, RARELY)
    async with replica.running():
        await asyncio.sleep(4)
        assert declared == names


def test_equal_jobs_of_two_schedulers_share_one_row() -> None:
    """Two replicas of one app declare the same job: it is one job, with one row."""
    memory = Memory()
    schedulers = [Scheduler("app", backend=RamBackend("app", memory=memory)) for _ in range(2)]
    for s in schedulers:
        s.add_job("a", RARELY, nothing)
        with s:
            assert [job.name for job in s.blocking.jobs()] == ["a"]
    assert set(memory.rows) - {APP_ROW} == {"a"}

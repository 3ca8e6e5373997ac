"""What a run says of its progress: when the store hears it, and what outlives the run and its replica."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from tests.engine.replica import RARELY, Replica, outcome, virtual

from sched_ram import RamBackend
from schedcore import RunContext, RunInfo


async def until_seen(replica: Replica, note: str, patience: float = 15) -> None:
    """Wait until others can read this progress of the run that is under way."""
    for _ in range(round(patience * 10)):
        if [holding.note for holding in await replica.backend.store.held()] == [note]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"nobody saw {note!r}")


@virtual
async def test_the_store_hears_the_last_word_with_each_beat(replica: Replica) -> None:
    """However often a run says something, one call per beat carries it: the lease's own renewal."""

    async def job(run: RunContext) -> None:
        for number in range(3000):
            run.progress(number, 3000)
            await asyncio.sleep(0.01)

    told: list[Mapping[tuple[str, str], str]] = []
    replica.add("a", RARELY, job)
    async with replica.running() as engine:
        renew = engine.backend.bus.renew

        async def counted(held: Any, notes: Any) -> Any:
            told.append(notes)
            return await renew(held, notes)

        engine.backend.bus.renew = counted
        await replica.control.trigger("a", key="k", wait=True)
    assert 8 <= len(told) <= 12
    shares = [int(notes["a", "manual:k"].partition("/")[0]) for notes in told]
    assert shares == sorted(shares)
    assert shares[-1] > 2500


@virtual
async def test_of_a_long_note_others_see_the_beginning(replica: Replica) -> None:
    """With each beat 400 characters travel; the history has 8,192 of the last word."""

    async def job(run: RunContext) -> None:
        run.progress(note="x" * 10_000)
        await asyncio.sleep(10)

    replica.add("a", RARELY, job)
    async with replica.running():
        await replica.control.trigger("a")
        await until_seen(replica, "x" * 400)
        await asyncio.sleep(10)
        (line,) = await replica.lines()
        assert line.detail == "x" * 8192


@virtual
async def test_a_further_attempt_begins_without_progress(replica: Replica) -> None:
    """What an earlier attempt had reached is nothing that the last one has."""

    async def job(run: RunContext) -> None:
        if run.attempt == 1:
            run.progress(90, 100)
        raise ValueError("no paper")

    line = await outcome(replica, job, retries=1)
    assert (line.attempt, line.detail[:9]) == (2, "Traceback")


@virtual
async def test_a_failure_tells_how_far_it_was(replica: Replica) -> None:
    """The progress of the last attempt stands before the traceback."""

    async def job(run: RunContext) -> None:
        run.progress(37, 100, "files")
        raise ValueError("no paper")

    lines = (await outcome(replica, job)).detail.splitlines()
    assert (lines[0], lines[1], lines[-1]) == (
        "37/100 files",
        "Traceback (most recent call last):",
        "ValueError: no paper",
    )


async def away(*_: object) -> None:
    raise ConnectionError


async def taken_over(replica: Replica, job: Any, **options: Any) -> RunInfo:
    """Have a run lose its replica after two seconds, and another replica find it; its line."""
    first, second = (Replica(RamBackend("app", memory=replica.memory), name) for name in ("r1", "r2"))
    for each in (first, second):
        each.add("a", RARELY, job, **options)
    async with first.running() as engine:
        await first.control.trigger("a")
        await until_seen(first, "80/100 invoices")
        engine.backend.bus.renew = away
        async with second.running():
            await asyncio.sleep(60)
            (line,) = await second.lines()
            return line


@virtual
async def test_who_takes_over_can_go_on_where_the_other_was(replica: Replica) -> None:
    """`run.previous_progress` is what was said last; others go on seeing it until something new is said."""
    seen: list[str] = []

    async def job(run: RunContext) -> None:
        if run.delivery == 1:
            run.progress(80, 100, "invoices")
            await asyncio.sleep(100)
        seen.append(run.previous_progress)
        await until_seen(replica, "80/100 invoices")
        run.progress(100, 100, "invoices")

    line = await taken_over(replica, job)
    assert seen == ["80/100 invoices"]
    assert (line.delivery, line.detail) == (2, "100/100 invoices")


@virtual
async def test_what_is_given_up_tells_how_far_it_was(replica: Replica) -> None:
    """A run that is lost with its replica has its last progress in its line."""

    async def job(run: RunContext) -> None:
        run.progress(80, 100, "invoices")
        await asyncio.sleep(100)

    line = await taken_over(replica, job, delivery="at_most_once")
    assert (line.status, line.detail) == (
        "lost",
        "its replica was gone, and the job is to run at most once; its last progress: 80/100 invoices",
    )


def test_progress_of_a_replica_that_was_killed_on_redis(redis_url: str, app_name: str) -> None:
    """On Redis too: who takes the run over learns what the dead one said last."""
    from schedcore import Scheduler

    seen: list[str] = []

    def make() -> Scheduler:
        s = Scheduler(app_name, backend="redis", url=redis_url, drain=0)

        @s.job(RARELY)
        async def a(run: RunContext) -> None:
            if run.delivery == 1:
                run.progress(80, 100, "invoices")
                await asyncio.sleep(60)
            seen.append(run.previous_progress)

        return s

    async def play() -> None:
        dead, living = make(), make()
        async with living:
            pass
        async with dead:
            key = (await dead.trigger("a")).key
            async with asyncio.timeout(10):
                while not any(run.progress for job in await dead.jobs() for run in job.running):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)  # Redis is told with a beat, in real time, and calls nobody here
            dead._backend.bus.renew = away
            async with living:
                async with asyncio.timeout(30):
                    await living.trigger("a", key=key, wait=True)
        assert seen == ["80/100 invoices"]

    asyncio.run(play())


@pytest.mark.parametrize(
    ("said", "shown"),
    [((1, 4, "x"), "1/4 x"), ((0.5,), "0.5"), ((None, 3, "y"), "y"), ((2, None, ""), "2"), ((), "")],
)
def test_how_progress_is_written(said: tuple[Any, ...], shown: str) -> None:
    """Whatever part of it is given, in one string."""
    run = RunContext.__new__(RunContext)
    run.progress(*said)
    assert run._progress == shown

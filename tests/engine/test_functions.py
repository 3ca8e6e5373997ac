"""Where a job's function runs, and what it knows of its run."""

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from tests.engine.replica import RARELY, Replica, run_once, scheduler, until, virtual

from schedcore import ConfigurationError, Kind, RunContext, Scheduler, current_run

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


def test_coroutines_run_on_the_applications_loop() -> None:
    """Inside `async with` a coroutine job shares loop and thread with the application, and its objects."""
    seen: list[object] = []

    async def main() -> None:
        queue: asyncio.Queue[object] = asyncio.Queue()

        async def job() -> None:
            await queue.put((asyncio.get_running_loop(), threading.current_thread()))

        s = scheduler()
        s.add_job("a", RARELY, job)
        async with s:
            await s.trigger("a")
            seen.append(await asyncio.wait_for(queue.get(), 5))
        seen.append((asyncio.get_running_loop(), threading.current_thread()))

    asyncio.run(main())
    assert seen[0] == seen[1]


def test_coroutines_run_on_a_loop_of_the_schedulers_own_after_start() -> None:
    """Not on the engine's: all coroutine jobs share one other loop, which blocks nothing if it is blocked."""
    threads: list[str] = []

    async def job() -> None:
        threads.append(threading.current_thread().name)

    s = scheduler()
    s.add_job("a", RARELY, job)
    with s:
        for _ in range(2):
            s.blocking.trigger("a", wait=True)
    assert threads == ["schedcore-app-jobs"] * 2


def test_plain_functions_run_in_daemon_threads_of_ours() -> None:
    """Named after the app, so that a thread dump tells what they are; daemons do not hang the exit."""
    seen: list[threading.Thread] = []
    s = scheduler()
    s.add_job("a", RARELY, lambda: seen.append(threading.current_thread()))
    with s:
        s.blocking.trigger("a", wait=True)
    assert seen[0].daemon
    assert seen[0].name.startswith("schedcore-app-")
    assert seen[0] is not threading.main_thread()


def test_no_more_plain_functions_run_at_once_than_there_are_threads() -> None:
    """Of five, with two threads, two run; the others follow."""
    s = scheduler(threads=2)
    lock, may_end = threading.Lock(), threading.Event()
    running, most, ended = 0, 0, 0

    def job() -> None:
        nonlocal running, most, ended
        with lock:
            running += 1
            most = max(most, running)
        may_end.wait(5)
        with lock:
            running -= 1
            ended += 1

    s.add_job("a", RARELY, job, overlap="allow")
    with s:
        for _ in range(5):
            s.blocking.trigger("a")
        until(lambda: running == 2)
        may_end.set()
        until(lambda: ended == 5)
    assert most == 2


def test_no_more_runs_at_once_than_the_concurrency() -> None:
    """Of six coroutines, with three places, three run; the others follow."""
    running, most, ended = 0, 0, 0

    async def main() -> None:
        may_end, s = asyncio.Event(), scheduler(concurrency=3)

        async def job() -> None:
            nonlocal running, most, ended
            running += 1
            most = max(most, running)
            await may_end.wait()
            running -= 1
            ended += 1

        s.add_job("a", RARELY, job, overlap="allow")
        async with s:
            for _ in range(6):
                await s.trigger("a")
            await asyncio.to_thread(until, lambda: running == 3)
            may_end.set()
            await asyncio.to_thread(until, lambda: ended == 6)

    asyncio.run(main())
    assert most == 3


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_context_variables_do_not_leak_between_runs(kind: str) -> None:
    """Each run begins with the same context, whatever the one before has set, also in the same thread."""
    seen: list[str] = []

    def job() -> None:
        seen.append(variable.get())
        variable.set("left behind")

    async def coroutine() -> None:
        job()

    s = scheduler(threads=1)
    s.add_job("a", RARELY, job if kind == "plain" else coroutine)
    with s:
        for _ in range(3):
            s.blocking.trigger("a", wait=True)
    assert seen == ["none"] * 3
    assert variable.get() == "none"


@virtual
async def test_the_context_tells_a_scheduled_run(replica: Replica) -> None:
    """Job, scheduled time, kind, attempt, delivery, token, deadline, and nothing missed."""
    runs: list[RunContext] = []

    async def job(run: RunContext) -> None:
        runs.append(run)
        await asyncio.sleep(1)

    replica.add("a", "@every 10s", job, timeout=5)
    async with replica.running():
        await asyncio.sleep(25)
    first, second = runs
    start = datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)
    assert (first.job, first.scheduled_at, first.kind) == ("a", start, Kind.SCHEDULED)
    assert (first.payload, first.attempt, first.delivery, first.missed_count) == (None, 1, 1, 0)
    assert first.deadline == start + timedelta(seconds=5)
    assert not first.cancelled
    assert not first.in_doubt
    assert second.token > first.token


@virtual
async def test_the_context_tells_how_many_times_were_missed(replica: Replica) -> None:
    """A late run stands for those before it."""
    runs: list[tuple[Kind, int]] = []
    replica.add("a", "@every 10s", lambda run: runs.append((run.kind, run.missed_count)), grace=1)
    async with replica.running():
        await asyncio.sleep(1)
    await asyncio.sleep(104)
    async with replica.running():
        await asyncio.sleep(1)
    assert runs == [(Kind.LATE, 9)]


@virtual
async def test_the_context_has_no_deadline_without_a_limit(replica: Replica) -> None:
    """`deadline` is `None` then."""
    deadlines: list[object] = []
    replica.add("a", "@every 10s", lambda run: deadlines.append(run.deadline))
    async with replica.running():
        await asyncio.sleep(11)
    assert deadlines == [None]


@virtual
async def test_a_payload_arrives_as_it_was_given(replica: Replica) -> None:
    """Anything that JSON can hold; the run is one by hand."""
    payloads: list[object] = []

    async def job(run: RunContext) -> None:
        payloads.append((run.kind, run.payload))

    replica.add("a", RARELY, job)
    given = [{"ids": [1, 2], "text": "ü\x00"}, [], "", 0, False, 1.5, None]
    async with replica.running():
        for payload in given:
            await replica.control.trigger("a", payload=payload, wait=True)
    assert payloads == [(Kind.MANUAL, payload) for payload in given]


@virtual
async def test_progress_is_seen_while_it_runs_and_stays_with_the_line(replica: Replica) -> None:
    """With the next beat others can read it; the last word is the successful run's detail."""

    async def job(run: RunContext) -> None:
        run.progress(1, 4, "invoices")
        await asyncio.sleep(10)
        run.progress(note="all sent")

    replica.add("a", "@every 20s", job)
    async with replica.running():
        await asyncio.sleep(25)
        (holding,) = await replica.backend.store.held()
        assert (holding.replica, holding.note) == ("r0", "1/4 invoices")
        await asyncio.sleep(10)
        assert [line.detail for line in await replica.lines()] == ["all sent"]


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_current_run_works_anywhere_below(kind: str) -> None:
    """In functions that are called, in tasks, and in threads started with `asyncio.to_thread`."""
    seen: list[RunContext] = []

    def deep() -> None:
        seen.append(current_run())

    async def coroutine(run: RunContext) -> None:
        seen.append(run)
        await asyncio.create_task(asyncio.to_thread(deep))

    def plain(run: RunContext) -> None:
        seen.append(run)
        deep()

    assert run_once(plain if kind == "plain" else coroutine) == "succeeded"
    assert seen[0] is seen[1]


def test_current_run_outside_of_a_run_says_so() -> None:
    """There is none, and the error tells where it works."""
    with pytest.raises(LookupError, match="below a job's function"):
        current_run()


def test_the_runs_logger_tells_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """Job, scheduled time, attempt and delivery are fields of each record, beside the caller's own."""
    caplog.set_level(logging.INFO)

    def job(run: RunContext) -> None:
        run.log.info("working", extra={"mine": 1})

    assert run_once(job) == "succeeded"
    (record,) = [r for r in caplog.records if r.name == "schedcore.job"]
    assert (record.job, record.attempt, record.delivery, record.mine) == ("a", 1, 1, 1)
    assert record.scheduled_at.endswith("+00:00")


def test_a_place_is_free_again_after_each_run() -> None:
    """A hundred runs one after the other leave no place taken."""
    s: Scheduler = scheduler(concurrency=2, threads=1)
    s.add_job("a", RARELY, lambda: None)

    async def job() -> None: ...

    s.add_job("b", RARELY, job)
    with s:
        for _ in range(50):
            assert s.blocking.trigger("a", wait=True, timeout=5).outcome == "succeeded"
            assert s.blocking.trigger("b", wait=True, timeout=5).outcome == "succeeded"
        until(lambda: s.blocking.health().runs == 0)


def test_a_generator_is_refused() -> None:
    """Calling it would run nothing of it, and record a success."""

    def generator() -> Iterator[int]:
        yield 1

    async def asynchronous() -> AsyncIterator[int]:
        yield 1

    s = scheduler()
    for function in (generator, asynchronous):
        with pytest.raises(ConfigurationError, match="is a generator"):
            s.add_job("job", RARELY, function)


def test_a_plain_function_that_returns_a_coroutine_has_failed() -> None:
    """Nothing of it has run: the history says what to declare instead."""

    async def fetch(_: int) -> None:
        raise AssertionError("nobody awaits this")

    s = scheduler()
    s.add_job("job", RARELY, lambda: fetch(1))
    with s:
        said = s.blocking.trigger("job", wait=True)
    assert said.outcome == "failed"
    assert "declare the coroutine function itself" in said.detail


def test_a_coroutine_that_swallows_its_time_limit_is_timed_out() -> None:
    """It was told, and went on all the same: no success."""

    async def stubborn() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(5)

    s = scheduler()
    s.add_job("job", RARELY, stubborn, timeout=0.05)
    with s:
        assert s.blocking.trigger("job", wait=True).outcome == "timed out"

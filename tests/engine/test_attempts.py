"""What becomes of a run: retries, time limits, and whatever a function may raise."""

import asyncio
import threading
import weakref
from collections.abc import Sequence
from contextvars import ContextVar
from itertools import pairwise

import pytest
from tests.engine.replica import RARELY, Replica, outcome, until, virtual

from sched_ram import RamBackend
from sched_ram._backend import RamBus
from schedcore import RunContext, Scheduler, Status
from schedcore.protocols import Answer, Locker, Step


@virtual
async def test_a_failed_attempt_is_repeated(replica: Replica) -> None:
    """Two failures and two retries: the third attempt succeeds, and the line says it was the third."""
    attempts = []

    async def job(run: RunContext) -> None:
        attempts.append(run.attempt)
        if run.attempt < 3:
            raise ValueError("not yet")

    line = await outcome(replica, job, retries=2)
    assert attempts == [1, 2, 3]
    assert (line.status, line.attempt, line.delivery) == (Status.SUCCEEDED, 3, 1)


@virtual
async def test_retries_end(replica: Replica) -> None:
    """After the last one the run has failed; it is one line, with the last error."""
    attempts = []

    async def job() -> None:
        attempts.append(1)
        raise ValueError(f"number {len(attempts)}")

    line = await outcome(replica, job, retries=2)
    assert len(attempts) == 3
    assert (line.status, line.attempt) == (Status.FAILED, 3)
    assert "number 3" in line.detail


@virtual
async def test_without_retries_there_is_one_attempt(replica: Replica) -> None:
    """The default is not to repeat."""

    async def job() -> None:
        raise ValueError

    assert (await outcome(replica, job)).attempt == 1


@virtual
async def test_retries_back_off_with_jitter_up_to_five_minutes(replica: Replica) -> None:
    """One second, doubling to five minutes, each a quarter more or less."""
    at: list[float] = []

    async def job() -> None:
        at.append(replica.now())
        raise ValueError

    await outcome(replica, job, retries=12)
    pauses = [after - before for before, after in pairwise(at)]
    middles = [min(300.0, 2.0**number) for number in range(12)]
    shares = [pause / middle for pause, middle in zip(pauses, middles, strict=True)]
    assert all(0.74 < share < 1.26 for share in shares), shares
    assert len({round(share, 3) for share in shares}) > 6


@virtual
async def test_only_retry_on_is_repeated(replica: Replica) -> None:
    """An error that retrying cannot mend ends the run at once; one that it can is retried."""
    errors: list[Exception] = [ConnectionResetError(), OSError(), KeyError("k")]

    async def job(run: RunContext) -> None:
        raise errors[run.attempt - 1]

    line = await outcome(replica, job, retries=9, retry_on=(OSError, TimeoutError))
    assert (line.status, line.attempt) == (Status.FAILED, 3)
    assert "KeyError" in line.detail


@virtual
async def test_a_coroutine_is_cancelled_at_its_time_limit(replica: Replica) -> None:
    """It ends on time, its clean-up runs, and the line says what the limit was."""
    cleaned: list[float] = []

    async def job() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            cleaned.append(replica.now())

    line = await outcome(replica, job, timeout=5)
    assert [round(at) for at in cleaned] == [5]
    assert line.status is Status.TIMED_OUT
    assert "limit of 5 s" in line.detail


@virtual
async def test_each_attempt_has_the_time_limit_anew(replica: Replica) -> None:
    """A time-out is repeated like any error, with a new deadline."""
    deadlines = []

    async def job(run: RunContext) -> None:
        deadlines.append(run.deadline)
        await asyncio.sleep(100 if run.attempt == 1 else 1)

    line = await outcome(replica, job, timeout=5, retries=1)
    assert (line.status, line.attempt) == (Status.SUCCEEDED, 2)
    assert deadlines[1] > deadlines[0]


@virtual
async def test_a_timeout_error_of_the_jobs_own_is_a_failure(replica: Replica) -> None:
    """Only the job's limit makes a run timed out, not a `TimeoutError` from within."""

    async def job() -> None:
        raise TimeoutError("of a socket")

    line = await outcome(replica, job, timeout=5)
    assert line.status is Status.FAILED
    assert "of a socket" in line.detail


@virtual
async def test_cancelling_a_task_of_its_own_is_no_ones_business(replica: Replica) -> None:
    """A job may cancel what it has started, and succeeds."""

    async def job() -> None:
        task = asyncio.ensure_future(asyncio.sleep(100))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert (await outcome(replica, job)).status is Status.SUCCEEDED


@virtual
async def test_a_run_that_is_asked_to_cancel_ends_with_the_next_beat(r: Replica) -> None:
    """The request travels with the renewal: the coroutine is cancelled, `run.cancelled` is set."""
    seen = []

    async def job(run: RunContext) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            seen.append(bool(run.cancelled))

    r.add("a", RARELY, job)
    async with r.running():
        await r.control.trigger("a", key="k")
        await asyncio.sleep(1)
        assert await r.backend.bus.cancel("a", "manual:k")
        await asyncio.sleep(4)
        (line,) = await r.lines()
    assert seen == [True]
    assert (line.status, line.detail) == (Status.FAILED, "it was cancelled by hand")


def test_what_a_run_made_is_let_go_before_its_end_is_recorded() -> None:
    """However long the store is away: of thousands that ended meanwhile little is kept."""

    class Thing:
        """Something to hold on to."""

    recording = threading.Event()
    made: list[weakref.ref[Thing]] = []
    variable: ContextVar[Thing] = ContextVar("variable")

    class Away(RamBus):
        async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
            if any(step.done for step in steps) and not recording.is_set():
                raise ConnectionError("it is away")
            return await super().commit(steps, locker)

    async def job() -> None:
        thing = Thing()
        made.append(weakref.ref(thing))
        variable.set(thing)

    backend = RamBackend("app")
    backend.bus = Away(backend.memory)
    s = Scheduler("app", backend=backend)
    s.add_job("a", RARELY, job)
    with s:
        s.blocking.trigger("a")
        until(lambda: bool(made) and made[0]() is None)
        assert s.blocking.jobs()[0].running
        recording.set()

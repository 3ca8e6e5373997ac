"""`schedcore.testing.VirtualClock`: jobs on virtual time, for the tests of whoever writes jobs."""

import asyncio
import logging
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from schedcore import (
    ConfigurationError,
    LifecycleError,
    RunContext,
    ScheduleError,
    Scheduler,
    Status,
    UnknownJobError,
)
from schedcore.testing import VirtualClock

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler("shop", backend="ram")


@pytest.mark.parametrize(
    ("day", "local"),
    [
        (datetime(2026, 3, 28, tzinfo=BERLIN), ["02:30+01:00"]),
        (datetime(2026, 3, 29, tzinfo=BERLIN), ["03:00+02:00"]),
        (datetime(2026, 10, 25, tzinfo=BERLIN), ["02:30+02:00"]),
    ],
)
def test_a_job_runs_as_its_zone_has_it_on_the_day_the_clocks_change(
    scheduler: Scheduler, day: datetime, local: list[str]
) -> None:
    """In the night without a 02:30 it runs after the gap, in the one with two of them once."""
    scheduler.add_job("report", "30 2 * * *", lambda: None, tz="Europe/Berlin")
    with VirtualClock(day) as clock:
        app = clock.start(scheduler)
        clock.advance(hours=24)
        runs = app.history("report")
    assert [run.scheduled_at.astimezone(BERLIN).isoformat()[11:16] for run in runs] == [local[0][:5]]
    assert [run.started_at and run.started_at.astimezone(BERLIN).isoformat()[-6:] for run in runs] == [
        local[0][5:]
    ]


def test_a_day_passes_in_well_under_a_second(scheduler: Scheduler) -> None:
    """Time is not waited for: a day with hourly runs, of coroutines that sleep, takes milliseconds."""
    seen: list[datetime] = []

    @scheduler.job("@every 1h")
    async def work(run: RunContext) -> None:
        await asyncio.sleep(30)
        seen.append(run.scheduled_at)

    began = time.process_time()
    with VirtualClock("2026-01-01T00:00Z") as clock:
        clock.start(scheduler)
        clock.advance(hours=24, seconds=30)
    assert len(seen) == 24
    assert time.process_time() - began < 2  # 0.2 s, on a machine that has nothing else to do


def test_what_is_due_at_the_very_end_happens(scheduler: Scheduler) -> None:
    """`advance` goes up to and including its end, and not a microsecond further."""
    scheduler.add_job("hourly", "@hourly", lambda: None)
    with VirtualClock("2026-01-01T00:30Z") as clock:
        app = clock.start(scheduler)
        clock.advance(minutes=29, seconds=59.999999)
        assert app.history("hourly") == []
        clock.advance(seconds=0.000001)
        (run,) = app.history("hourly")
        assert clock.now == datetime(2026, 1, 1, 1, tzinfo=UTC)
        assert (run.status, run.started_at) == (Status.SUCCEEDED, clock.now)


def test_a_timeout_and_a_retry_take_virtual_time(scheduler: Scheduler) -> None:
    """What the engine waits for passes as well: here a time limit of an hour, and the second attempt."""
    attempts: list[int] = []

    @scheduler.job("0 12 * * *", timeout=3600, retries=1)
    async def stuck(run: RunContext) -> None:
        attempts.append(run.attempt)
        if run.attempt == 1:
            raise ValueError("at first")
        await asyncio.sleep(7200)

    with VirtualClock("2026-01-01T00:00Z") as clock:
        app = clock.start(scheduler)
        clock.advance(hours=15)
        (run,) = app.history("stuck")
    assert (run.status, attempts) == (Status.TIMED_OUT, [1, 2])


def test_no_lease_is_in_doubt_however_long_a_run_takes(scheduler: Scheduler) -> None:
    """Beats are rare while nothing runs; a run has them every three seconds, also one that begins late."""
    doubted: list[bool] = []

    @scheduler.job("0 */5 * * *", on_doubt="cancel", overlap="allow")
    async def long(run: RunContext) -> None:
        await asyncio.sleep(6 * 3600)
        doubted.append(bool(run.in_doubt))

    with VirtualClock("2026-01-01T00:01Z") as clock:
        app = clock.start(scheduler)
        clock.advance(hours=24)
        assert app.health().losses == 0
        assert doubted == [False, False, False]


def test_it_is_asked_as_a_started_scheduler_is(scheduler: Scheduler) -> None:
    """Trigger and wait, pause, resume, jobs, health, remove: what `scheduler.blocking` has."""

    @scheduler.job("@every 1m")
    async def work(run: RunContext) -> None:
        await asyncio.sleep(10)

    with VirtualClock("2026-01-01T00:00Z") as clock:
        app = clock.start(scheduler)
        done = app.trigger("work", wait=True)
        assert done.outcome == "succeeded"
        assert (
            datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)
            <= clock.now
            < datetime(2026, 1, 1, 0, 0, 11, tzinfo=UTC)
        )
        app.pause("work")
        clock.advance(minutes=5)
        app.resume("work")
        (job,) = app.jobs()
        assert job.counters == {"paused": 5}
        assert app.health().running
        app.remove_job("work")
        clock.advance(minutes=5)
        with pytest.raises(UnknownJobError):
            app.remove_job("work")
        assert len(app.history("work", status=Status.SUCCEEDED)) == 1
    assert "1 jobs, not started" in repr(scheduler)


def test_two_schedulers_share_a_clock_and_nothing_else(scheduler: Scheduler) -> None:
    """Each app has its store; the same app twice is refused."""
    other = Scheduler("billing", backend="ram")
    for each in (scheduler, other):
        each.add_job("tick", "@every 1m", lambda: None)
    with VirtualClock("2026-01-01T00:00Z") as clock:
        apps = clock.start(scheduler), clock.start(other)
        clock.advance(minutes=3)
        assert [len(app.history("tick")) for app in apps] == [3, 3]
        with pytest.raises(LifecycleError, match="shop is started already"):
            clock.start(scheduler)


def test_a_job_that_fails_fails_as_ever(scheduler: Scheduler, caplog: pytest.LogCaptureFixture) -> None:
    """Its line in the history says why; the clock goes on."""
    scheduler.add_job("broken", "@hourly", lambda: {}["missing"])
    with VirtualClock("2026-01-01T00:00Z") as clock, caplog.at_level(logging.CRITICAL):
        app = clock.start(scheduler)
        clock.advance(hours=2)
        runs = app.history("broken")
    assert [(run.status, "KeyError" in run.detail) for run in runs] == [(Status.FAILED, True)] * 2


def test_closing_leaves_no_warning_behind(scheduler: Scheduler, caplog: pytest.LogCaptureFixture) -> None:
    """What still runs is cancelled without a word, and closing twice is no error."""

    @scheduler.job("@every 1m", overlap="allow")
    async def endless() -> None:
        await asyncio.Event().wait()

    with VirtualClock("2026-01-01T00:00Z") as clock:
        clock.start(scheduler)
        clock.advance(minutes=3)
    clock.close()
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_what_is_logged_on_virtual_time_names_the_schedulers_app(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    """As it does in production."""
    scheduler.add_job("fails", "@every 1m", lambda: 1 / 0)
    with VirtualClock("2026-01-01T00:00Z") as clock:
        clock.start(scheduler)
        clock.advance(minutes=1)
    assert [record.app for record in caplog.records] == ["shop"]


def test_a_clock_is_refused_what_it_cannot_do(scheduler: Scheduler) -> None:
    """No start that is no instant, no way back, and no blocking of a loop that runs."""
    for start in ("yesterday", "2026-01-01T00:00", datetime(2026, 1, 1)):  # noqa: DTZ001
        with pytest.raises(ScheduleError):
            VirtualClock(start)
    with VirtualClock("2026-01-01T00:00Z") as clock:
        assert repr(clock) == "<VirtualClock 2026-01-01T00:00:00+00:00>"
        with pytest.raises(ConfigurationError, match="cannot go back"):
            clock.advance(hours=-1)

        async def inside() -> None:
            with pytest.raises(LifecycleError, match="ordinary test function"):
                clock.start(scheduler)
            with pytest.raises(LifecycleError, match="ordinary test function"):
                clock.advance(hours=1)

        asyncio.run(inside())

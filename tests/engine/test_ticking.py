"""When the engine fires, and that it sleeps in between."""

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest
from tests.engine.replica import RARELY, Replica, second, virtual
from tests.engine.virtual import VirtualLoop, run_virtual

from sched_ram import RamBackend
from sched_ram._backend import RamBus
from schedcore import Kind, Scheduler, Status
from schedcore._burst import Burst
from schedcore._ticker import FIRST_CHUNK
from schedcore.protocols import Answer, Locker, Step


@virtual
async def test_jobs_start_at_their_times(replica: Replica) -> None:
    """Each job starts at each of its times, to the millisecond, and each start has its line."""
    replica.add("a", "@every 10s")
    replica.add("b", "@every 15s")
    async with replica.running():
        await asyncio.sleep(31)
        assert [round(at, 3) for at in replica.starts] == [10, 15, 20, 30, 30]
        lines = await replica.lines()
        assert [(r.scheduled_at, r.status, r.kind) for r in lines] == [
            (second(at), Status.SUCCEEDED, Kind.SCHEDULED) for at in (10, 20, 30)
        ]


@virtual
async def test_jitter_delays_the_start_and_not_the_identity(replica: Replica) -> None:
    """A job with jitter starts one constant offset late; its lines bear the scheduled times."""
    replica.add("a", "@every 10s", jitter=5)
    async with replica.running():
        await asyncio.sleep(39)
        offsets = {round(at % 10, 3) for at in replica.starts}
        assert len(offsets) == 1
        assert 0 < offsets.pop() < 5
        assert [r.scheduled_at for r in await replica.lines()] == [second(at) for at in (10, 20, 30)]


@virtual
async def test_start_at_and_until_bound_a_jobs_life(replica: Replica) -> None:
    """Both ends are included, and afterwards nothing more is to come."""
    replica.add("a", "@every 10s", start_at=second(20), until=second(40))
    async with replica.running() as engine:
        await asyncio.sleep(100)
        assert [round(at) for at in replica.starts] == [20, 30, 40]
        assert engine.ticker.next_due() is None
        assert await replica.counters() == {"succeeded": 3}
        (info,) = await replica.control.jobs(["a"])
        assert info.next_at is None


@virtual
async def test_a_disabled_job_has_no_times_and_can_be_triggered(replica: Replica) -> None:
    """`enabled=False` says what `jobs` shows, and leaves the job to those who trigger it."""
    replica.add("a", "@every 10s", enabled=False)
    async with replica.running():
        await asyncio.sleep(35)
        assert replica.starts == []
        (info,) = await replica.control.jobs()
        assert (info.state, info.next_at, info.counters) == ("disabled", None, {})
        assert (await replica.control.trigger("a", wait=True)).outcome == "succeeded"


@virtual
async def test_a_one_off_runs_once(replica: Replica) -> None:
    """A job at an instant runs then, and never again."""
    replica.add("a", second(12.5))
    async with replica.running():
        await asyncio.sleep(3600)
        assert [round(at, 3) for at in replica.starts] == [12.5]
        assert await replica.counters() == {"succeeded": 1}


@virtual
async def test_a_one_off_in_the_past_leaves_its_line(replica: Replica) -> None:
    """It is accepted, it is done, and the history says so."""
    replica.add("a", second(-5))
    async with replica.running():
        await asyncio.sleep(20)
        assert replica.starts == []
        (line,) = await replica.lines()
        assert (line.scheduled_at, line.status) == (second(-5), Status.MISSED)
        assert "in the past" in line.detail


@virtual
async def test_times_that_passed_while_nobody_ran_are_caught_up(replica: Replica) -> None:
    """A replica that comes back sends the newest of what is late; the others are one line."""
    replica.add("a", "@every 10s", grace=1)
    async with replica.running():
        await asyncio.sleep(15)
    await asyncio.sleep(600)
    replica.starts.clear()
    async with replica.running():
        await asyncio.sleep(1)
        assert [round(at) for at in replica.starts] == [615]
        first, missed, late = await replica.lines()
        assert (missed.status, missed.scheduled_at, missed.count) == (Status.MISSED, second(20), 59)
        assert (first.status, late.status) == (Status.SUCCEEDED, Status.SUCCEEDED)
        assert (late.kind, late.scheduled_at) == (Kind.LATE, second(610))


@virtual
async def test_an_idle_engine_wakes_for_the_beat_alone(replica: Replica) -> None:
    """Ten idle minutes take a few wake-ups per beat: nothing polls."""
    replica.add("a", RARELY)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    async with replica.running():
        await asyncio.sleep(1)
        selector, polls = loop._selector, 0
        select = selector.select

        def counted(timeout: float | None = None) -> object:
            nonlocal polls
            polls += timeout is None or timeout > 0
            return select(timeout)

        selector.select = counted
        await asyncio.sleep(600)
        selector.select = select
        # A beat wakes once; the watch over the leases, and a receive of 60 s, add a few.
        assert 200 <= polls <= 320, f"{polls} wake-ups in 200 beats"


@virtual
async def test_a_far_job_does_not_wake_the_engine_before_it_is_due(replica: Replica) -> None:
    """The ticker sleeps until the first of its heap, however many jobs lie behind."""
    for number in range(200):
        replica.add(f"j{number}", "@every 1h")
    replica.add("a", second(3599))
    async with replica.running() as engine:
        await asyncio.sleep(1)
        asked: list[float] = []
        next_due = engine.ticker.next_due
        engine.ticker.next_due = lambda: asked.append(replica.now()) or next_due()
        await asyncio.sleep(3597)
        assert asked == []
        await asyncio.sleep(1.5)
        assert replica.starts == [3599]


@virtual
async def test_many_jobs_of_one_instant_are_all_sent(replica: Replica) -> None:
    """A thousand jobs due together start together, each once."""
    for number in range(1000):
        replica.add(f"j{number}", "@every 10s")
    async with replica.running():
        await asyncio.sleep(15)
        assert replica.starts == [10.0] * 1000


@virtual
async def test_health_tells_beat_jobs_and_store(replica: Replica) -> None:
    """A healthy replica: connected, a fresh beat, nothing overdue, the store's epoch."""
    replica.add("a", "@every 10s")
    async with replica.running() as engine:
        await asyncio.sleep(25)
        health = engine.health()
        assert (health.running, health.connected, health.jobs, health.losses) == (True, True, 1, 0)
        assert health.last_beat is not None
        assert health.last_beat <= 3
        assert (health.lag, health.overdue) == (0, None)
        assert health.offset == 0
        assert health.epoch == replica.memory.epoch


def test_two_replicas_fire_each_time_once() -> None:
    """Over one store two engines start each scheduled time once between them."""

    async def play() -> None:
        first = Replica()
        second = Replica(type(first.backend)("app", memory=first.memory), "r1")
        for replica in (first, second):
            replica.add("a", "@every 1s")
        async with first.running(), second.running():
            await asyncio.sleep(60.5)
            assert sorted(first.starts + second.starts) == list(range(1, 61))
            assert await first.counters() == {"succeeded": 60}

    run_virtual(play())


@pytest.mark.parametrize("jobs", [20, 200])
def test_what_is_to_start_goes_before_the_record_of_what_has_ended(jobs: int) -> None:
    """Of many jobs due at one instant all have started, one behind the other, before an end is committed."""

    async def play() -> None:
        replica = Replica(concurrency=1)
        for number in range(jobs):
            replica.add(f"job-{number}", "@every 10s")
        started: list[int] = []
        commit = replica.backend.bus.commit

        async def noting(steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
            if any(step.done for step in steps):
                started.append(len(replica.starts))
            return await commit(steps, locker)

        replica.backend.bus.commit = noting
        async with replica.running():
            await asyncio.sleep(10.1)
            assert started[0] == jobs

    run_virtual(play())


def test_ends_are_recorded_however_busy_the_replica_is() -> None:
    """One start follows the other without a pause, and yet the ends are committed within a second."""

    async def play() -> None:
        replica = Replica(concurrency=1)

        async def brief() -> None:
            replica.note()
            await asyncio.sleep(0.001)

        for number in range(2000):
            replica.add(f"job-{number}", "@every 10s", brief)
        async with replica.running():
            await asyncio.sleep(11)
            assert 900 <= len(replica.starts) < 1100
            assert sum([bool(await replica.counters(f"job-{number}")) for number in range(2000)]) >= 400

    run_virtual(play())


def test_of_many_runs_a_second_each_is_recorded_before_the_jobs_next() -> None:
    """Somebody starts every millisecond, and no end waits for that: nothing is skipped."""

    async def play() -> None:
        replica = Replica()
        for number in range(100):
            replica.add(f"job-{number}", "@every 100ms", jitter=0.099)
        async with replica.running():
            await asyncio.sleep(3)
            infos = await replica.control.jobs()
            assert len({at % 0.1 // 0.001 for at in replica.starts}) > 50
            assert {status for info in infos for status in info.counters} == {"succeeded"}

    run_virtual(play())


def test_bursts_that_follow_each_other_do_not_put_off_the_record_for_ever() -> None:
    """However soon the next burst starts, what ended in the first is recorded once that has had its time."""

    async def play() -> None:
        burst = Burst()
        burst.begin(20)
        over = asyncio.create_task(burst.over())
        for _ in range(10):
            burst.begin(20)
            burst.started(())
            await asyncio.sleep(0.005)
        assert over.done()

    run_virtual(play())


def test_many_runs_of_one_job_are_recorded_a_few_times() -> None:
    """Each record writes the whole row: what follows of the same job is waited for, a moment."""

    async def play() -> None:
        replica = Replica(concurrency=10)

        async def brief() -> None:
            replica.note()
            await asyncio.sleep(0.001)

        replica.add("a", RARELY, brief, overlap="allow")
        async with replica.running():
            pass
        for number in range(300):
            await replica.control.trigger("a", key=str(number))
        recorded: list[int] = []
        commit = replica.backend.bus.commit

        async def noting(steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
            recorded.extend(len(step.done) for step in steps if step.done)
            return await commit(steps, locker)

        replica.backend.bus.commit = noting
        async with replica.running():
            await asyncio.sleep(1)
        assert sum(recorded) == len(replica.starts) == 300
        assert len(recorded) <= 10

    run_virtual(play())


def test_what_ends_together_is_told_together() -> None:
    """The ends of runs that ended in one turn of the loop that runs them are recorded with one call."""
    recorded: list[int] = []
    recording = threading.Event()

    class Noting(RamBus):
        async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
            if any(step.done for step in steps):
                recorded.append(len(steps))
                recording.set()
            return await super().commit(steps, locker)

    async def brief() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: time.sleep(0.005))  # the engine's thread has its chance in between

    backend = RamBackend("app")
    backend.bus = Noting(backend.memory)
    scheduler = Scheduler("app", backend=backend)
    for number in range(FIRST_CHUNK):
        scheduler.add_job(f"job-{number}", "@every 1s", brief)
    with scheduler:
        assert recording.wait(10)
    assert recorded == [FIRST_CHUNK]

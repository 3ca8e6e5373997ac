"""Stop and drain: what ends, what is given back, what lingers."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from tests.engine.replica import RARELY, Replica, events, scheduler, until, virtual

from sched_ram import Memory, RamBackend
from schedcore import Scheduler, Status


def on(memory: Memory, **options: float) -> Scheduler:
    """Make a scheduler on a memory that the test can look into."""
    return Scheduler("app", backend=RamBackend("app", memory=memory), **options)


def waiting(memory: Memory) -> list[str]:
    """List the jobs whose triggers wait for a replica."""
    return [
        item.trigger.job for items in memory.items.values() for item in items.values() if not item.replica
    ]


@virtual
async def test_runs_may_end_during_the_drain(replica: Replica) -> None:
    """What ends in time is recorded as ever, and nothing new is begun."""

    async def job() -> None:
        replica.note()
        await asyncio.sleep(8)

    replica.add("a", "@every 10s", job)
    replica.add("b", "@every 12s")
    async with replica.running(drain=20):
        await asyncio.sleep(10.5)
    assert replica.now() == 18
    assert replica.starts == [10]
    assert [line.status for line in await replica.lines()] == [Status.SUCCEEDED]


@virtual
async def test_an_idle_engine_stops_at_once(replica: Replica) -> None:
    """Nothing runs: nothing is waited for."""
    replica.add("a", RARELY)
    async with replica.running(drain=20):
        await asyncio.sleep(5)
    assert replica.now() == 5


@virtual
async def test_who_stops_is_no_longer_among_the_living(replica: Replica) -> None:
    """It says goodbye, so that nobody waits for its leases and another declares its jobs."""
    replica.add("a", RARELY)
    async with replica.running():
        assert [r.id for r in await replica.backend.store.replicas()] == ["r0"]
    assert list(await replica.backend.store.replicas()) == []


@virtual
async def test_a_coroutine_that_outlives_the_drain_is_cancelled_and_given_back(replica: Replica) -> None:
    """Its clean-up is awaited; the trigger waits for others under its number, and nothing is counted."""
    seen = []

    async def job() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(1)
            seen.append(replica.now())

    replica.add("a", "@every 10s", job)
    async with replica.running(drain=20):
        await asyncio.sleep(11)
    assert seen == [32]
    assert waiting(replica.memory) == ["a"]
    assert await replica.counters() == {}
    (item,) = replica.memory.items["a"].values()
    assert item.number == 1


@virtual
async def test_what_was_given_back_is_done_after_the_restart(replica: Replica) -> None:
    """The run begins again, and is counted once."""
    began = []

    async def job() -> None:
        began.append(replica.now())
        await asyncio.sleep(100 if len(began) == 1 else 1)

    replica.add("a", "@every 10s", job)
    async with replica.running(drain=1):
        await asyncio.sleep(11)
    async with replica.running(drain=1):
        await asyncio.sleep(2)
    assert began == [10, 12]
    assert await replica.counters() == {"succeeded": 1}


@virtual
async def test_at_most_once_is_lost_rather_than_given_back(replica: Replica) -> None:
    """It has begun and may not begin again: one line says so."""
    replica.add("a", "@every 10s", lambda: asyncio.sleep(0), delivery="at_most_once")

    async def job() -> None:
        await asyncio.sleep(100)

    replica.add("a", "@every 10s", job, delivery="at_most_once")
    async with replica.running(drain=1):
        await asyncio.sleep(11)
    (line,) = await replica.lines()
    assert line.status is Status.LOST
    assert "stopped before" in line.detail
    assert replica.memory.items == {}


@virtual
async def test_a_coroutine_that_ends_well_in_spite_of_its_cancellation_has_succeeded(
    replica: Replica,
) -> None:
    """What is done is done, and not repeated elsewhere."""

    async def job() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            replica.note()

    replica.add("a", "@every 10s", job)
    async with replica.running(drain=1):
        await asyncio.sleep(11)
    assert await replica.counters() == {"succeeded": 1}


@virtual
async def test_a_wait_between_attempts_is_cut_short_by_the_stop(replica: Replica) -> None:
    """A run that would be repeated in a minute is given back after the drain."""

    async def job() -> None:
        raise ValueError

    replica.add("a", "@every 10s", job, retries=10)
    async with replica.running(drain=2):
        await asyncio.sleep(60)
    assert replica.now() == 62
    assert waiting(replica.memory) == ["a"]


@virtual
async def test_what_has_not_begun_is_given_back_at_once(replica: Replica) -> None:
    """A delivery whose start is delayed, as that of a third one is, counts as nothing."""

    async def job() -> None:
        await asyncio.sleep(100)

    replica.add("a", "@every 10s", job)
    async with replica.running(drain=1):
        await asyncio.sleep(11)
    (item,) = replica.memory.items["a"].values()
    item.number = 3
    stopped = replica.now()
    async with replica.running(drain=20):
        await asyncio.sleep(1)
    assert replica.now() == stopped + 1
    assert waiting(replica.memory) == ["a"]
    assert item.number == 3


@virtual
async def test_a_coroutine_that_refuses_to_end_does_not_hold_the_stop_for_ever(replica: Replica) -> None:
    """It swallows its cancellation: after a few seconds the stop goes on, and gives it back."""
    may_end = False

    async def job() -> None:
        while not may_end:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                replica.note()

    replica.add("a", "@every 10s", job)
    async with replica.running(drain=1):
        await asyncio.sleep(11)
    assert replica.starts[0] == 12, "it was not cancelled when the drain was over"
    assert 12 < replica.now() < 25
    assert waiting(replica.memory) == ["a"]
    may_end = True
    await asyncio.sleep(2)


def test_a_plain_function_lingers_and_is_renewed(caplog: pytest.LogCaptureFixture) -> None:
    """After the drain `stop` returns and says what runs on; its lease is renewed, its end is recorded."""
    memory = Memory()
    s = on(memory, drain=0.05)
    began, may_end = threading.Event(), threading.Event()

    def job() -> None:
        began.set()
        may_end.wait(10)

    s.add_job("a", RARELY, job)
    s.start()
    s.blocking.trigger("a")
    assert began.wait(2)
    (item,) = memory.items["a"].values()
    deadline = item.deadline
    s.stop()
    assert "stop.lingering" in events(caplog.records)
    assert "kept until they end: a" in caplog.text
    assert item.replica, "a function that still runs was given back"
    until(lambda: item.deadline > deadline)
    may_end.set()
    until(lambda: not memory.items)
    assert memory.rows["a"].data.manual == {"succeeded": 1}
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("schedcore-app")])


def test_what_waits_for_a_thread_is_given_back() -> None:
    """With one thread, two of three have not begun when the stop comes: they go back at once."""
    memory = Memory()
    s = on(memory, drain=5, threads=1)
    may_end, ended = threading.Event(), []

    def job() -> None:
        may_end.wait(5)
        ended.append(1)

    s.add_job("a", RARELY, job, overlap="allow")
    s.start()
    for _ in range(3):
        s.blocking.trigger("a")
    until(lambda: s.blocking.health().runs == 3)
    stopping = threading.Thread(target=s.stop)
    stopping.start()
    until(lambda: len(waiting(memory)) == 2)
    may_end.set()
    stopping.join(5)
    assert ended == [1]
    assert len(waiting(memory)) == 2


def test_stop_takes_a_drain_of_its_own() -> None:
    """`stop(drain=...)` overrides the scheduler's, in seconds; 0 waits for nothing."""
    s = scheduler(drain=60)
    began = threading.Event()

    async def job() -> None:
        began.set()
        await asyncio.sleep(60)

    s.add_job("a", RARELY, job)
    s.start()
    s.blocking.trigger("a")
    assert began.wait(2)
    begin = time.monotonic()
    s.stop(drain=0)
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_a_run_that_just_ended_is_recorded_by_the_stop(kind: str) -> None:
    """Stopping right after a function has returned neither loses its end nor waits for the next beat."""
    memory = Memory()
    s = on(memory, drain=5)
    ended = threading.Event()

    async def coroutine() -> None:
        ended.set()

    function: Callable[[], object] = ended.set if kind == "plain" else coroutine
    s.add_job("a", RARELY, function)
    s.start()
    s.blocking.trigger("a")
    assert ended.wait(2)
    begin = time.monotonic()
    s.stop()
    assert time.monotonic() - begin < 0.8
    assert memory.rows["a"].data.manual == {"succeeded": 1}


def test_the_scheduler_runs_again_after_a_stop() -> None:
    """A stopped scheduler can be started again, as a new replica, with all that the backend kept."""
    s = scheduler()
    s.add_job("a", RARELY, lambda: None)
    replicas = []
    for _ in range(3):
        with s:
            assert s.blocking.trigger("a", wait=True, timeout=5).outcome == "succeeded"
            replicas.append(s.blocking.health().replica)
    assert len(set(replicas)) == 3
    with s:
        assert s.blocking.jobs()[0].manual == {"succeeded": 3}

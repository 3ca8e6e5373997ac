"""The watchdog: what does not happen is noticed, by a thread that needs neither the ticker nor the engine."""

import asyncio
import logging
import threading
import time
from typing import Any

import pytest
from tests.engine.replica import RARELY, Replica, events, nothing, scheduler, second, until, virtual
from tests.engine.virtual import run_virtual

from sched_ram import RamBackend
from schedcore import _watchdog
from schedcore._engine import Engine
from schedcore.protocols import Row


async def two_looks(engine: Engine) -> None:
    """Look twice, as its thread does."""
    for _ in range(2):
        await engine.watchdog.confirm(engine.watchdog.suspects())
        await asyncio.sleep(5)


def stop_ticker(engine: Engine) -> None:
    """Have the ticker sleep for ever."""
    engine.ticker._heap.clear()
    engine.ticker._at.clear()


@virtual
async def test_a_healthy_replica_suspects_nothing(replica: Replica) -> None:
    """While times are decided nothing is late, whatever the jobs are: frequent, paused, disabled, over."""
    replica.add("often", "@every 1s")
    replica.add("paused", "@every 10s")
    replica.add("disabled", "@every 10s", enabled=False)
    replica.add("over", "@every 10s", until=None)
    async with replica.running() as engine:
        await replica.control.pause("paused")
        for _ in range(30):
            await asyncio.sleep(10)
            assert engine.watchdog.suspects() == []
            assert engine.watchdog.overdue(1_000_000) == {}


def test_of_very_many_jobs_some_are_looked_at_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a round every one is; between two rounds those that are due soon are, and no others."""
    monkeypatch.setattr(_watchdog, "MOST", 10)
    monkeypatch.setattr(_watchdog, "ROUND", 3)
    looked: list[str] = []
    wake_at = _watchdog._rules.wake_at

    def note(row: Row, *more: Any) -> Any:
        looked.append(row.job)
        return wake_at(row, *more)

    async def play() -> None:
        replica, numbers = Replica(), []
        for number in range(60):
            replica.add(f"job-{number}", "@every 1m" if number % 10 == 0 else "@yearly")
        async with replica.running() as engine:
            await asyncio.sleep(70)
            stop_ticker(engine)
            await asyncio.sleep(100)
            monkeypatch.setattr(_watchdog._rules, "wake_at", note)
            for _ in range(4):
                looked.clear()
                suspects = engine.watchdog.suspects()
                numbers.append(len(looked))
            assert [job for job in suspects if job] == [f"job-{number}" for number in range(0, 60, 10)]
            assert max(numbers) <= 21 + 6
            await engine.remove(replica.jobs.pop("job-0"))
            for _ in range(4):
                engine.watchdog.suspects()
            assert "job-0" not in engine.watchdog._soon

    run_virtual(play())


def test_a_time_that_nobody_decides_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    """If the ticker is dead, and no other replica has the job, it is overdue: said once, and when it ends."""

    async def play() -> None:
        replica = Replica()
        replica.add("a", "@every 10s")
        async with replica.running() as engine:
            await asyncio.sleep(15)
            stop_ticker(engine)
            await asyncio.sleep(30)
            await two_looks(engine)
            assert engine.health().late == ()  # not for long enough
            await two_looks(engine)
            await two_looks(engine)
            health = engine.health()
            assert (health.late, health.stuck, health.live) == (("a",), "ticker", False)
            assert (health.overdue, health.lag > 40) == ("a", True)
            assert engine.ticker.behind() > 30_000_000
            engine.ticker._due.clear()
            engine.ticker.schedule(["a"])
            await asyncio.sleep(1)
            await two_looks(engine)
            health = engine.health()
            assert (health.late, health.live) == ((), True)

    run_virtual(play())
    assert [e for e in events(caplog.records) if e.startswith("job.")] == ["job.overdue", "job.decided"]


def test_a_ticker_that_is_stuck_beside_others_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    """Where other replicas decide the times, only this one is stuck: it is not live, and no job is late."""

    async def play() -> None:
        first = Replica()
        second = Replica(RamBackend("app", memory=first.memory), "r1")
        for replica in (first, second):
            replica.add("a", "@every 10s")
        async with first.running() as engine, second.running():
            await asyncio.sleep(15)
            stop_ticker(engine)
            await asyncio.sleep(60)
            await two_looks(engine)
            health = engine.health()
            assert (health.late, health.stuck, health.live, health.ready) == ((), "ticker", False, False)
            assert second.engine.health().ready
            engine.link.connected = False
            await two_looks(engine)
            assert engine.health().stuck == "ticker", "an outage of the store is no cure"

    run_virtual(play())
    assert "engine.stuck" in events(caplog.records)


@virtual
async def test_one_look_alone_proves_nothing(replica: Replica) -> None:
    """A process that was frozen, and thaws, looks before its ticker had its turn: that is no finding."""
    replica.add("a", "@every 10s")
    async with replica.running() as engine:
        await asyncio.sleep(15)
        stop_ticker(engine)
        await asyncio.sleep(60)
        assert engine.watchdog.suspects() == []
        assert engine.watchdog.suspects() == ["", "a"]


@virtual
async def test_while_the_store_is_away_nothing_is_concluded(replica: Replica) -> None:
    """Nobody can tell then whether others decide: what was found stays, and the outage is said anyway."""
    replica.add("a", "@every 10s")
    async with replica.running() as engine:
        await asyncio.sleep(15)
        stop_ticker(engine)
        await asyncio.sleep(60)
        rows = engine.backend.store.rows
        engine.backend.store.rows = away
        await two_looks(engine)
        assert engine.health().late == ()
        engine.backend.store.rows = rows
        await two_looks(engine)
        assert engine.health().late == ("a",)


async def away(*_: object) -> None:
    raise ConnectionError


def test_an_engine_whose_loop_is_blocked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Something keeps the engine's thread: health still answers, at once, and says that it is stuck."""
    monkeypatch.setattr(_watchdog, "LOOK", 0.05)
    monkeypatch.setattr(_watchdog, "ANSWER", 0.3)
    s = scheduler(app="watched")
    release = threading.Event()

    async def block() -> None:
        release.wait(20)

    with s, caplog.at_level(logging.WARNING, "schedcore"):
        assert s.blocking.health().ready
        service: Any = s._lifetime._service
        service.submit(block())
        try:
            until(lambda: s.blocking.health().stuck == "engine")
            began = time.monotonic()
            assert not s.glance().health.live
            assert time.monotonic() - began < 1
        finally:
            release.set()
        until(lambda: s.blocking.health().ready)
    told = [e for e in events(caplog.records) if e.startswith("engine.")]
    assert told == ["engine.stuck", "engine.unstuck"]
    assert not s.blocking.health().ready


def test_an_engine_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """However that came about: it is stuck."""
    monkeypatch.setattr(_watchdog, "LOOK", 0.05)
    s = scheduler(app="watched")
    with s:
        service: Any = s._lifetime._service

        async def cancel() -> None:
            service._running.cancel()

        service.submit(cancel()).result()
        until(lambda: s.blocking.health().stuck == "engine")


@virtual
async def test_the_end_of_a_pause_is_not_overlooked(replica: Replica) -> None:
    """While it holds nothing is overdue; its end leaves the row as it is: if nobody decides, the job is."""
    replica.add("a", "@every 10s")
    async with replica.running() as engine:
        await asyncio.sleep(15)
        await replica.control.pause("a", until=second(60))
        await engine.committer.read(["a"])
        engine.ticker.schedule(["a"])
        stop_ticker(engine)
        for _ in range(2):
            assert engine.watchdog.overdue() == {}
            await asyncio.sleep(20)
        assert engine.watchdog.overdue() == {}
        await asyncio.sleep(120)
        assert set(engine.watchdog.overdue()) == {"a"}


def test_while_runs_end_nothing_is_stuck(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A stop ends the ticker first and waits for runs: that times pass meanwhile is as it should be."""
    monkeypatch.setattr(_watchdog, "LOOK", 0.05)
    monkeypatch.setattr(_watchdog, "PATIENCE", 200_000)
    s = scheduler(app="watched")
    begun = threading.Event()

    def slow() -> None:
        begun.set()
        time.sleep(1.5)  # the watchdog has a thread of its own, which virtual time does not move

    s.add_job("slow", RARELY, slow)
    s.add_job("often", "@every 100ms", nothing)
    with s:
        s.blocking.trigger("slow")
        assert begun.wait(5)
    assert [e for e in events(caplog.records) if e.startswith(("engine.", "job."))] == []


def test_a_stop_ends_the_watch(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is found of a scheduler that was stopped, and its thread ends."""
    monkeypatch.setattr(_watchdog, "LOOK", 0.05)
    s = scheduler(app="watched")
    s.add_job("a", RARELY, lambda: None)
    for _ in range(2):
        with s:
            assert any(thread.name == "schedcore-watched-watchdog" for thread in threading.enumerate())
        until(lambda: all(thread.name != "schedcore-watched-watchdog" for thread in threading.enumerate()))
    assert [e for e in events(caplog.records) if e.startswith(("engine.", "watchdog."))] == []


def test_a_ticker_that_waits_for_an_answer_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """A call that neither answers nor fails keeps the ticker; the beat goes on, so it is not the store."""

    async def play() -> None:
        first = Replica()
        first.add("a", "@every 10s", overlap="allow")
        async with first.running() as engine:
            await asyncio.sleep(15)
            engine.backend.bus.commit = for_ever
            await asyncio.sleep(20)
            await two_looks(engine)
            assert engine.health().live
            await asyncio.sleep(30)
            await two_looks(engine)
            assert engine.health().stuck == "ticker"

    async def for_ever(*_: object) -> None:
        await asyncio.get_running_loop().create_future()

    run_virtual(play())


@virtual
async def test_after_an_outage_nothing_is_suspected(replica: Replica) -> None:
    """While the store is away the ticker waits, too; once it is back it needs a moment, and gets it."""
    replica.add("a", "@every 10s", overlap="allow")
    async with replica.running() as engine:
        commit = engine.backend.bus.commit
        engine.backend.bus.commit = away
        engine.backend.store.beat, beat = away, engine.backend.store.beat
        for _ in range(20):
            await asyncio.sleep(5)
            await engine.watchdog.confirm(engine.watchdog.suspects())
            assert engine.health().stuck == ""
        engine.backend.bus.commit = commit
        engine.backend.store.beat = beat
        for _ in range(20):
            await asyncio.sleep(1)
            await engine.watchdog.confirm(engine.watchdog.suspects())
            health = engine.health()
            assert (health.late, health.stuck) == ((), "")

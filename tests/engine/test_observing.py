"""The one place where a replica tells what happens: to observers, whatever these do."""

import asyncio
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from tests.engine.replica import RARELY, START_US, Replica, events, scheduler, virtual
from tests.engine.virtual import run_virtual

from schedcore import RunContext, Status
from schedcore._observers import Observers
from schedcore.watching import Ended, Event, LeaseLost, Recorded, Sent, Started, TakenOver


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def notice(self, event: Event) -> None:
        self.heard.append(event)

    def of(self, *kinds: type) -> list[Any]:
        """Tell what it heard of some kinds."""
        return [event for event in self.heard if isinstance(event, kinds)]


def listening(**options: Any) -> tuple[Replica, Listener]:
    """Make a replica, and who listens to it."""
    observers, listener = Observers(), Listener()
    observers.add(listener)
    return Replica(observers=observers, **options), listener


def test_the_way_of_a_run_is_told_in_order() -> None:
    """Sent, started, ended, recorded: each once, with the instants of the store's clock, jitter included."""

    async def play() -> None:
        replica, listener = listening()

        async def job(run: RunContext) -> None:
            await asyncio.sleep(2)
            run.progress(note="all")

        replica.add("a", "@every 10s", job, jitter=5)
        async with replica.running():
            await asyncio.sleep(19)
        jitter = replica.jobs["a"].spec.jitter
        sent, started, ended, recorded = listener.heard
        assert isinstance(sent, Sent)
        assert (sent.trigger.job, sent.due_at, sent.queued) == ("a", START_US + 10_000_000 + jitter, False)
        assert 0 <= sent.at - sent.due_at < 1000
        assert isinstance(started, Started)
        assert (started.due_at, started.run.job) == (sent.due_at, "a")
        assert isinstance(ended, Ended)
        assert ended.run is started.run
        assert (ended.status, ended.detail) == (Status.SUCCEEDED, "all")
        assert (ended.started_at, ended.at) == (started.at, started.at + 2_000_000)
        assert isinstance(recorded, Recorded)
        assert (recorded.line.status, recorded.line.key, recorded.due_at) == (
            Status.SUCCEEDED,
            sent.trigger.key,
            sent.due_at,
        )

    run_virtual(play())


def test_what_does_not_run_is_told_too() -> None:
    """Skipped, queued, failed and backfilled: each as what it is."""

    async def play() -> None:
        replica, listener = listening()
        replica.add("skips", "@every 10s", slow)
        replica.add("queues", "@every 10s", slow, overlap="queue_one")
        replica.add("fails", RARELY, lambda: 1 / 0)
        async with replica.running():
            await replica.control.trigger("fails", wait=True)
            await asyncio.sleep(24)
        statuses = {(e.line.job, e.line.status) for e in listener.of(Recorded)}
        assert {("skips", "skipped"), ("fails", "failed"), ("queues", "succeeded")} <= statuses
        assert [e.queued for e in listener.of(Sent) if e.trigger.job == "queues"] == [False, True]

    async def slow() -> None:
        await asyncio.sleep(12)

    run_virtual(play())


def test_a_take_over_is_told_by_both_sides() -> None:
    """Who takes over tells so, and who thawed and finds its lease gone does."""

    async def play() -> None:
        first, listener = listening()
        second, other = listening(backend=type(first.backend)("app", memory=first.memory), name="r1")
        for replica in (first, second):
            replica.add("a", RARELY, slow)
        async with first.running() as engine:
            await first.control.trigger("a", key="k")
            await asyncio.sleep(1)
            renew = engine.backend.bus.renew
            engine.backend.bus.renew = away
            async with second.running():
                await asyncio.sleep(20)
                assert [e.delivery.number for e in other.of(TakenOver)] == [2]
                engine.backend.bus.renew = renew
                await asyncio.sleep(5)
        assert [e.delivery.number for e in listener.of(LeaseLost)] == [1]
        assert [e.line.delivery for e in [*listener.of(Recorded), *other.of(Recorded)]] == [2]

    async def slow() -> None:
        await asyncio.sleep(22)

    async def away(*_: object) -> None:
        raise ConnectionError

    run_virtual(play())


def test_what_an_observer_raises_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Runs go on, other observers hear of them, and the log has one record of it."""

    class Broken:
        def notice(self, event: Event) -> None:
            raise ValueError("no disk")

    s = scheduler(app="observed")
    listener = Listener()
    s.observe(Broken())
    s.observe(listener)
    s.add_job("a", RARELY, lambda: None)
    with s, caplog.at_level(logging.ERROR):
        assert s.blocking.trigger("a", wait=True, timeout=5).outcome == "succeeded"
    assert [type(event) for event in listener.heard] == [Sent, Started, Ended, Recorded]
    assert events(caplog.records) == ["observer.failed"]


@pytest.fixture
def span() -> Iterator[ContextVar[str]]:
    """A variable of the kind in which a trace's span is kept."""
    return ContextVar("span", default="none")


@pytest.mark.parametrize("plain", [False, True])
def test_what_an_observer_sets_is_seen_by_the_function(span: ContextVar[str], plain: bool) -> None:
    """`Started` and `Ended` are told in the function's own context, in its thread or on its loop."""
    seen: list[str] = []

    class Tracing:
        def notice(self, event: Event) -> None:
            if isinstance(event, Started):
                span.set(event.run.key)
            if isinstance(event, Ended):
                seen.append(span.get())

    async def coroutine() -> None:
        seen.append(span.get())

    def function() -> None:
        seen.append(span.get())

    s = scheduler()
    s.observe(Tracing())
    s.add_job("a", RARELY, function if plain else coroutine)
    with s:
        s.blocking.trigger("a", key="k", wait=True, timeout=5)
    assert seen == ["manual:k", "manual:k"]
    assert span.get() == "none"


@virtual
async def test_a_run_that_is_given_back_has_no_status(replica: Replica) -> None:
    """A coroutine that a stop cuts short ends without a status: it will be run elsewhere."""
    observers, listener = Observers(), Listener()
    observers.add(listener)
    replica = Replica(observers=observers)

    async def job() -> None:
        await asyncio.sleep(100)

    replica.add("a", RARELY, job)
    async with replica.running(drain=0):
        await replica.control.trigger("a")
        await asyncio.sleep(1)
    assert [event.status for event in listener.of(Ended)] == [None]
    assert listener.of(Recorded) == []

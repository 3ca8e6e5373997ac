"""The store goes away, and comes back: said once, retried for ever, and no run is disturbed by it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import attrs
import pytest
from tests.engine.flaky import ALL, FlakyBackend
from tests.engine.replica import Replica, events, second
from tests.engine.virtual import run_virtual

from schedcore import RunContext, Status
from schedcore.protocols import Row, Step


def replica() -> tuple[Replica, FlakyBackend]:
    """Make a replica on a flaky backend; call it in virtual time."""
    plain = Replica()
    backend = FlakyBackend("app", memory=plain.memory)
    flaky = Replica(backend)
    flaky.memory = plain.memory
    flaky.control = plain.control
    return flaky, backend


def virtual(play: Callable[..., Awaitable[None]]) -> Callable[[pytest.LogCaptureFixture], None]:
    """Make a test of a coroutine function that is given a replica, its backend and the log."""

    def run(caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> None:
            await play(*replica(), caplog)

        run_virtual(main())

    run.__name__, run.__doc__, run.__module__ = play.__name__, play.__doc__, play.__module__
    return run


def test_each_call_may_fail_and_nothing_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """Whichever call is away for eight seconds, every time of the minute is accounted for, none ran twice."""

    async def play(method: str) -> None:
        r, backend = replica()
        r.add("a", "@every 1s", overlap="queue_all")
        async with r.running():
            await asyncio.sleep(20.5)
            backend.fail(method)
            await asyncio.sleep(8)
            backend.fail()
            await asyncio.sleep(32)
            assert await r.counters() == {"succeeded": 60}, method
            assert len(r.starts) == 60, method

    for method in ("commit", "receive", "lapsed", "rows", "beat", "renew"):
        run_virtual(play(method))
    assert events(caplog.records).count("store.away") == events(caplog.records).count("store.back")


def test_a_lost_reply_is_repeated_without_doing_it_twice() -> None:
    """The step was committed and its answer lost: the same step is sent again, and answers DONE."""

    async def play(method: str) -> None:
        r, backend = replica()
        r.add("a", "@every 1s", overlap="queue_all")
        async with r.running():
            for _ in range(30):
                await asyncio.sleep(1)
                for part in (backend.bus, backend.store):
                    part.lose_replies.add(method)
            await asyncio.sleep(15.5)
            for part in (backend.bus, backend.store):
                part.lose_replies.clear()
            await asyncio.sleep(15)
            assert await r.counters() == {"succeeded": len(set(r.starts))}, method
            assert len(r.starts) == len(set(r.starts)), method

    for method in ("commit", "beat", "rows"):
        run_virtual(play(method))


@virtual
async def test_an_outage_is_said_once_and_so_is_its_end(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """However many calls fail meanwhile, the log has one line for each, with the reason."""
    r.add("a", "@every 1s")
    async with r.running():
        for _ in range(2):
            await asyncio.sleep(10)
            backend.fail(*ALL)
            await asyncio.sleep(30)
            backend.fail()
        await asyncio.sleep(10)
    assert [e for e in events(caplog.records) if e.startswith("store.")] == ["store.away", "store.back"] * 2
    assert "connection refused" in caplog.text


@virtual
async def test_reconnecting_backs_off_to_two_seconds_at_most(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """A minute's outage costs some tries per caller, and two seconds after its end all is well."""
    r.add("a", "@every 1s")
    async with r.running() as engine:
        await asyncio.sleep(10)
        backend.fail(*ALL)
        calls: list[str] = backend.bus.calls
        before = len(calls)
        await asyncio.sleep(60)
        assert 30 < len(calls) - before < 200, "retries do not back off, or give up"
        backend.fail()
        await asyncio.sleep(2.1)
        assert engine.health().connected
        assert engine.health().lag < 1


@virtual
async def test_health_tells_of_an_outage(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """Not connected, the age of the last beat, and which job is overdue for how long."""
    r.add("a", "@every 10s")
    async with r.running() as engine:
        await asyncio.sleep(9.5)
        backend.fail(*ALL)
        await asyncio.sleep(30)
        health = engine.health()
        assert health.running
        assert not health.connected
        assert health.last_beat == pytest.approx(30.5, abs=0.1)
        backend.fail()
        await asyncio.sleep(5)
        assert engine.health().connected
        assert engine.health().last_beat < 4
    assert events(caplog.records)


@virtual
async def test_no_run_is_disturbed_by_an_outage(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told that its lease is in doubt, and goes on; once the store is back its end is recorded."""
    doubts = []

    async def job(run: RunContext) -> None:
        for _ in range(40):
            await asyncio.sleep(1)
            doubts.append(bool(run.in_doubt))

    r.add("a", "@every 1h", job)
    async with r.running():
        await r.control.trigger("a")
        await asyncio.sleep(5)
        backend.fail(*ALL)
        await asyncio.sleep(25)
        backend.fail()
        await asyncio.sleep(15)
        assert (await r.lines())[0].status is Status.SUCCEEDED
    assert doubts.index(True) in range(10, 16), "nine seconds after the last renewal the lease is in doubt"


@virtual
async def test_on_doubt_cancel_ends_the_run_in_time(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that must never overlap ends before its lease does, and the line says why."""
    ended = []

    async def job(run: RunContext) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            ended.append((r.now(), bool(run.cancelled)))

    r.add("a", "@every 1h", job, on_doubt="cancel")
    async with r.running():
        await r.control.trigger("a")
        await asyncio.sleep(4)
        backend.fail(*ALL)
        await asyncio.sleep(20)
        backend.fail()
        await asyncio.sleep(5)
        (line,) = await r.lines()
    ((at, cancelled),) = ended
    assert 9 <= at < 13
    assert cancelled
    assert (line.status, line.detail) == (Status.FAILED, "its lease could not be renewed in time")


@virtual
async def test_starting_while_the_store_is_away(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """It connects as soon as the store is there, and fires from then on."""
    r.add("a", "@every 10s")
    backend.fail(*ALL)
    asyncio.get_running_loop().call_later(25, backend.fail)
    async with r.running():
        assert 25 <= r.now() <= 27.1
        await asyncio.sleep(10)
        assert r.starts == [30]


@virtual
async def test_a_failure_inside_the_engine_restarts_it(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so with the traceback, begins again after a moment, and loses no time."""
    r.add("a", "@every 1s")
    async with r.running() as engine:
        await asyncio.sleep(5.5)
        pop = engine.ticker._pop_due

        def broken() -> list[str]:
            engine.ticker._pop_due = pop
            raise RuntimeError("a bug of ours")

        engine.ticker._pop_due = broken
        await asyncio.sleep(5)
        assert sum((await r.counters()).values()) == 10
    (record,) = [x for x in caplog.records if getattr(x, "event", "") == "engine.failed"]
    assert record.levelno == logging.ERROR
    assert "starts again in 1.0 s" in record.getMessage()
    assert record.exc_info


@virtual
async def test_an_engine_that_fails_again_and_again_waits_longer_each_time(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """Until a beat has gone well: then it has recovered."""
    r.add("a", "@every 1s")
    async with r.running() as engine:
        pop = engine.ticker._pop_due

        def broken() -> list[str]:
            raise RuntimeError("a bug of ours")

        engine.ticker._pop_due = broken
        await asyncio.sleep(12)
        engine.ticker._pop_due = pop
        await asyncio.sleep(20.5)
        engine.ticker._pop_due = broken
        await asyncio.sleep(1)
        engine.ticker._pop_due = pop
        await asyncio.sleep(5)
    said = [x.getMessage() for x in caplog.records if getattr(x, "event", "") == "engine.failed"]
    assert [text.partition("again in ")[2].partition(":")[0] for text in said] == [
        "1.0 s",
        "2.0 s",
        "4.0 s",
        "8.0 s",
        "1.0 s",
    ]


@virtual
async def test_one_garbage_row_does_not_stop_the_others(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """A definition that this release cannot read, declared by a newer one, stops no other job."""
    r.add("a", "@every 1s", lambda: None)
    r.add("b", "@every 1s")
    async with r.running():
        await asyncio.sleep(5.5)
        row: Row = r.memory.rows["a"]
        state = row.data.copy()
        state.spec = attrs.evolve(state.spec, expression="@lunar")
        state.declared_by, state.declared_at = "newer", state.declared_at + 10**15
        await r.backend.store.beat("newer", {}, 10**12)
        row = (await r.backend.store.rows(["a"]))[0]
        await r.backend.bus.commit([Step("garbage", "a", (("a", row.version),), state)], r.backend.locker)
        r.starts.clear()
        await asyncio.sleep(20)
        assert len(r.starts) >= 19, "one job's garbage stopped another"


@virtual
async def test_loss_of_data_is_announced_and_firing_pauses(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """After a flush the rows are put back, firing pauses for six seconds, and then goes on."""
    r.add("a", "@every 1s", overlap="allow")
    async with r.running() as engine:
        await asyncio.sleep(10.5)
        epoch = engine.health().epoch
        r.memory.clear()
        await asyncio.sleep(20)
        assert engine.health().losses == 1
        assert engine.health().epoch != epoch
    assert events(caplog.records).count("store.lost_data") == 1
    pauses = [after - before for before, after in zip(r.starts, r.starts[1:], strict=False)]
    assert 5 <= max(pauses) <= 10
    assert r.starts[-1] > 29


@virtual
async def test_another_server_without_a_loss_is_told_from_a_loss(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """A restart with all data pauses firing, while marks are compared, and is not called a loss."""
    r.add("a", "@every 1s", overlap="allow")
    backend.store.server = "one"
    async with r.running() as engine:
        await asyncio.sleep(10.5)
        backend.store.server = "two"
        await asyncio.sleep(20)
        assert engine.health().losses == 0
    assert events(caplog.records).count("store.moved") == 1
    assert events(caplog.records).count("store.lost_data") == 0
    assert len(r.starts) == 30, "what was due meanwhile was not sent afterwards"


@virtual
async def test_a_server_that_lacks_the_last_steps_has_lost_data(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """Its newest version is above all others by then; that a row fell back tells, and nothing runs twice."""
    ran: list[int] = []
    r.add("a", "@every 1s", lambda run: ran.append(run.scheduled_at.timestamp()), overlap="allow")
    backend.store.server = "the primary"
    async with r.running() as engine:
        await asyncio.sleep(10.2)
        (snapshot,) = await r.backend.store.rows(["a"])
        await asyncio.sleep(2)
        r.memory.rows["a"] = attrs.evolve(snapshot, held=None)
        backend.store.server = "the follower"
        await asyncio.sleep(20)
        assert engine.health().losses == 1
    assert events(caplog.records).count("store.lost_data") == 1
    assert len(ran) == len(set(ran)), "a time ran twice"


@virtual
async def test_what_a_loss_of_data_took_from_the_bus_is_recorded_lost(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """Under `allow` nobody would look for it before a thousand were outstanding."""

    async def long() -> None:
        await asyncio.sleep(3)

    r.add("a", "@every 5s", long, overlap="allow")
    async with r.running():
        await asyncio.sleep(11)
        r.memory.clear()
        await asyncio.sleep(13)
        (row,) = await r.backend.store.rows(["a"])
        assert row.data.counters["lost"] == 1
        assert set(row.data.outstanding) <= row.held


@virtual
async def test_an_audit_tells_what_a_loss_took(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """Times before it are unknown, and not unaccounted for; of several losses each is told."""
    r.add("a", "@every 10s")
    async with r.running():
        for _ in range(2):
            await asyncio.sleep(65)
            r.memory.clear()
            await asyncio.sleep(35.5)
        (found,) = await r.control.audit("a", after=second(0))
    told = [(stretch.found, stretch.count) for stretch in found.stretches]
    assert told == [("unknown", 6), ("unknown", 10), ("ran once", 4)], "one for each loss, and what was since"
    assert all(each.detail.startswith("the store lost data at 2026") for each in found.stretches[:2])
    assert found.is_sound


@virtual
async def test_a_row_that_somebody_put_back_with_less_is_not_believed(
    r: Replica, backend: FlakyBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """Its version is new and its mark is old: who remembers more merges, and no time runs twice."""
    ran: list[float] = []
    r.add("a", "@every 1s", lambda run: ran.append(run.scheduled_at.timestamp()), overlap="allow")
    async with r.running() as engine:
        await asyncio.sleep(10.2)
        (snapshot,) = await r.backend.store.rows(["a"])
        await asyncio.sleep(4)
        version = r.memory.next_version(r.memory.clock())
        r.memory.rows["a"] = attrs.evolve(snapshot, held=None, version=version)
        await asyncio.sleep(20)
        assert engine.health().losses == 1
    assert len(ran) == len(set(ran)), "a time ran twice"
    assert events(caplog.records).count("store.lost_data") == 1

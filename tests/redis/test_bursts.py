"""Replicas that want the same burst: who is late reads rows, and sends nothing."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from msgpack import packb
from tests.redis.world import RedisWorld

from sched_redis import RedisBackend, _changes
from sched_redis._bus import BURST, CHUNK, RedisBus
from sched_redis._client import Client
from schedcore import _ticker as ticking
from schedcore._clock import StoreClock, SystemClock
from schedcore._commit import Committer
from schedcore._control import OneTry
from schedcore._draft import Draft
from schedcore._state import DAY, JobState, Spec
from schedcore.protocols import APP_ROW, Backend, Row, Step, Verdict
from schedcore.testing.world import done, state, step, trigger

JOBS_AT_ONCE = BURST + 1
JOBS = [f"job-{number}" for number in range(BURST + 50)]


def note_sent(monkeypatch: pytest.MonkeyPatch, sent: list[int]) -> None:
    """From now on note how many steps each call sends."""
    commit = RedisBus._commit

    async def note(self: RedisBus, steps: list[Step], *more: int) -> object:
        sent.append(len(steps))
        return await commit(self, steps, *more)

    monkeypatch.setattr(RedisBus, "_commit", note)


def test_who_lost_a_burst_reads_before_the_next(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers are right either way: CHANGED with the row as it is, DONE where it came first."""
    sent: list[int] = []

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        winner, loser = await world.make_backends(2)
        rows = [Row(job) for job in JOBS]
        for mark in (1, 2):  # the first time it learns that it loses, the second time it looks first
            steps = [step(row, data=state(mark)) for row in rows]
            for each in steps[:60]:
                await done(winner, each)
            note_sent(monkeypatch, sent)
            mine = [step(row, data=state(-mark)) for row in rows]
            answers = await loser.bus.commit(mine, loser.locker)
            monkeypatch.undo()
            expected = [Verdict.CHANGED] * 60 + [Verdict.DONE] * (len(JOBS) - 60)
            assert [answer.verdict for answer in answers] == expected
            assert [answer.rows[0].data for answer in answers[:60]] == [state(mark)] * 60
            again = await loser.bus.commit(mine, loser.locker)
            assert [answer.verdict for answer in again] == expected, "repeated, it is answered as before"
            rows = list(await winner.store.rows(JOBS))
            assert [row.data for row in rows[60:]] == [state(-mark)] * (len(JOBS) - 60)
        await world.close()

    asyncio.run(scenario())
    assert sent == [len(JOBS), len(JOBS) - 60], "what was known to be late was sent"


def test_who_lost_a_burst_is_told_what_others_made_of_the_rows(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty replicas decide about thousands of rows: who lost reads none of them but long ones."""
    asked: list[str] = []
    send = Client._send

    async def note(self: Client, patience: float, *command: object) -> object:
        asked.append(str(command[0]))
        return await send(self, patience, *command)

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        winner, loser = await world.make_backends(2)
        rows = await lose(winner, loser, [Row(job) for job in JOBS], state(1))
        monkeypatch.setattr(Client, "_send", note)
        rows = await lose(winner, loser, rows, state(2))
        assert asked.count("HMGET") == 0, "rows were read"
        long = state(3)
        long.counters = {"x" * 1000: 1}
        await lose(winner, loser, rows, long)
        assert asked.count("HMGET") == 1
        monkeypatch.undo()
        await world.close()

    asyncio.run(scenario())


async def lose(winner: Backend, loser: Backend, rows: list[Row], data: JobState) -> list[Row]:
    """Both want these rows, and one of them this content; what the loser is told they are."""
    await winner.bus.commit([step(row, data=data) for row in rows], winner.locker)
    steps = [step(row, data=state(-1)) for row in rows]
    answers = await loser.bus.commit(steps, loser.locker)
    assert {answer.verdict for answer in answers} == {Verdict.CHANGED}
    told = [answer.rows[0] for answer in answers]
    read = await winner.store.rows(JOBS)
    assert [(row.job, row.version, row.data) for row in told] == [(r.job, r.version, r.data) for r in read]
    return told


def test_a_row_that_was_deleted_may_be_made_anew_by_who_lost_a_burst(redis_url: str) -> None:
    """Where there is no row, its version is what a step expects that never saw one."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        winner, loser = await world.make_backends(2)
        rows = await lose(winner, loser, [Row(job) for job in JOBS], state(1))
        await winner.bus.commit([step(row, data=None) for row in rows], winner.locker)
        answers = await loser.bus.commit([step(Row(job), data=state(2)) for job in JOBS], loser.locker)
        assert {answer.verdict for answer in answers} == {Verdict.DONE}
        await world.close()

    asyncio.run(scenario())


def test_what_was_made_of_rows_may_be_forgotten(redis_url: str) -> None:
    """What a replica was told before some of it was dropped does not count any more."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        winner, loser = await world.make_backends(2)
        assert isinstance(winner, RedisBackend)
        rows = await lose(winner, loser, [Row(job) for job in JOBS], state(1))
        other = await done(winner, step(Row("other"), data=state(1)))
        rows = await lose(
            winner, loser, rows, state(2)
        )  # and it is told of the other row, which it does not want
        other = await done(winner, step(other, data=state(2)))
        await winner._client.call("DEL", world.keys.changes)
        await winner.bus.commit([step(row, data=state(3)) for row in rows], winner.locker)
        late = [*[step(row, data=state(3)) for row in rows], step(Row("other"), data=state(1))]
        answers = await loser.bus.commit(late, loser.locker)
        assert {answer.verdict for answer in answers} == {Verdict.CHANGED}
        told = answers[-1].rows[0]
        assert (told.version, told.data) == (other.version, state(2))
        await world.close()

    asyncio.run(scenario())


def test_one_look_serves_for_the_other_chunks_of_a_burst(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless a step expects a newer version of a row beside its own than was read then."""
    looks = 0
    calls = Client.calls

    async def note(self: Client, *commands: Sequence[str]) -> object:
        nonlocal looks
        looks += 1
        return await calls(self, *commands)

    async def scenario() -> list[int]:
        world = RedisWorld(redis_url)
        winner, loser = await world.make_backends(2)
        app = await done(winner, step(Row(APP_ROW), data=state(1)))
        names = [f"job-{number}" for number in range(3 * JOBS_AT_ONCE)]
        rows = [Row(job) for job in names]
        await winner.bus.commit([step(row, data=state(1)) for row in rows], winner.locker)
        await loser.bus.commit([step(rows[0], app, data=state(1))], loser.locker)  # it learns that it loses
        monkeypatch.setattr(Client, "calls", note)
        monkeypatch.setattr(_changes, "FRESH", 60.0)
        after = []
        for start in range(0, len(rows), JOBS_AT_ONCE):
            if start == 2 * JOBS_AT_ONCE:
                app = await done(winner, step(app, data=state(2)))
            steps = [step(row, app, data=state(1)) for row in rows[start : start + JOBS_AT_ONCE]]
            answers = await loser.bus.commit(steps, loser.locker)
            assert {answer.verdict for answer in answers} == {Verdict.CHANGED}
            assert {answer.rows[1].version for answer in answers} == {app.version}
            after.append(looks)
        monkeypatch.undo()
        await world.close()
        return after

    assert asyncio.run(scenario()) == [1, 1, 2]


def test_who_lost_a_burst_waits_as_long_as_others_go_on(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow they are: what it sent meanwhile would be in vain."""
    sent: list[int] = []

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        winner, loser = await world.make_backends(2)
        rows = await lose(winner, loser, [Row(job) for job in JOBS], state(1))
        assert isinstance(winner, RedisBackend)
        await winner._client.call("SET", world.keys.lock("burst"), "of somebody else", "PX", 60_000)
        left, look = list(rows), _changes.Changes.read

        async def slowly(self: _changes.Changes, *question: Any) -> bool:
            await done(winner, *[step(row, data=state(2)) for row in left[:5]])
            del left[:5]
            return await look(self, *question)

        note_sent(monkeypatch, sent)
        monkeypatch.setattr(_changes.Changes, "read", slowly)
        monkeypatch.setattr(_changes, "TURNS", 2)
        monkeypatch.setattr(_changes, "LONGEST", 0.001)
        answers = await loser.bus.commit([step(row, data=state(-1)) for row in rows], loser.locker)
        assert {answer.verdict for answer in answers} == {Verdict.CHANGED}
        assert max(sent) == 5, "what others were at was sent"
        monkeypatch.undo()
        await world.close()

    asyncio.run(scenario())


def test_who_comes_too_late_for_a_burst_sends_its_first_chunk_only(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That one tells that others are faster: fifty replicas would send the next ones all at once."""
    sent: list[int] = []

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        clock, jobs = StoreClock(SystemClock()), [f"job-{number}" for number in range(3 * ticking.CHUNK)]
        replicas = [Committer(backend, OneTry(), "r") for backend in await world.make_backends(2)]
        begin = clock.now() - DAY
        born = JobState(Spec("@every 24h"), begin, begin, "r0", begin)
        await replicas[0].apply(jobs, lambda row, _: Draft(row, born) if row.data is None else None)
        await replicas[1].read(jobs)
        for committer in replicas:
            sent.clear()
            note_sent(monkeypatch, sent)
            ticker = ticking.Ticker(committer, clock, Random(), lambda _: None)
            ticker.schedule(jobs)
            await ticker._decide_all(ticker._pop_due())
            monkeypatch.undo()
        await world.close()

    asyncio.run(scenario())
    assert list(filter(None, sent)) == [ticking.FIRST_CHUNK]


def test_who_has_the_turn_goes_on_with_it(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lost lately gives others a moment once, not with each chunk."""
    waits: list[float] = []

    class Noting(Random):
        def uniform(self, a: float, b: float) -> float:
            waits.append(b)
            return super().uniform(a, b)

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        winner, loser = await world.make_backends(2)
        rows = await lose(winner, loser, [Row(job) for job in JOBS], state(1))
        assert isinstance(loser, RedisBackend)
        loser.bus._changes._random = Noting()
        monkeypatch.setattr(_changes, "TURN_MS", 60_000)
        for mark in (2, 3, 4):
            answers = await loser.bus.commit([step(row, data=state(mark)) for row in rows], loser.locker)
            assert {answer.verdict for answer in answers} == {Verdict.DONE}
            rows = [answer.rows[0] for answer in answers]
        monkeypatch.undo()
        await world.close()

    asyncio.run(scenario())
    assert len(waits) == 1


def test_steps_that_send_much_travel_few_at_a_time(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis does nothing else while it commits; a step is never cut."""
    sent: list[list[int]] = []
    commit = RedisBus._commit

    async def note(self: RedisBus, steps: list[Step], *more: int) -> object:
        sent.append([len(step.send) for step in steps])
        return await commit(self, steps, *more)

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        (backend,) = await world.make_backends(1)
        monkeypatch.setattr(RedisBus, "_commit", note)
        sizes = [1, CHUNK + 1, 1, *[100] * 5]
        steps = [
            step(Row(f"job-{place}"), send=tuple(trigger(f"job-{place}", at) for at in range(size)))
            for place, size in enumerate(sizes)
        ]
        await done(backend, *steps)
        monkeypatch.undo()
        await world.close()

    asyncio.run(scenario())
    assert sent == [[1], [CHUNK + 1], [1, 100, 100], [100, 100], [100]]


def test_garbage_among_the_changes_hinders_nobody(redis_url: str) -> None:
    """What is no change is passed over, and what comes after it is read."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        first, second = await world.make_backends(2)
        assert isinstance(first, RedisBackend)
        assert isinstance(second, RedisBackend)
        row = await done(first, step(Row("a")))
        client, changes = first._client, first._client.keys.changes
        for field, value in (("x", ""), ("5", "not msgpack"), ("7", packb(["a"])), ("8", packb([1, 2]))):
            await client.call("XADD", changes, "*", field, value)
        await done(first, step(row, data=state(3)))
        late = step(row, data=state(3))
        await second.bus._changes.read([late], "r1")
        assert second.bus._changes.has(late)
        await world.close()

    asyncio.run(scenario())


def test_what_waits_behind_the_first_read_is_taken_with_the_same_call(redis_url: str) -> None:
    """Who waited gets as much as there are places for, and no more."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        (backend,) = await world.make_backends(1)
        await done(backend, step(Row("a"), send=tuple(trigger("a", at) for at in range(80))))
        jobs = frozenset("a")
        taken = [len(await backend.bus.receive(jobs, places, 1_000_000)) for places in (50, 10, 30)]
        assert taken == [50, 10, 20]
        await world.close()

    asyncio.run(scenario())

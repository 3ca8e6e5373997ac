"""Replicas that want the same burst: who is late reads rows, and sends nothing."""

import asyncio

import pytest
from tests.redis.world import RedisWorld

from sched_redis._bus import BURST, RedisBus
from schedcore.protocols import Row, Step, Verdict
from schedcore.testing.world import done, state, step

JOBS = [f"job-{number}" for number in range(BURST + 50)]


def test_who_lost_a_burst_reads_before_the_next(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers are right either way: CHANGED with the row as it is, DONE where it came first."""
    sent: list[int] = []
    commit = RedisBus._commit

    async def note(self: RedisBus, steps: list[Step], *more: int) -> object:
        sent.append(len(steps))
        return await commit(self, steps, *more)

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        winner, loser = await world.make_backends(2)
        rows = [Row(job) for job in JOBS]
        for mark in (1, 2):  # the first time it learns that it loses, the second time it looks first
            steps = [step(row, data=state(mark)) for row in rows]
            for each in steps[:60]:
                await done(winner, each)
            monkeypatch.setattr(RedisBus, "_commit", note)
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

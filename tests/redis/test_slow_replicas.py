"""A replica that is slower than its job's row changes comes to its turn all the same."""

import asyncio

from tests.redis.world import RedisWorld

from sched_redis import RedisBackend
from schedcore._commit import Committer
from schedcore._draft import Draft
from schedcore._link import OneTry
from schedcore.protocols import ROW, Row, Verdict
from schedcore.testing.world import done, row_of, state, step


class SlowLink(OneTry):
    """Half a second from a rule to the server."""

    async def call(self, attempt):
        """Wait, then call."""
        await asyncio.sleep(0.25)
        return await super().call(attempt)


def test_who_comes_too_late_again_and_again_is_let_through(redis_url: str) -> None:
    """It announces its next step, and the others are HELD meanwhile, for a moment."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        slow, fast = await world.make_backends(2)
        await done(slow, step(Row("a"), data=state()))
        seen = {"done": 0, "held": 0}
        busy = asyncio.create_task(_keep_changing(fast, seen))
        committer = Committer(slow, SlowLink(), "r0")
        async with asyncio.timeout(20):
            await committer.apply(["a"], _rule, app=False)
        before = seen["done"]
        await asyncio.sleep(1)  # released: nobody waits for the end of the lock
        busy.cancel()
        assert seen["done"] > before + 3
        assert seen["held"]
        await world.close()

    asyncio.run(scenario())


def test_a_row_that_is_reserved_is_held_for_all_others(redis_url: str) -> None:
    """Until it is released, and no other row with it."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        first, second = await world.make_backends(2)
        rows = [await done(first, step(Row(job))) for job in ("a", "b")]
        assert await first.locker.acquire(ROW + "a", "r0", 1_000_000)
        steps = [step(row, data=state(1)) for row in rows]
        verdicts = [answer.verdict for answer in await second.bus.commit(steps, second.locker)]
        assert verdicts == [Verdict.HELD, Verdict.DONE]
        assert not await second.locker.release(ROW + "a", "r1")
        await done(first, step(rows[0], data=state(2)))
        await first.locker.release(ROW + "a", "r0")
        await done(second, step(await row_of(second), data=state(3)))
        await first.locker.acquire(ROW + "a", "r0", 200_000)
        await asyncio.sleep(0.25)
        await done(second, step(await row_of(second), data=state(4)))
        await world.close()

    asyncio.run(scenario())


def _rule(row: Row, _: Row) -> Draft:
    draft = Draft(row)
    draft.state.mark = 10**9
    return draft


async def _keep_changing(backend: RedisBackend, seen: dict[str, int]) -> None:
    while True:
        row = await row_of(backend)
        (answer,) = await backend.bus.commit([step(row, data=row.data.copy())], backend.locker)
        if answer.verdict in seen:
            seen[answer.verdict] += 1
        await asyncio.sleep(0.05)


def test_a_reservation_that_ran_out_leaves_nothing_behind(redis_url: str) -> None:
    """Whoever was so slow that it had run out forgets it all the same, and nobody else's."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        first, second = await world.make_backends(2)
        client, meta = first._client, world.keys.meta
        for job in ("a", "b"):
            assert await first.locker.acquire(ROW + job, "r0", 1_000)
        await asyncio.sleep(0.05)
        assert await second.locker.acquire(ROW + "b", "r1", 10_000_000)
        for job in ("a", "b"):
            assert not await first.locker.release(ROW + job, "r0")
        assert await client.call("HKEYS", meta) == [b"locked_until", b"row b"]
        await world.close()

    asyncio.run(scenario())


def test_a_slow_replica_does_not_keep_itself_from_its_turn(redis_url: str) -> None:
    """What it has to say of a row waits no longer for what else it does to that row, however often."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        (slow,) = await world.make_backends(1)
        await done(slow, step(Row("a"), data=state()))
        committer = Committer(slow, SlowLink(), "r0")
        await committer.read(["a"])

        async def tick_for_ever() -> None:
            while True:
                await committer.apply(["a"], _touch, app=False)

        ticking = asyncio.create_task(tick_for_ever())
        await asyncio.sleep(0.125)
        async with asyncio.timeout(10):
            await committer.apply(["a"], _rule, app=False)
            await committer.apply(["a"], _rule, app=False)
        assert not ticking.done()
        ticking.cancel()
        await world.close()

    asyncio.run(scenario())


def _touch(row: Row, _: Row) -> Draft:
    return Draft(row)

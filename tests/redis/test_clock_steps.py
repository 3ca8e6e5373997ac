"""The server's clock is set back: what was noted ahead of it does not last that much longer.

What a server notes by itself, how long an entry has been idle, cannot be put ahead of its clock from outside:
the entries here are aged instead, and seen to begin anew.
"""

import asyncio

from tests.redis.world import RedisWorld

from sched_redis import RedisBackend
from schedcore.testing.world import LEASE, SECOND, TTL, beat, delivered, lapse

HOUR = 3600 * SECOND
JOBS = frozenset("a")


async def _set_back(backend: RedisBackend, by: int) -> None:
    """Put what the app has noted ahead of the clock: as after a jump ahead, once it is corrected."""
    client, keys = backend._client, backend._client.keys
    ahead = await backend.store.now() + by
    await client.call("HSET", keys.meta, "beat", str(ahead), "no_take_over_until", str(ahead + LEASE))
    for name in await client.call("ZRANGE", keys.alive, "0", "-1"):
        await client.call("ZADD", keys.alive, str(ahead + TTL), name)


def test_the_dead_are_taken_over_a_lease_after_the_clock_was_set_back(redis_url: str) -> None:
    """And not at once: its owners, who live, could not renew by a clock that was wrong."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        first, second = await world.make_backends(2)
        held = await delivered(first)
        await lapse(world, first, second)
        assert await second.bus.lapsed(JOBS, 10) == [held]
        await _set_back(second, HOUR)
        alive = (await second.store.beat("r1", {}, TTL)).alive
        assert alive == {"r0", "r1"}
        assert not await second.bus.lapsed(JOBS, 10), "taken over before its owner could renew"
        for _ in range(4):
            await world.advance(3 * SECOND)
            alive = (await second.store.beat("r1", {}, TTL)).alive
        assert alive == {"r1"}, "whoever is dead counts as living for as long as the clock was ahead"
        assert await second.bus.lapsed(JOBS, 10) == [held], "stranded for as long as the clock was ahead"
        await world.close()

    asyncio.run(scenario())


def test_a_clock_that_is_corrected_by_a_little_changes_nothing(redis_url: str) -> None:
    """What has lapsed may be taken over at once."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        first, second = await world.make_backends(2)
        held = await delivered(first)
        await lapse(world, first, second)
        client, keys = second._client, second._client.keys
        await client.call("HSET", keys.meta, "beat", str(await second.store.now() + SECOND // 2))
        await beat(first, second)
        assert await second.bus.lapsed(JOBS, 10) == [held]
        await world.close()

    asyncio.run(scenario())

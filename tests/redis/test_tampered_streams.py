"""Somebody takes triggers out of the stream, or has the group skip them: the next sweep puts that right."""

import asyncio
from collections.abc import Sequence

import pytest
import redis.asyncio as redis
from tests.redis.world import RedisWorld

from sched_redis._keys import GROUP
from schedcore.protocols import Delivery
from schedcore.testing.world import LEASE, beat, lapse, send, take, trigger

JOBS = frozenset("a")
HARM = ["XDEL", "XTRIM", "SETID $"]


async def tamper(world: RedisWorld, how: str) -> None:
    stream = world.keys.stream
    async with redis.Redis.from_url(world.url) as client:
        if how == "XDEL":
            await client.xdel(stream, *[id_ for id_, _ in await client.xrange(stream)])
        elif how == "XTRIM":
            await client.xtrim(stream, maxlen=0, approximate=False)
        else:
            await client.xgroup_setid(stream, GROUP, "$")


@pytest.mark.parametrize("how", HARM)
def test_what_nobody_has_read_is_offered_again(redis_url: str, how: str) -> None:
    """It would block its job for ever, since the bus still has it."""

    async def scenario() -> Sequence[Delivery]:
        world = RedisWorld(redis_url)
        (backend,) = await world.make_backends(1)
        await beat(backend)
        await send(backend, trigger())
        await tamper(world, how)
        assert not await backend.bus.receive(JOBS, 1, 100_000)
        await backend.bus.lapsed(JOBS, 1)
        received = await backend.bus.receive(JOBS, 9, 1_000_000)
        await world.close()
        return received

    assert [(d.trigger, d.number) for d in asyncio.run(scenario())] == [(trigger(), 1)]


@pytest.mark.parametrize("how", HARM)
def test_what_a_dead_replica_held_is_taken_over(redis_url: str, how: str) -> None:
    """A lease after the sweep that has noticed."""

    async def scenario() -> Sequence[Delivery]:
        world = RedisWorld(redis_url)
        backends = await world.make_backends(2)
        await send(backends[0], trigger())
        assert await take(backends[0])
        await tamper(world, how)
        for _ in range(2):
            await lapse(world, *backends)
            lapsed = await backends[1].bus.lapsed(JOBS, 9)
        taken = await backends[1].bus.take_over(lapsed)
        await world.close()
        return taken

    assert [(d.trigger, d.number) for d in asyncio.run(scenario())] == [(trigger(), 2)]


def test_what_was_put_back_does_not_prolong_other_leases(redis_url: str) -> None:
    """Somebody who removes entries all the time does not keep what a dead replica held from its successor."""

    async def scenario() -> int:
        world = RedisWorld(redis_url)
        backends = await world.make_backends(2)
        await send(backends[0], trigger())
        assert await take(backends[0])
        await world.advance(LEASE)
        await send(backends[0], trigger(at=1), job="b")
        async with redis.Redis.from_url(redis_url) as client:
            newest = (await client.xrevrange(world.keys.stream, count=1))[0][0]
            await client.xdel(world.keys.stream, newest)
            await backends[1].bus.lapsed(JOBS, 9)
            (pending,) = await client.xpending_range(world.keys.stream, GROUP, "-", "+", 9)
        await world.close()
        return int(pending["time_since_delivered"])

    assert asyncio.run(scenario()) >= LEASE // 1000

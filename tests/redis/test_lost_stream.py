"""A stream that somebody removed is made anew with what was in it, whoever dies meanwhile."""

import asyncio

from tests.redis.world import RedisWorld

from schedcore.protocols import Row
from schedcore.testing.world import beat, done, row_of, send, step, trigger

WAIT = 2_000_000


def test_who_makes_the_group_offers_what_was_in_it_in_the_same_moment(redis_url: str) -> None:
    """Had it died between the two, nobody would ever have come across these triggers again."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        first, second = await world.make_backends(2)
        await done(first, step(Row("a")))
        await send(first, trigger(key="1"), trigger(key="2"))
        await beat(first)
        client = first._client
        await client.call("DEL", client.keys.stream)
        await _die_after_one_command(first)
        received = []
        for _ in range(5):  # they may come one by one
            if len(received) < 2:
                received += await second.bus.receive(frozenset("a"), 10, WAIT)
        assert sorted(delivery.trigger.key for delivery in received) == ["1", "2"]
        await done(second, step(await row_of(second), done=tuple(received)))
        await world.close()

    async def _die_after_one_command(backend):
        client = backend._client
        send_it, sent = client._send, []

        async def once(*command: object) -> object:
            assert not sent, "dead"
            sent.append(command)
            return await send_it(*command)

        client._send = once
        try:
            await client.make_group()
        except AssertionError:
            pass
        finally:
            client._send = send_it

    asyncio.run(scenario())


def test_an_entry_that_took_anothers_id_hides_nothing(redis_url: str) -> None:
    """Ids are times: a stream that is made anew within a millisecond gives those of before to others."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        (backend,) = await world.make_backends(1)
        await send(backend, trigger(key="1"), trigger(key="2"))
        client, stream = backend._client, world.keys.stream
        (first, _), *_ = await client.call("XRANGE", stream, "-", "+")
        await client.call("DEL", stream)
        await client.call("XADD", stream, first, "trigger", "a 2")
        await beat(backend)
        received = []
        for _ in range(5):
            if len(received) < 2:
                received += await backend.bus.receive(frozenset("a"), 10, WAIT)
        assert sorted(delivery.trigger.key for delivery in received) == ["1", "2"]
        await done(backend, step(await row_of(backend), done=tuple(received)))
        await world.close()

    asyncio.run(scenario())

"""What is in an app's keys and no release wrote: it is said, and everything else goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis as redis_sync
import redis.asyncio as redis
from tests.redis.world import RedisWorld

from schedcore import Scheduler, Status, StoreUnavailableError
from schedcore.codec import Unknown
from schedcore.protocols import Row
from schedcore.testing.world import done, lapse, line, row_of, send, step, take, trigger


def play(url: str, story: Callable[[RedisWorld, Any], Awaitable[None]]) -> None:
    """Run a story on an app of its own."""

    async def run() -> None:
        world = RedisWorld(url)
        async with redis.Redis.from_url(url) as client:
            try:
                await story(world, client)
            finally:
                await world.close()

    asyncio.run(run())


def test_a_trigger_that_cannot_be_read_stops_no_other(redis_url: str) -> None:
    """Neither reading nor sweeping nor listing fails; its entry is dropped from the stream."""

    async def story(world: RedisWorld, client: Any) -> None:
        first, second = await world.make_backends(2)
        await client.hset(world.keys.triggers, "a 9", b"garbage")
        await client.xadd(world.keys.stream, {"trigger": "a 9"})
        await client.zadd(world.keys.held, {"a 9": 0})
        await send(first, trigger(at=1))
        (delivery,) = await first.bus.receive(frozenset("a"), 10, 1_000_000)
        assert delivery.trigger.key == "1"
        assert await client.xlen(world.keys.stream) == 1
        await client.xadd(world.keys.stream, {"trigger": "a 9"})
        assert list(await take(second)) == []
        await client.xreadgroup("schedcore", "dead", {world.keys.stream: ">"})
        assert [held.delivery for held in await second.store.held()] == [delivery]
        await lapse(world, first, second)
        assert list(await second.bus.lapsed(frozenset("a"), 10)) == [delivery]
        await done(first, step(await row_of(first), done=(delivery,)))

    play(redis_url, story)


def test_a_run_that_ended_after_its_entry_was_read_is_no_garbage(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who reads its pending list anew, as after each cut, meets what it is about to record the end of."""

    async def story(world: RedisWorld, client: Any) -> None:
        (backend,) = await world.make_backends(1)
        await send(backend, trigger(at=1))
        (delivery,) = await backend.bus.receive(frozenset("a"), 10, 1_000_000)
        read = backend.bus._client.read

        async def read_and_end(*arguments: Any) -> Any:
            backend.bus._client.read = read
            said = await read(*arguments)
            assert len(said) == 1
            await done(backend, step(await row_of(backend), done=(delivery,)))
            return said

        backend.bus._unsure, backend.bus._client.read = True, read_and_end
        assert list(await backend.bus.receive(frozenset("a"), 10, 10_000)) == []
        assert caplog.records == []
        await client.xadd(world.keys.stream, {"trigger": "a 9"})
        assert list(await backend.bus.receive(frozenset("a"), 10, 1_000_000)) == []
        assert [record.event for record in caplog.records] == ["redis.strange_entry"]

    play(redis_url, story)


@pytest.mark.parametrize("stored", [b"", b"garbage", b"12 r0:1\nno json", b"\xff\x00"])
def test_a_row_that_cannot_be_read_is_left_alone(redis_url: str, stored: bytes) -> None:
    """Like one of a later release; the other rows of the same answer are read."""

    async def story(world: RedisWorld, client: Any) -> None:
        (backend,) = await world.make_backends(1)
        await done(backend, step(Row("b")))
        await client.hset(world.keys.rows, "a", stored)
        garbage, fine = await backend.store.rows(["a", "b"])
        assert isinstance(garbage.data, Unknown)
        assert fine.data is not None

    play(redis_url, story)


def test_many_questions_at_once_have_connections_enough(app_name: str, redis_url: str) -> None:
    """Three hundred triggers of one process at once take turns."""

    async def main() -> None:
        scheduler = Scheduler(app_name, backend="redis", url=redis_url)
        scheduler.add_job("a", "@every 24h", print, overlap="allow")
        async with scheduler:
            answers = await asyncio.gather(*[scheduler.trigger("a", key=str(n)) for n in range(300)])
        assert {answer.outcome for answer in answers} <= {"sent", "waiting"}

    asyncio.run(main())


def test_a_key_of_another_kind_in_place_of_a_history_stops_no_job(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is set aside, which is said with both names; each line of the same call is written once."""

    async def story(world: RedisWorld, client: Any) -> None:
        (backend,) = await world.make_backends(1)
        runs, failures = world.keys.history("a")
        await client.set(runs, "mine")
        await client.hset(failures, "also", "mine")
        lines = {"a": line("a", status=Status.FAILED), "b": line("b")}
        for _ in range(2):
            rows = await backend.store.rows(["b", "a"])
            await done(backend, *[step(row, runs=(lines[row.job],)) for row in rows])
        for job, own in lines.items():
            assert list((await backend.store.runs(job))[0]) == [own] * 2
        base = runs.removesuffix("runs:a")
        assert await client.get(f"{base}aside:runs:a") == b"mine"
        assert await client.hget(f"{base}aside:failures:a", "also") == b"mine"
        assert [record.event for record in caplog.records] == ["redis.strange_key"] * 2
        assert f"{runs} was no list" in caplog.records[0].getMessage()
        assert f"{base}aside:runs:a now" in caplog.records[0].getMessage()

    play(redis_url, story)


@pytest.mark.parametrize("name", ["names", "stream", "triggers", "held", "gone", "changes"])
def test_where_a_key_is_of_another_kind_no_half_step_is_committed(redis_url: str, name: str) -> None:
    """A step fails whole, and is committed once that key is gone."""

    async def story(world: RedisWorld, client: Any) -> None:
        (backend,) = await world.make_backends(1)
        await send(backend, trigger(at=1))
        (delivery,) = await take(backend)
        wanted = step(await row_of(backend), send=(trigger(at=2),), done=(delivery,), runs=(line(),))
        key, aside = getattr(world.keys, name), world.keys.lock("aside")
        if await client.exists(key):
            await client.rename(key, aside)
        await client.set(key, "mine")
        stored = await client.hgetall(world.keys.rows)
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            await backend.bus.commit([wanted, step(Row("new"))], backend.locker)
        assert await client.hgetall(world.keys.rows) == stored
        assert await client.exists(*world.keys.history("a")) == 0
        await client.delete(key)
        if await client.exists(aside):
            await client.rename(aside, key)
        await done(backend, wanted)
        assert [d.trigger.key for d in await take(backend)] == ["2"]

    play(redis_url, story)


def test_who_asks_where_a_key_is_of_another_kind_is_told_what_to_look_for(
    redis_url: str, app_name: str
) -> None:
    """The error names the keys of the app, and where it stands of what kind each is."""
    scheduler = Scheduler(app_name, backend="redis", url=redis_url)
    with redis_sync.from_url(redis_url) as client:
        client.set(f"schedcore:{{{app_name}}}:runs:a", "mine")
        with pytest.raises(StoreUnavailableError, match=r"WRONGTYPE.*schedcore:.*:\*.*redis-cli TYPE"):
            scheduler.blocking.history("a")
    scheduler.stop()

"""What an app takes in Redis: so much per job, per waiting trigger and per line of history, and no more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import redis.asyncio as redis
from tests.redis.world import RedisWorld

from sched_redis import RedisBackend
from sched_redis._keys import GROUP
from schedcore.protocols import Backend, Delivery, Keep, Micros, Row, Status
from schedcore.testing.world import BEAT, SECOND, TTL, done, line, row_of, send, state, step, trigger

START: Micros = 1_767_225_600_000_000
JOBS = [f"job-{number}" for number in range(5)]
KEEP = Keep(lines=50, failures=20)
NODE = 4096 + 512
"""A node of a stream goes only when all that was in it is gone."""

CARDINALITY = {
    b"hash": "HLEN",
    b"list": "LLEN",
    b"set": "SCARD",
    b"stream": "XLEN",
    b"string": "STRLEN",
    b"zset": "ZCARD",
}


@attrs.frozen
class Key:
    """How much is in a key, and what it takes."""

    cardinality: int
    used: int
    pttl: int


def play(url: str, story: Callable[[RedisWorld, "redis.Redis"], Awaitable[Any]]) -> Any:
    """Play a story in a world of its own."""

    async def whole() -> Any:
        world = RedisWorld(url)
        async with redis.Redis.from_url(url) as client:
            try:
                return await story(world, client)
            finally:
                await world.close()

    return asyncio.run(whole())


async def survey(world: RedisWorld, client: "redis.Redis") -> dict[str, Key]:
    """Look at all keys of the app, by their names behind the app's."""
    found = {}
    async for key in client.scan_iter(match=f"*{{{world.app}}}:*", count=1000):
        kind = await client.type(key)
        size = await client.execute_command(CARDINALITY.get(kind, "EXISTS"), key)
        used = await client.memory_usage(key, samples=0)
        found[key.decode().partition("}:")[2]] = Key(size, used or 0, await client.pttl(key))
    return found


def without_locks(keys: dict[str, Key]) -> dict[str, Key]:
    """Leave out what goes by itself within two seconds."""
    return {name: key for name, key in keys.items() if not name.startswith("lock:")}


async def fire(backend: Backend, rows: dict[str, Row], first: int, last: int) -> None:
    """Send, receive and finish, one trigger of each job at a time, each tenth as a failure."""
    for number in range(first, last, len(rows)):
        at = START + number * SECOND
        sends = [
            step(row, id=f"send:{number:06}:{job}", data=state(at), send=(trigger(job, at),), keep=KEEP)
            for job, row in rows.items()
        ]
        answers = await backend.bus.commit(sends, backend.locker)
        rows |= {answer.rows[0].job: answer.rows[0] for answer in answers}
        held: list[Delivery] = []
        while len(held) < len(rows):
            held += await backend.bus.receive(frozenset(rows), 100, SECOND)
        status = Status.FAILED if number % 10 == 0 else Status.SUCCEEDED
        ends = [
            step(
                rows[delivery.trigger.job],
                id=f"done:{number:06}:{delivery.trigger.job}",
                done=(delivery,),
                runs=(line(delivery.trigger.job, at, status, detail="x" * 40),),
                keep=KEEP,
            )
            for delivery in held
        ]
        answers = await backend.bus.commit(ends, backend.locker)
        rows |= {answer.rows[0].job: answer.rows[0] for answer in answers}
        if number % 500 == 0:
            await backend.store.beat("r0", {"jobs": JOBS}, TTL)


@pytest.mark.timeout(240)
def test_nothing_grows_with_the_number_of_fires(redis_url: str) -> None:
    """After 10,000 fires there are the same keys as after 2,000, with as much in them; locks have an end."""

    async def story(world: RedisWorld, client: "redis.Redis") -> list[dict[str, Key]]:
        (backend,) = await world.make_backends(1)
        rows = {row.job: row for row in await backend.store.rows(JOBS)}
        await client.hset(world.keys.meta, "no_take_over_until", 0)  # else a slow machine adds it
        found = []
        for first, last in ((0, 2000), (2000, 10_000)):
            await fire(backend, rows, first, last)
            await backend.store.beat("r0", {"jobs": JOBS}, TTL)
            found.append(await survey(world, client))
        return found

    every = play(redis_url, story)
    locks = {name: key.pttl for keys in every for name, key in keys.items() if name.startswith("lock:")}
    assert locks, "where are the locks?"
    assert {name: pttl for name, pttl in locks.items() if pttl == -1 or pttl > 2000} == {}
    before, after = map(without_locks, every)
    assert before["runs:job-0"].cardinality == 50
    assert (before["failures:job-0"].cardinality, before["stream"].cardinality) == (20, 0)
    assert {name: key.cardinality for name, key in after.items()} == {
        name: key.cardinality for name, key in before.items()
    }
    grown = {name: (before[name].used, key.used) for name, key in after.items()}
    assert {
        name: used
        for name, used in grown.items()
        if used[1] > (used[0] + NODE if name == "stream" else used[0] * 1.05 + 64)
    } == {}


def test_nothing_is_left_of_replicas_that_came_and_went(redis_url: str) -> None:
    """Neither how they described themselves nor their consumers, once what they held is somebody else's."""

    async def die(backend: Backend) -> None:
        assert isinstance(backend, RedisBackend)
        await backend._client.close()

    async def story(world: RedisWorld, client: "redis.Redis") -> None:
        first, *others = await world.make_backends(31)
        await first.store.beat("r0", {}, TTL)
        asked = frozenset("a")
        for number, backend in enumerate(others, 1):
            await backend.store.beat(f"r{number}", {"jobs": ["a"] * 50}, TTL)
            await send(first, trigger(at=number))
            taken = await backend.bus.receive(asked, 1, SECOND)
            assert len(taken) == 1
            if number % 10:
                await done(backend, step(await row_of(backend), done=tuple(taken)))
        assert len(await client.xinfo_consumers(world.keys.stream, GROUP)) == 30
        for number, backend in enumerate(others, 1):
            if number % 3 == 1:
                await backend.store.beat(f"r{number}", {}, 0)
                await backend.close()
            else:
                await die(backend)
        for _ in range(4):
            await world.advance(BEAT)
            await first.store.beat("r0", {}, TTL)
        consumers = await client.xinfo_consumers(world.keys.stream, GROUP)
        assert sorted(each["pending"] for each in consumers) == [1, 1, 1], "who holds something is kept"
        assert len(await first.store.replicas()) == 1
        assert (await client.zcard(world.keys.alive), await client.hlen(world.keys.facts)) == (1, 1)
        taken = await first.bus.take_over(await first.bus.lapsed(asked, 10))
        await done(first, step(await row_of(first), done=tuple(taken)))
        await first.store.beat("r0", {}, TTL)
        consumers = await client.xinfo_consumers(world.keys.stream, GROUP)
        assert {each["name"] for each in consumers} <= {b"r0"}

    play(redis_url, story)


def test_of_a_deleted_job_only_its_history_is_left_and_that_has_an_end(redis_url: str) -> None:
    """What is remembered of deleted rows is a hundred ids, however many there were."""

    async def story(world: RedisWorld, client: "redis.Redis") -> dict[str, Key]:
        (backend,) = await world.make_backends(1)
        keep = Keep(age=3600 * SECOND)
        for number in range(300):
            row = await done(backend, step(Row(f"j{number}")))
            lines = (line(row.job, status=Status.RETIRED),) if number == 7 else ()
            await done(backend, step(row, data=None, runs=lines, keep=keep))
        return await survey(world, client)

    keys = play(redis_url, story)
    assert sorted(keys) == ["changes", "failures:j7", "gone", "meta", "runs:j7"]
    assert keys["gone"].cardinality == 100
    assert (keys["changes"].cardinality, 0 < keys["changes"].pttl <= 60_000) == (64, True)
    assert [0 < keys[name].pttl <= 3_600_000 for name in ("failures:j7", "runs:j7")] == [True, True]


def test_the_history_of_a_job_that_came_back_has_no_end(redis_url: str) -> None:
    """A row that is made again keeps its lines as long as `keep` says."""

    async def story(world: RedisWorld, client: "redis.Redis") -> int:
        (backend,) = await world.make_backends(1)
        row = await done(backend, step(Row("a")))
        await done(backend, step(row, data=None, runs=(line(status=Status.RETIRED),)))
        await done(backend, step(Row("a"), runs=(line(),)))
        return await client.pttl(world.keys.history("a")[0])

    assert play(redis_url, story) == -1


def test_what_a_job_a_trigger_and_a_line_take(redis_url: str) -> None:
    """A thousand of each, in bytes apiece; the documentation promises no less."""

    async def story(world: RedisWorld, client: "redis.Redis") -> dict[str, int]:
        (backend,) = await world.make_backends(1)
        used = [0]

        async def grown() -> int:
            now = sum(key.used for key in without_locks(await survey(world, client)).values())
            by, used[0] = now - used[0], now
            return by // 1000

        await grown()
        jobs = [f"nightly-report-{number:04}" for number in range(1000)]
        await done(backend, *(step(Row(job), data=state(START)) for job in jobs))
        found = {"a job": await grown()}
        await send(backend, *(trigger(jobs[0], START + n * SECOND) for n in range(1000)), job=jobs[0])
        found["a trigger that waits"] = await grown()
        held: list[Delivery] = []
        while len(held) < 1000:
            held += await backend.bus.receive(frozenset(jobs), 100, SECOND)
        found["a delivery, beside that"] = await grown()
        row = await row_of(backend, jobs[0])
        lines = tuple(line(jobs[0], START + n * SECOND, replica="host-1-abcdef") for n in range(1000))
        await done(backend, step(row, runs=lines, keep=Keep(lines=1000)))
        found["a line of history"] = await grown()
        return found

    found = play(redis_url, story)
    said = ", ".join(f"{what}: {size} bytes" for what, size in found.items())
    limits = {
        "a job": 600,
        "a trigger that waits": 600,
        "a delivery, beside that": 750,
        "a line of history": 250,
    }
    assert {what: size for what, size in found.items() if size > limits[what]} == {}, said
    assert min(found.values()) > 0, said

"""A Redis user with the documented rights, and all that the backend does as such a user."""

import asyncio
import re
from pathlib import Path

from tests.redis.servers import RedisServer
from tests.redis.world import RedisWorld

from sched_redis import RedisBackend
from schedcore.protocols import Keep
from schedcore.testing.world import (
    SECOND,
    beat,
    commit,
    done,
    line,
    live,
    row_of,
    send,
    state,
    step,
    take,
    trigger,
)

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "redis.md"
NOBODYS: frozenset[str] = frozenset()
JOBS = frozenset(("a", "b"))


def documented_rights() -> list[str]:
    """Read which rights the reference gives to a user."""
    block = re.search(r"^ACL SETUSER (.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert block, f"{PAGE} has no block that begins with ACL SETUSER"
    return [word for word in block[1].split() if word.startswith("+")]


def add_user(server: RedisServer, app: str, rights: list[str]) -> str:
    """Make a user that has these rights, on the keys of one app; its URL."""
    return server.add_user(f"user-{app}", "pass:w/rd", f"~schedcore:{{{app}}}:* {' '.join(rights)}").replace(
        "pass:w/rd", "pass%3Aw%2Frd"
    )


def refused(server: RedisServer) -> set[str]:
    """Tell what the server has refused to users since it was last asked, apart from the client's greeting."""
    entries = server.cli("ACL", "LOG")
    server.cli("ACL", "LOG", "RESET")
    names = {dict(zip(entry[::2], entry[1::2], strict=True))["object"].lower() for entry in entries}
    return {name.partition("|")[0] for name in names} - {"client"}


async def do_everything(world: RedisWorld, server: RedisServer) -> None:
    """Go through every command of every script."""
    try:
        first, second = await world.make_backends(2)
        await beat(first, second)
        server.cli("SET", world.keys.history("a")[0], "of another kind")
        await _fill_history(first)
        await _hand_around(first, second)
        await _take_over(world, first, second)
        await _delete(first)
        await _lock(first, second)
        await second.store.beat("r1", {}, 0)
        server.cli("DEL", world.keys.stream)
        await send(first, trigger(at=7))
        await first.bus.receive(JOBS, 1, 1000)
    finally:
        await world.close()


async def _fill_history(backend: RedisBackend) -> None:
    for keep in (Keep(), Keep(lines=1), Keep(age=1)):
        row = await row_of(backend)
        await done(backend, step(row, data=state(), runs=(line(),), keep=keep))
        await asyncio.sleep(0.002)
    await backend.store.runs("a")
    await backend.store.rows()
    await backend.store.replicas()
    await backend.store.now()


async def _hand_around(first: RedisBackend, second: RedisBackend) -> None:
    """From one that does not know it to another, until it is parked, and taken from there."""
    await send(first)
    while not (parked := await first.bus.lapsed(JOBS, 10)):
        await second.bus.receive(NOBODYS, 10, 1000)
    await first.bus.take_over(parked)
    (held,) = await first.store.held()
    await first.bus.renew([held.delivery], {})
    await first.bus.cancel("a", held.delivery.trigger.key)
    await first.bus.give_back([held.delivery])
    (again,) = await take(second)
    await done(second, step(await row_of(second), done=(again,), runs=(line(),)))


async def _take_over(world: RedisWorld, first: RedisBackend, second: RedisBackend) -> None:
    await send(first, trigger(at=2))
    (mine,) = await take(first)
    await live(world, 11 * SECOND, first, second)
    (lapsed,) = await second.bus.lapsed(JOBS, 10)
    (taken,) = await second.bus.take_over([lapsed])
    assert taken.token > mine.token
    await done(second, step(await row_of(second), done=(taken,)))


async def _delete(backend: RedisBackend) -> None:
    deleted = step(await row_of(backend), data=None, runs=(line(),))
    for _ in range(2):  # the second is a repetition after a lost reply
        await done(backend, deleted)


async def _lock(first: RedisBackend, second: RedisBackend) -> None:
    """Two replicas want the same trigger: one has its lock."""
    for backend in (first, second):
        await commit(backend, step(await row_of(backend, "b"), send=(trigger("b", at=3),)))

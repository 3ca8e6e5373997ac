"""Replicas of one app on a real Redis, whose state ages when told, so that no lease is waited for."""

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from sched_redis import RedisBackend, _connect
from sched_redis._keys import GROUP, Keys
from schedcore.protocols import Backend, Micros
from schedcore.testing.world import World

PATIENCE: Micros = 1_000_000
"""What is shorter than this is slept."""

_numbers = itertools.count()


def new_app() -> str:
    """Name an app as no other test does."""
    return f"test-{os.getpid()}-{next(_numbers)}"


class RedisWorld(World):
    """One app on a server of any kind; `advance` makes all that the app has noted there older."""

    flushes = True
    reserves = True
    neighbours = True
    processes = True

    def __init__(self, url: str, admin_url: str = "") -> None:
        """Go to `url`; with `admin_url`, what the test itself does there goes by that."""
        self.url = url
        self.admin_url = admin_url or url
        self.app = new_app()
        self.keys = Keys(self.app, "schedcore")
        self.backends: list[RedisBackend] = []

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Any]:
        connector = _connect.from_url(self.admin_url)
        client = connector.make(_greet)
        try:
            yield client
        finally:
            await connector.close(client)

    async def make_backends(self, count: int) -> Sequence[Backend]:
        """Make them, each with connections of its own."""
        self.backends = [RedisBackend(self.app, url=self.url) for _ in range(count)]
        for number, backend in enumerate(self.backends):
            await backend.open(f"r{number}")
        return self.backends

    async def make_neighbour(self) -> Backend:
        """Make one whose name begins as the app's does."""
        other = RedisBackend(f"{self.app}-2", url=self.url)
        self.backends.append(other)
        await other.open("r0")
        return other

    def elsewhere(self) -> Callable[[], Backend]:
        """Have another process go to the same server."""
        return partial(RedisBackend, self.app, url=self.url)

    async def advance(self, by: Micros) -> None:
        """Shift every instant and every idle time into the past."""
        if by <= PATIENCE:
            await asyncio.sleep(by / 1_000_000)
            return
        began = time.monotonic()
        async with self._client() as client:
            for name, until in await client.zrange(self.keys.alive, 0, -1, withscores=True):
                await client.zadd(self.keys.alive, {name: int(until) - by})
            await self._age_pending(client, by)
            async for lock in client.scan_iter(match=f"*{{{self.app}}}:lock:*"):
                await client.pexpire(lock, max(1, await client.pttl(lock) - by // 1000))
            for key in [key async for key in client.scan_iter(match=f"*{{{self.app}}}:runs:*")]:
                lines = [_aged(line, by) for line in await client.lrange(key, 0, -1)]
                await client.delete(key)
                await client.rpush(key, *lines)
            # Last, and less by what this took: on a busy machine it would be an outage before anybody beats.
            by = max(0, by - int((time.monotonic() - began) * 1_000_000))
            for field in ("beat", "no_take_over_until"):
                if (at := await client.hget(self.keys.meta, field)) is not None:
                    await client.hset(self.keys.meta, field, str(int(at) - by))
        await asyncio.sleep(0.002)

    async def _age_pending(self, client: Any, by: Micros) -> None:
        if not await client.exists(self.keys.stream) or not await client.xinfo_groups(self.keys.stream):
            return  # nobody has received anything yet
        pending = await client.xpending_range(self.keys.stream, GROUP, "-", "+", 1000)
        for entry in pending:
            await client.xclaim(
                self.keys.stream,
                GROUP,
                entry["consumer"],
                0,
                [entry["message_id"]],
                idle=entry["time_since_delivered"] + by // 1000,
                justid=True,
            )

    async def flush(self) -> None:
        """Lose the app's data."""
        async with self._client() as client:
            await self._remove(client)

    async def _remove(self, client: Any) -> None:
        for app in (self.app, f"{self.app}-2"):
            keys = [key async for key in client.scan_iter(match=f"*{{{app}}}:*", count=1000)]
            if keys:
                await client.delete(*keys)

    async def close(self) -> None:
        """Leave nothing."""
        for backend in self.backends:
            await backend.close()
        await self.flush()


async def _greet(connection: Any) -> None:
    await connection.on_connect()


def _aged(line: bytes, by: Micros) -> bytes:
    number, _, rest = line.partition(b".")
    return b"%d.%b" % (int(number) - by, rest)

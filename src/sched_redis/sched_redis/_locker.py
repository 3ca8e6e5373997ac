"""A lock with an owner: `SET NX PX`, renewed and freed by its owner only."""

from __future__ import annotations

from sched_redis._client import Client
from schedcore.protocols import Micros


class RedisLocker:
    """Grants a name to one owner at a time.

    `RedisBus` takes the lock of a trigger inside the commit itself, for `TTL`, and heeds that of a row.
    """

    TTL: Micros = 2_000_000

    def __init__(self, client: Client) -> None:
        """Keep the locks beside the app's other keys."""
        self._client = client

    async def acquire(self, name: str, owner: str, ttl: Micros) -> bool:
        """Take it if it is free, or the owner's already."""
        ttl_ms, keys = max(1, -(-ttl // 1000)), self._client.keys
        return bool(await self._client.run("acquire", (keys.lock(name), keys.meta), (owner, ttl_ms, name)))

    async def release(self, name: str, owner: str) -> bool:
        """Free it if it is the owner's."""
        keys = self._client.keys
        return bool(await self._client.run("release", (keys.lock(name), keys.meta), (owner, name)))

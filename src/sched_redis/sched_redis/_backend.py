"""One app in one Redis, for one replica."""

from __future__ import annotations

import logging
import os
from typing import Any

from sched_redis import _connect
from sched_redis._bus import RedisBus
from sched_redis._client import Client
from sched_redis._executor import GroupExecutor
from sched_redis._keys import GROUP, Keys
from sched_redis._locker import RedisLocker
from sched_redis._store import RedisStore
from schedcore.errors import ConfigurationError

log = logging.getLogger("schedcore")

VARIABLE = "SCHEDCORE_REDIS_URL"
DEFAULT_URL = "redis://127.0.0.1:6379/0"
OPTIONS = ("url", "client", "prefix")


class RedisBackend:
    """Replicas of one app that share a Redis.

    Args:
        app: the app's name; each app has its own keys, which begin with `PREFIX:{APP}:`.
        url: where Redis is, else `SCHEDCORE_REDIS_URL`, else port 6379 of this machine.
        client: a client of redis-py, instead of `url`; its settings are taken, it is neither used nor closed.
        prefix: what all keys begin with.

    Raises:
        ConfigurationError: an option is not known, or cannot be used.
    """

    name = "redis"
    notice = ""

    def __init__(
        self,
        app: str,
        *,
        url: str | None = None,
        client: Any = None,
        prefix: str = "schedcore",
        **unknown: object,
    ) -> None:
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ConfigurationError(
                f"the redis backend has no option {names}; its options are {', '.join(OPTIONS)}"
            )
        if url is not None and client is not None:
            raise ConfigurationError("give the redis backend an url or a client, not both")
        if client is not None:
            connector = _connect.from_client(client)
        else:
            connector = _connect.from_url(url or os.environ.get(VARIABLE) or DEFAULT_URL)
        self.app = app
        self._shown = repr(connector)
        self._client = Client(connector, Keys(app, prefix))
        self.locker = RedisLocker(self._client)
        self.bus = RedisBus(self._client)
        self.executor = GroupExecutor()
        self.store = RedisStore(self._client)

    def __repr__(self) -> str:
        """Tell the app and where it is."""
        return f"<RedisBackend {self.app} at {self._shown}>"

    async def open(self, replica: str) -> None:
        """Connect as `replica`."""
        self.bus.replica = replica
        await self._client.open()

    async def close(self) -> None:
        """Hand on what was read and not claimed, and disconnect."""
        keys = self._client.keys
        try:
            if self._client.is_open:
                await self._client.run("leave", (keys.stream, keys.triggers), (GROUP, self.bus.replica))
        except Exception as exc:  # noqa: BLE001  whatever the driver raises: it lapses, and somebody takes it
            log.warning(
                "%s leaves Redis without handing on what it read (%s)",
                self.bus.replica,
                exc,
                extra={"event": "redis.left_unhanded"},
            )
        finally:
            await self._client.close()

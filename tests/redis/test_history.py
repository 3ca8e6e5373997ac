"""What reading a long history costs."""

import asyncio
from typing import Any

import pytest
import redis

from sched_redis import RedisBackend
from sched_redis._store import LINES
from schedcore import codec
from schedcore.protocols import Run, Status

LONG = 20 * LINES


def test_what_was_written_before_a_time_is_not_read_for_what_came_after(
    redis_url: str, app_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a long history, the newest lines are read in one go, however much lies behind them."""
    backend = RedisBackend(app_name, url=redis_url)
    sent: list[object] = []
    call = backend._client.call

    async def counting(*command: Any) -> object:
        sent.append(command[0])
        return await call(*command)

    monkeypatch.setattr(backend._client, "call", counting)

    async def read() -> list[int]:
        await backend.open("r0")
        now = await backend.store.now()
        times = [now - 1_000_000 * number for number in range(1, LONG + 1)]
        lines = [b"%d.0 " % at + codec.dump(Run("a", at, Status.SUCCEEDED, key=str(at))) for at in times]
        with redis.Redis.from_url(redis_url) as client:
            client.rpush(f"schedcore:{{{app_name}}}:runs:a", *lines)
            counts = []
            for after in (now - 10_500_000, None):
                sent.clear()
                runs, _ = await backend.store.runs("a", after=after, limit=LONG)
                counts += [len(runs), len(sent)]
        await backend.close()
        return counts

    assert asyncio.run(read()) == [10, 1, LONG, 22]

"""What reading a long history costs."""

import asyncio
from typing import Any

import pytest
import redis

from sched_redis import RedisBackend, _store
from schedcore import codec
from schedcore.protocols import Kind, Run, Status

LONG = 4000


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
            await backend.store.runs("a", limit=1)  # the server learns the script
            for after in (now - 10_500_000, None):
                sent.clear()
                runs, _ = await backend.store.runs("a", after=after, limit=LONG)
                counts += [len(runs), len(sent)]
        await backend.close()
        return counts

    assert asyncio.run(read()) == [10, 1, LONG, 5]


def lines_of(job: str, count: int, now: int) -> list[bytes]:
    """Make lines, newest first, of which some failed, and some are of a stretch of times."""
    found = []
    for number in range(count):
        at = now - 1_000_000 * number
        run = Run(job, at, Status.SUCCEEDED, detail='"status":"failed","scheduled_at":7')
        if number % 10 == 3:
            run = Run(job, at, Status.FAILED, Kind.LATE)
        if number % 100 == 7:
            run = Run(job, at - 10_000_000, Status.MISSED, last_at=at, count=11)
        found.append(b"%d.%d " % (at + 500_000, number % 3) + codec.dump(run))
    return found


@pytest.mark.parametrize(
    "which",
    [
        {},
        {"statuses": [Status.FAILED]},
        {"statuses": [Status.MISSED, Status.SUCCEEDED], "limit": 7},
        {"statuses": [Status.TIMED_OUT]},
        {"statuses": []},
        {"after": 30},
        {"until": 800},
        {"after": 900, "until": 300},
        {"after": 107, "until": 107},
        {"after": 118, "until": 117, "statuses": [Status.MISSED]},
    ],
)
@pytest.mark.parametrize("looked_at", [1, 150, 5000])
def test_what_the_server_leaves_out_is_not_asked_for(
    redis_url: str, app_name: str, monkeypatch: pytest.MonkeyPatch, which: dict[str, Any], looked_at: int
) -> None:
    """Page by page, the lines are those that a reader of all of them would choose."""
    monkeypatch.setattr(_store, "LOOKED_AT", looked_at)
    backend = RedisBackend(app_name, url=redis_url)
    count = 60 if looked_at == 1 else 1000

    async def read() -> None:
        await backend.open("r0")
        now = await backend.store.now()
        lines = lines_of("a", count, now)
        limit = which.pop("limit", 13)
        chosen = {
            name: now - 1_000_000 * value if isinstance(value, int) else value
            for name, value in which.items()
        }
        with redis.Redis.from_url(redis_url) as client:
            client.rpush(
                f"schedcore:{{{app_name}}}:runs:a",
                b"garbage",
                *lines[:-5],
                b"%d.0 garbage" % (now - 1_000_000 * (count - 5) + 600_000),
                *lines[-5:],
            )
            old = [codec.dump(Run("a", now - 10**10, Status.FAILED)), b"\xff"]
            client.rpush(
                f"schedcore:{{{app_name}}}:failures:a",
                lines[3],
                *[b"1.%d " % n + line for n, line in enumerate(old)],
            )
        runs = [codec.load(line.partition(b" ")[2]) for line in [*lines, b"1.0 " + old[0]]]
        bounds = chosen.get("statuses"), chosen.get("after"), chosen.get("until")
        expected = [run for run in runs if isinstance(run, Run) and run.matches(*bounds)]
        found: list[Run] = []
        cursor = ""
        while True:
            page, cursor = await backend.store.runs("a", limit=limit, cursor=cursor, **chosen)
            assert len(page) == min(limit, len(expected) - len(found))
            found += page
            if not cursor:
                break
        await backend.close()
        assert found == expected

    asyncio.run(read())

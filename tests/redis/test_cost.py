"""What a fire, a burst and an idle replica cost, counted in round trips to the server."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from sched_redis import RedisBackend
from sched_redis._bus import RedisBus
from sched_redis._client import Client, script
from schedcore import Scheduler
from schedcore._commit import Committer
from schedcore._link import OneTry
from schedcore._rules import ask
from schedcore.protocols import Locker, Step

NAMES = {script(name)[1]: name for name in ("beat", "claim", "commit", "lapsed", "renew", "rows")}


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count what all replicas of this process send, by command or script."""
    sent: Counter[str] = Counter()
    send = Client._send

    async def count(self: Client, patience: float, *command: Any) -> Any:
        name = command[1] if command[0] == "EVALSHA" else command[0]
        sent[NAMES.get(name, name)] += 1
        return await send(self, patience, *command)

    with monkeypatch.context() as patch:
        patch.setattr(Client, "_send", count)
        yield sent


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < limit, "it did not happen in time"
        await asyncio.sleep(0.01)


async def trigger_all(backend: RedisBackend, jobs: list[str]) -> None:
    """Trigger each once by hand, as a process without an engine does."""
    await backend.open("sender")
    now = await backend.store.now()
    await Committer(backend, OneTry(), "sender").apply(jobs, lambda row, _: ask(row, "k", None, now)[1])
    await backend.close()


def test_a_single_fire_takes_four_round_trips(
    app_name: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent, read, claimed, finished; beats and sweeps apart."""
    fires = 0

    async def main() -> list[Counter[str]]:
        scheduler = Scheduler(app_name, backend="redis", url=redis_url)

        @scheduler.job("@every 500ms")
        async def job() -> None:
            nonlocal fires
            fires += 1

        each = []
        with counted(monkeypatch) as sent:
            async with scheduler:
                for _ in range(8):
                    before, first = sent.copy(), fires
                    await until(lambda first=first: fires > first)
                    await asyncio.sleep(0.2)
                    each.append(sent - before)
        return each

    fires_sent = [
        {name: sent[name] for name in ("commit", "XREADGROUP", "claim")} for sent in asyncio.run(main())[1:]
    ]
    costs = sorted(sum(sent.values()) for sent in fires_sent)
    # on a busy machine a step may be a moment too early for the store's clock, and is sent again
    assert costs[0] == 4, fires_sent
    assert costs[len(costs) // 2] <= 5, fires_sent


def test_a_burst_takes_a_tenth_of_a_round_trip_per_fire(
    app_name: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps, deliveries and ends travel together."""
    number, ran = 2000, 0

    async def job() -> None:
        nonlocal ran
        ran += 1

    async def main() -> Counter[str]:
        scheduler = Scheduler(app_name, backend="redis", url=redis_url)
        at = int(time.time()) + 4
        for each in range(number):
            scheduler.add_job(f"job-{each}", f"@every {at}s", job)  # from the epoch on: first at `at`
        async with scheduler:
            with counted(monkeypatch) as sent:
                await until(lambda: ran == number)
                await asyncio.sleep(0.5)
                return sent

    sent = asyncio.run(main())
    assert sum(sent.values()) <= number / 10, sent


def test_an_idle_replica_sends_less_than_a_command_a_second(
    app_name: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A beat, a sweep, and a read that waits: however many jobs there are."""

    async def main() -> tuple[Counter[str], float]:
        scheduler = Scheduler(app_name, backend="redis", url=redis_url)
        for each in range(500):
            scheduler.add_job(f"job-{each}", "@every 24h", print)
        async with scheduler:
            await asyncio.sleep(0.5)
            begin = time.monotonic()
            with counted(monkeypatch) as sent:
                await asyncio.sleep(12)
                return sent, time.monotonic() - begin

    sent, seconds = asyncio.run(main())
    assert sum(sent.values()) <= seconds, sent


def test_who_has_places_again_asks_for_more_before_the_record_of_what_has_ended(
    app_name: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server claims the next ones while the replica forms that record, a third faster in all."""
    number, ran = 200, 0

    async def job() -> None:
        nonlocal ran
        ran += 1

    def scheduler() -> Scheduler:
        made = Scheduler(app_name, backend="redis", url=redis_url, concurrency=50)
        for each in range(number):
            made.add_job(f"job-{each}", "@every 24h", job)
        return made

    async def main() -> list[str]:
        order: list[str] = []
        ask_for, commit = RedisBus._ask_for, RedisBus.commit

        async def asking(self: RedisBus, wanted: Any, count: int) -> Any:
            order.append("ask for more" if not wanted else "ask for these")
            return await ask_for(self, wanted, count)

        async def committing(self: RedisBus, steps: Sequence[Step], locker: Locker) -> Any:
            order.extend(["record"] * any(step.done for step in steps))
            return await commit(self, steps, locker)

        async with scheduler():
            pass
        await trigger_all(RedisBackend(app_name, url=redis_url), [f"job-{each}" for each in range(number)])
        with monkeypatch.context() as patch:
            patch.setattr(RedisBus, "_ask_for", asking)
            patch.setattr(RedisBus, "commit", committing)
            async with scheduler():
                await until(lambda: ran == number)
        return order

    assert asyncio.run(main())[:3] == ["ask for these", "ask for more", "record"]

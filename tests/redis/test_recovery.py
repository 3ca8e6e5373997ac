"""An engine goes on firing after what its server may do to it at the worst moment."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from tests.redis.servers import RedisServer, until
from tests.redis.world import RedisWorld

from sched_redis import RedisBackend
from schedcore import Scheduler, StoreUnavailableError
from schedcore._commit import HELD_FOR
from schedcore.protocols import ROW
from schedcore.testing.world import SECOND, send, trigger

LIMIT = 30


def _scheduler(server: RedisServer) -> tuple[Scheduler, RedisBackend, list[int]]:
    backend, fired = RedisBackend("app", url=server.url), []
    scheduler = Scheduler("app", backend=backend)

    @scheduler.job("@every 1s")
    async def tick() -> None:
        fired.append(1)

    return scheduler, backend, fired


@pytest.mark.timeout(60)
def test_a_server_that_is_restarted_while_jobs_are_declared() -> None:
    """They are declared after the next beat, which nothing waits for in vain."""
    with RedisServer(persistence="aof-always") as server:
        scheduler, backend, fired = _scheduler(server)
        commit = backend.bus.commit

        async def restart_first(*arguments: Any) -> Any:
            backend.bus.commit = commit
            server.restart()
            return await commit(*arguments)

        backend.bus.commit = restart_first
        scheduler.start()
        try:
            until(lambda: fired, LIMIT, "a run")
        finally:
            scheduler.stop(0)


@pytest.mark.timeout(60)
def test_rows_that_are_gone_are_put_back() -> None:
    """The rest is there, so no epoch tells it: but a row of a job that lives here nobody may remove."""
    with RedisServer() as server:
        scheduler, backend, fired = _scheduler(server)
        scheduler.start()
        try:
            until(lambda: fired, LIMIT, "a run")
            server.cli("DEL", backend.bus._client.keys.rows)
            until(lambda: scheduler.blocking.health().losses, LIMIT, "a loss")
            fired.clear()
            until(lambda: fired, LIMIT, "a run after the loss")
        finally:
            scheduler.stop(0)


@pytest.mark.timeout(60)
def test_jobs_are_listed_again_when_their_names_are_gone() -> None:
    """Who lives puts them back with the next beat: their rows are there."""
    with RedisServer() as server:
        scheduler, backend, _ = _scheduler(server)
        scheduler.start()
        try:
            until(scheduler.blocking.jobs, LIMIT, "a declaration")
            server.cli("DEL", backend.bus._client.keys.names)
            assert [job.name for job in until(scheduler.blocking.jobs, LIMIT, "a list")] == ["tick"]
            assert scheduler.blocking.health().losses == 0
        finally:
            scheduler.stop(0)


@pytest.mark.timeout(60)
def test_a_loss_is_told_once_though_nothing_is_written_for_a_while() -> None:
    """Of the newest version the store knows nothing any more, the rows are newer, and firing goes on."""
    with RedisServer() as server:
        backend, beats = RedisBackend("app", url=server.url), []
        scheduler, beat = Scheduler("app", backend=backend), backend.store.beat
        scheduler.add_job("rare", "@every 24h", print)

        async def count(*arguments: Any) -> Any:
            beats.append(1)
            return await beat(*arguments)

        backend.store.beat = count
        scheduler.start()
        try:
            until(scheduler.blocking.jobs, LIMIT, "a declaration")
            server.cli("DEL", backend.bus._client.keys.meta)
            until(lambda: scheduler.blocking.health().losses, LIMIT, "a loss")
            beats.clear()
            until(lambda: len(beats) > 2, LIMIT, "two more beats")
            assert scheduler.blocking.health().losses == 1
        finally:
            scheduler.stop(0)


def test_who_stops_while_it_receives_leaves_nothing_behind(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is still on its way when it is cancelled: what it had claimed goes to the others at once."""

    async def scenario() -> None:
        world = RedisWorld(redis_url)
        stopping, other = await world.make_backends(2)
        assert isinstance(stopping, RedisBackend)
        run, claimed = stopping._client.run, asyncio.Event()

        async def slowly(name: str, *arguments: Any) -> Any:
            answer = await run(name, *arguments)
            if name == "claim":
                claimed.set()
                await asyncio.sleep(0.1)
            return answer

        monkeypatch.setattr(stopping._client, "run", slowly)
        await send(other, trigger("a"))
        receiving = asyncio.create_task(stopping.bus.receive(frozenset("a"), 10, 5 * SECOND))
        await claimed.wait()
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        (delivery,) = await other.bus.receive(frozenset("a"), 10, SECOND)
        assert (delivery.trigger.job, delivery.number) == ("a", 1)
        await world.close()

    asyncio.run(scenario())


def test_all_jobs_are_paused_when_pause_returns_however_long_the_row_is_somebodys(
    redis_url: str, app_name: str
) -> None:
    """Who wants the app's row, which another keeps for longer than a try takes, tries again."""

    async def main() -> None:
        other = RedisBackend(app_name, url=redis_url)
        await other.open("other")
        scheduler = Scheduler(app_name, backend="redis", url=redis_url)
        scheduler.add_job("a", "@every 24h", print)
        async with scheduler:
            assert await other.locker.acquire(ROW, "other", int((HELD_FOR + 0.5) * 1_000_000))
            await scheduler.pause(note="all of it")
            assert [job.state for job in await scheduler.jobs()] == ["paused"]
        await other.close()

    asyncio.run(main())


def test_who_was_stopped_asks_a_restarted_server_as_any_other_process_does() -> None:
    """No beat of its own has to come first: it beats no more."""
    with RedisServer(persistence="aof-always") as server:
        scheduler = Scheduler("app", backend="redis", url=server.url)
        scheduler.add_job("a", "@every 24h", print)
        with scheduler:
            until(scheduler.blocking.jobs)
        server.restart()
        with suppress(StoreUnavailableError):  # by a connection that is gone
            scheduler.blocking.jobs()
        assert scheduler.blocking.trigger("a").outcome == "sent"
        scheduler.blocking.pause("a")
        assert [job.state for job in scheduler.blocking.jobs()] == ["paused"]
        scheduler.stop()

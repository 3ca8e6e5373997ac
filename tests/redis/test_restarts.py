"""A server that was restarted may lack what it had acknowledged: nothing is committed on it unseen."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import RedisError
from tests.redis.servers import RedisServer
from tests.redis.world import RedisWorld

from sched_redis import RedisBackend
from schedcore.protocols import Row, Verdict
from schedcore.testing._restarts import RestartContract
from schedcore.testing.world import TTL, commit, done, row_of, step, trigger


class RestartingWorld(RedisWorld):
    """An app on a server of its own, which keeps what it acknowledges."""

    restarts = True

    def __init__(self, server: RedisServer) -> None:
        super().__init__(server.url)
        self.server = server

    async def restart(self) -> None:
        """Stop it and start it again."""
        self.server.restart(keep_data=True)


class TestRestarts(RestartContract):
    """A server that syncs each write."""

    @pytest.fixture
    def world(self) -> Iterator[RestartingWorld]:
        with RedisServer(persistence="aof-always") as server:
            yield RestartingWorld(server)


async def _open(server: RedisServer) -> RedisBackend:
    backend = RedisBackend("app", url=server.url)
    await backend.open("r0")
    await backend.store.beat("r0", {}, TTL)
    return backend


def test_nothing_is_committed_on_a_restarted_server_before_a_beat() -> None:
    """Only a beat tells the core that marks have to be compared: a step formed before it may be a double."""

    async def scenario(server: RedisServer) -> None:
        backend = await _open(server)
        row = await done(backend, step(Row("a")))
        sending = step(row, send=(trigger(),))
        server.restart(keep_data=True)
        await asyncio.sleep(0.2)  # by now the client knows that its connection is gone, and makes another
        assert await _verdict(backend, sending) in ("held", "away"), "the first commit reached another server"
        await _again(lambda: backend.store.rows(["a"]))  # by a connection that commits may use from now on
        assert await _verdict(backend, sending) == "held", "a commit used a connection that nobody checked"
        before = (await _again(lambda: backend.store.beat("r0", {}, TTL))).server
        assert await _verdict(backend, sending) == "done"
        server.restart(keep_data=True)
        after = (await _again(lambda: backend.store.beat("r0", {}, TTL))).server
        assert before != after, "a beat did not tell that the server was restarted"
        assert (await row_of(backend)).held == {trigger().key}
        await backend.close()

    with RedisServer(persistence="aof-always") as server:
        asyncio.run(scenario(server))


def test_who_is_held_on_an_empty_server_is_told_its_time() -> None:
    """There is no row to tell it by; with any other a job would be declared since 1970."""

    async def scenario(server: RedisServer) -> None:
        backend = await _open(server)
        server.restart(keep_data=False)
        before = await _again(backend.store.now)
        answer = await commit(backend, step(Row("a")))
        assert (answer.verdict, answer.now >= before) == (Verdict.HELD, True)
        await backend.close()

    with RedisServer() as server:
        asyncio.run(scenario(server))


async def _again(call: Callable[[], Awaitable[Any]]) -> Any:
    """Call until it succeeds, as the engine does."""
    while True:
        with suppress(RedisError):
            return await call()


async def _verdict(backend: RedisBackend, *steps: object) -> str:
    try:
        return str((await commit(backend, *steps)).verdict)
    except RedisError:
        return "away"


def test_a_process_that_never_beats_may_commit() -> None:
    """Who only asks something, such as a web view, has no beat and remembers nothing of another server."""

    async def scenario(server: RedisServer) -> None:
        backend = RedisBackend("app", url=server.url)
        await backend.open("asks")
        assert await _verdict(backend, step(Row("a"))) == "done"
        await backend.close()

    with RedisServer() as server:
        asyncio.run(scenario(server))

"""The connections of one replica: made on the engine's loop, without retries of their own."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Sequence
from contextvars import ContextVar
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

import hiredis
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from sched_redis._connect import Connector
from sched_redis._keys import GROUP, Keys

log = logging.getLogger("schedcore")

Argument = str | bytes | int


INCLUDED = re.compile(rb"^-- include (\w+)$", re.MULTILINE)


@cache
def script(name: str) -> tuple[bytes, str]:
    """Read a script of this package with its parts, and tell the hash by which a server knows it."""
    source = _with_parts(name)
    return source, sha1(source, usedforsecurity=False).hexdigest()


def _with_parts(name: str) -> bytes:
    text = files("sched_redis").joinpath("lua", f"{name}.lua").read_bytes()
    return INCLUDED.sub(lambda part: _with_parts(f"parts/{part[1].decode()}").rstrip(), text)


BLOCK = 5.0
"""Seconds that one blocking read lasts at most: then a lost stream or connection is noticed."""

PATIENCE = 3.0
"""Seconds after which a command without an answer has failed; the engine repeats it."""

FORBIDDEN = (
    "ACL LOG on the server names what was refused, the reference of the Redis backend all that it needs"
)
ANOTHER_KIND = "is of another kind than the reference of the Redis backend tells: redis-cli TYPE shows which"
AT_ONCE = 32
"""How many commands are under way at once at most: each has a connection of its own."""

REFUSALS = {"READONLY": ReadOnlyError, "OOM": OutOfMemoryError}
WITHIN = re.compile(r"@user_script: \d+: -(READONLY|OOM) (.*)", re.DOTALL)

RUN_ID = re.compile(rb"run_id:(\w+)")

_committing: ContextVar[bool] = ContextVar("committing", default=False)

_of_parents: list[Any] = []
"""What parents were connected with: collected, it would be taken out of a selector that is theirs, too."""


class Client:
    """Sends commands and scripts; a stream or group that is gone is made anew."""

    def __init__(self, connector: Connector, keys: Keys) -> None:
        """Connect with the first call."""
        self.keys = keys
        self._connector = connector
        self.server = ""
        self._reached = ""
        self._process = 0
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._redis: Any = None
        self._answered = False

    @property
    def is_open(self) -> bool:
        """Tell whether this process is connected: its last command was answered, and not with an error."""
        return self._answered and self._redis is not None and self._process == os.getpid()

    async def open(self) -> None:
        """Connect; the group is made with the first beat, so that who only asks leaves nothing."""
        if self._process != os.getpid():  # a child of fork must not touch its parent's sockets
            self._process = os.getpid()
            if self._redis is not None:
                _of_parents.append(self._redis)
            self._redis, self.server = None, ""
            self._turns = asyncio.Semaphore(AT_ONCE)
        if self._redis is None:
            self._redis = self._connector.make(self._greet)
        await self.now()

    async def _greet(self, connection: Any) -> None:
        """Ask each new connection which server it leads to, before anything else is sent."""
        connection.pack_command = _pack
        await connection.on_connect()
        if not self._connector.leads_to(self._redis, connection, self.keys.stream):
            return
        await connection.send_command("INFO", "server")
        found = RUN_ID.search(await connection.read_response())
        self._reached = found[1].decode() if found else ""
        if _committing.get() and not self.is_same_server():
            raise ConnectionError(
                "the Redis server was restarted, or is another one: the next beat comes first"
            )

    def is_same_server(self) -> bool:
        """Tell whether this is the server of the last beat: another, or a restarted one, may lack data."""
        return not self.server or self._reached == self.server

    async def commit(self, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run the commit script, but never on a server that has not answered to a beat."""
        token = _committing.set(True)
        try:
            return await self.run("commit", keys, arguments)
        finally:
            _committing.reset(token)

    async def close(self) -> None:
        """Disconnect; who only asks afterwards beats no more, and takes any server."""
        client, self._redis, self.server = self._redis, None, ""
        if client is not None and self._process == os.getpid():
            await self._connector.close(client)

    async def make_group(self) -> None:
        """Make stream and group; if they were not there, offer again what was in them, in the same script."""
        await self._mend(0)

    async def mend(self) -> None:
        """Put back into the stream what somebody removed from it."""
        await self._mend(1)

    async def _mend(self, always: int) -> None:
        keys = (self.keys.stream, self.keys.triggers, self.keys.parked)
        mended = await self.run("mend", keys, (GROUP, always))
        if mended:
            log.warning(
                "the stream %s lacked %d triggers, which were put back: somebody changed it",
                self.keys.stream,
                mended,
                extra={"event": "redis.mended"},
            )

    async def now(self) -> int:
        """Tell the server's clock, in microseconds since the Unix epoch."""
        return instant(await self.call("TIME"))

    async def call(self, *command: Argument) -> Any:
        """Send a command."""
        async with self._turns:
            return await self._send(PATIENCE, *command)

    async def calls(self, *commands: Sequence[Argument]) -> Sequence[Any]:
        """Send several commands in one round trip."""
        async with self._turns:
            return await self._send(PATIENCE, *commands)  # type: ignore[no-any-return]

    async def run(self, name: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script; one that the server has forgotten is sent along."""
        source, digest = script(name)
        for _ in range(3):
            try:
                return await self.call("EVALSHA", digest, len(keys), *keys, *arguments)
            except NoScriptError:
                await self.call("SCRIPT LOAD", source)
            except ResponseError as exc:
                if name == "mend" or not _group_is_gone(exc):
                    raise
                await self.make_group()
        return await self.call("EVAL", source, len(keys), *keys, *arguments)

    async def read(self, replica: str, count: int, block: float | None, after: str) -> list[tuple[str, str]]:
        """Read from the group: the ids of entries, and the names in them; wait `block` seconds at most.

        `after` is ">" for what nobody has read, "0" for what `replica` has read and not acknowledged.
        """
        waiting = () if block is None else ("BLOCK", max(1, round(block * 1000)))
        group, stream = ("XREADGROUP", "GROUP", GROUP, replica, "COUNT", count), self.keys.stream
        try:
            found = await self._send(PATIENCE + (block or 0), *group, *waiting, "STREAMS", stream, after)
        except ResponseError as exc:
            if not _group_is_gone(exc):
                raise
            await self.make_group()
            return []
        return [(id_.decode(), _first(fields)) for _, entries in found or () for id_, fields in entries]

    async def _send(self, patience: float, *command: Argument | Sequence[Argument]) -> Any:
        client = self._redis
        if client is None:
            raise ConnectionError("the Redis backend is not open")
        try:
            answer = await self._ask(client, patience, command)
        except ResponseError as said:
            self._answered = False
            exc = _unwrapped(said)
            if isinstance(
                exc, ReadOnlyError
            ):  # a primary that became a replica: its connections are of no use
                await self._connector.reconnect(client)
            elif _is_forbidden(exc):
                exc = NoPermissionError(f"{exc}; {FORBIDDEN}")
                exc.add_note("grant this user what it lacks, or name another one in SCHEDCORE_REDIS_URL")
            elif "WRONGTYPE" in str(exc):  # in Redis 6.2 behind what the script was
                exc.add_note(f"one of the keys {self.keys.pattern} {ANOTHER_KIND}")
            raise exc from None
        except Exception as exc:
            self._answered = False
            exc.add_note(_remedy(exc, repr(self._connector)))
            raise
        self._answered = True
        return answer

    async def _ask(self, client: Any, patience: float, command: Sequence[Any]) -> Any:
        try:
            async with asyncio.timeout(patience):
                route = await self._connector.routed(client, self.keys.stream)
                if isinstance(command[0], str):
                    return await client.execute_command(*command, **route)
                pipeline = client.pipeline(transaction=False)
                for each in command:
                    pipeline.execute_command(*each, **route)
                return await pipeline.execute()
        except TimeoutError:
            raise TimeoutError(f"Redis did not answer {command[0]!s} within {patience:g} s") from None


def instant(time: Sequence[Any]) -> int:
    """Read the answer to TIME: microseconds since the Unix epoch."""
    seconds, micros = time
    return int(seconds) * 1_000_000 + int(micros)


def _pack(*command: Argument) -> list[bytes]:
    """Pack a command in C: what redis-py's asyncio client does in Python takes 3 µs for each argument."""
    name: Any = command[0]  # of one word or two
    return [hiredis.pack_command((*name.split(), *command[1:]))]


def _unwrapped(exc: ResponseError) -> ResponseError:
    """Redis 6.2 hides within another error what a script may not do."""
    hidden = WITHIN.search(str(exc))
    return exc if hidden is None else REFUSALS[hidden[1]](hidden[2])


def _remedy(exc: Exception, where: str) -> str:
    given = "which SCHEDCORE_REDIS_URL gives unless the code does"
    if isinstance(exc, AuthenticationError):
        return f"user and password are part of its address, {where}, {given}"
    return f"is Redis up, and reached at {where}, {given}?"


def _is_forbidden(exc: ResponseError) -> bool:
    """What a script may not do is, by release, an error of its own or one among others."""
    text = str(exc)
    return (
        isinstance(exc, NoPermissionError)
        or "NOPERM" in text
        or "user executing the script" in text
        or "ACL failure" in text
    )


def _group_is_gone(exc: ResponseError) -> bool:
    text = str(exc)
    return "NOGROUP" in text or text.startswith("UNBLOCKED")


def _first(fields: dict[bytes, bytes] | None) -> str:
    """A removed entry that is still pending has no fields."""
    return next(iter(fields.values())).decode(errors="replace") if fields else ""

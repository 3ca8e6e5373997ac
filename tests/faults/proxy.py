"""A network that can be told to fail, between one replica and its store."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

CHUNK = 64 * 1024


class Proxy:
    """Forwards TCP connections to a port of this machine, from a thread of its own.

    What was sent into a stall arrives when it is over, even if its sender has gone meanwhile.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._seconds = 0.0
        self._chunk = CHUNK
        self._tears: Callable[[], bool] = never
        self._random = Random(target)
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._flowing = asyncio.Event()
        self._flowing.set()

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._do(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """The store's address for whoever goes through here."""
        return f"redis://127.0.0.1:{self.port}/0"

    def stall(self) -> None:
        """Let nothing through, and say nothing: connections stay open."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def delay(self, seconds: float) -> None:
        """Let everything through this much later, each way."""
        self._seconds = seconds

    def crumble(self, size: int) -> None:
        """Let everything through in pieces of so many bytes."""
        self._chunk = size

    def tear(self, chance: float, random: Random) -> None:
        """Drop a connection in the middle of an answer, with this chance; also before its first byte."""
        self._random = random
        self._tears = lambda: random.random() < chance

    def cut(self) -> None:
        """Drop every connection; new ones are welcome."""
        self._do(self._drop)

    def refuse(self) -> None:
        """Drop every connection, and refuse new ones."""
        self._do(self._close)

    def heal(self) -> None:
        """Be a good network again."""
        self._seconds, self._chunk, self._tears = 0.0, CHUNK, never
        self._loop.call_soon_threadsafe(self._flowing.set)
        self._do(self._listen)

    def _do(self, action: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(action(), self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accept, "127.0.0.1", self.port, limit=CHUNK, reuse_address=True
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._drop()

    async def _drop(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            await self._link(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # cut by us, or by one of the two
        finally:
            self._links.discard(task)
            writer.transport.abort()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=CHUNK)
        try:
            forth = asyncio.ensure_future(self._pump(reader, far_writer))
            back = asyncio.ensure_future(self._pump(far_reader, writer, may_tear=True))
            try:
                await asyncio.wait((forth, back), return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(0.01)
            finally:
                forth.cancel()
                back.cancel()
                await asyncio.gather(forth, back, return_exceptions=True)
        finally:
            far_writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, may_tear: bool = False
    ) -> None:
        while data := await reader.read(self._chunk):
            arrives = time.monotonic() + self._seconds
            await asyncio.sleep(max(0.0, arrives - time.monotonic()))
            await self._flowing.wait()
            torn = may_tear and self._tears()
            writer.write(data[: self._random.randrange(len(data))] if torn else data)
            await writer.drain()
            if torn:
                return
        await self._flowing.wait()


def never() -> bool:
    return False

"""A small HTTP server for Kubernetes: is this replica alive, is it ready?

    with Probes(scheduler, 8080):
        scheduler.run()

It has a thread and an event loop of its own, so that it answers while all else is stuck. `/live` and `/ready`
answer 200 or 503, with JSON that says why; `/health` always answers 200, with all that is known.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING

import attrs

from schedcore._answers import FRESH, Health
from schedcore._loop_thread import LoopThread
from schedcore.errors import ConfigurationError

if TYPE_CHECKING:
    from schedcore.scheduler import Scheduler

PATIENCE = 5.0
"""So many seconds a request may take to arrive."""

LAST_PORT = 65535

log = logging.getLogger("schedcore")

Page = Callable[[], tuple[HTTPStatus, str, bytes]]
JSON = "application/json"


class Probes:
    """Serves a scheduler's probes until it is closed.

    Attributes:
        pages: What is served, by path: a page answers a status, a content type and the content. Add yours
            before it starts, such as `schedcore.prometheus.page`.
    """

    def __init__(self, scheduler: Scheduler, port: int, *, host: str | None = None) -> None:
        """Prepare it; port 0 is any that is free, without a host all interfaces are listened on.

        Raises:
            ConfigurationError: there is no such port.
        """
        if not 0 <= port <= LAST_PORT:
            raise ConfigurationError(f"there is no port {port} for probes: name one from 0 to {LAST_PORT}")
        self.port = port
        self.host = host
        self.pages: dict[str, Page] = {
            "/live": lambda: _verdict(scheduler, "live"),
            "/ready": lambda: _verdict(scheduler, "ready"),
            "/health": lambda: _health(scheduler),
        }
        self._probes = frozenset(self.pages)
        self._app = scheduler.app
        self._thread: LoopThread | None = None
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Probes:
        """Begin to serve, as `start` does."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Serve no more."""
        self.close()

    def start(self) -> None:
        """Begin to serve; safe to repeat.

        Raises:
            ConfigurationError: the port cannot be listened on.
        """
        if self._thread is not None:
            return
        self._thread = LoopThread(f"schedcore-{self._app}-probes")
        try:
            self._thread.submit(self._listen()).result()
        except BaseException as exc:
            self.close()
            if not isinstance(exc, OSError):
                raise
            raise ConfigurationError(
                f"the port {self.port} for probes cannot be listened on: {exc.strerror or exc}; name another"
            ) from exc

    def close(self) -> None:
        """Serve no more; safe to repeat."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.submit(self._end()).result()
            thread.stop()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(await self._answer(head))
            async with asyncio.timeout(PATIENCE):
                await writer.drain()
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            pass  # it is the caller's trouble
        except asyncio.CancelledError:
            pass  # it is closed meanwhile; Python 3.11 would tell that as an error
        finally:
            writer.close()

    async def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.decode("latin-1").partition(" ")
        path = rest.split(" ")[0].partition("?")[0]
        if method not in ("GET", "HEAD"):
            status, kind, body = HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", b"GET or HEAD\n"
        elif path not in self.pages:
            status, kind = HTTPStatus.NOT_FOUND, "text/plain"
            body = f"there are {', '.join(self.pages)}\n".encode()
        else:
            status, kind, body = await self._page(path)
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            "\r\n",
        )
        return "\r\n".join(lines).encode() + (b"" if method == "HEAD" else body)

    async def _page(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Make a page; one that was added takes a thread, so that probes are answered meanwhile."""
        try:
            page = self.pages[path]
            return page() if path in self._probes else await asyncio.to_thread(page)
        except Exception:
            log.exception("the page %s failed", path, extra={"event": "probes.page_failed"})
            return HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", b"it failed; the log tells why\n"


def why_not(health: Health) -> list[str]:
    """Tell what keeps a replica from being ready."""
    if not health.replica:
        return ["the scheduler is not started"]
    reasons = [f"the {health.stuck} is stuck"] if health.stuck else []
    if not health.running:
        reasons.append("the engine is starting, or stopping")
    if not health.connected:
        reasons.append("the store is away")
    elif health.last_beat is None or health.last_beat >= FRESH:
        ago = "yet" if health.last_beat is None else f"for {health.last_beat:.0f} s"
        reasons.append(f"the store has not answered {ago}")
    return reasons


def _verdict(scheduler: Scheduler, which: str) -> tuple[HTTPStatus, str, bytes]:
    health = scheduler._lifetime.health()
    good = bool(getattr(health, which))
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return status, JSON, _json({which: good, "why": [] if good else why_not(health)})


def _health(scheduler: Scheduler) -> tuple[HTTPStatus, str, bytes]:
    health = scheduler._lifetime.health()
    return HTTPStatus.OK, JSON, _json({"live": health.live, "ready": health.ready, **attrs.asdict(health)})


def _json(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"

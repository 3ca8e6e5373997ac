"""The thread of one scheduler: its backend, its engine while started, and what is asked of the app."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import random
import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

from schedcore._clock import SystemClock
from schedcore._control import Control, OneTry
from schedcore._engine import Engine
from schedcore._jobs import Job
from schedcore._launch import OtherLoop
from schedcore._loop_thread import LoopThread
from schedcore._threads import Threads
from schedcore.protocols import Backend

log = logging.getLogger("schedcore")
T = TypeVar("T")


def replica_id() -> str:
    """Name this start of this process: host, process id, random."""
    host = "".join(c if c.isalnum() or c in ".-" else "-" for c in socket.gethostname())[:60]
    return f"{host or 'host'}-{os.getpid()}-{os.urandom(4).hex()}"


class Service:
    """Owns the engine's thread. Made when a scheduler is started or first asked something."""

    def __init__(
        self, app: str, backend: Backend, jobs: dict[str, Job], concurrency: int, threads: int
    ) -> None:
        """Make the thread; nothing connects yet."""
        self.app = app
        self.replica = replica_id()
        self.backend = backend
        self.engine: Engine | None = None
        self._jobs = jobs
        self._concurrency = concurrency
        self._threads = Threads(app, threads)
        self._thread = LoopThread(f"schedcore-{app}")
        self._own_target: LoopThread | None = None
        self._running: asyncio.Task[None] | None = None
        self._control: Control | None = None
        self._opening: asyncio.Lock | None = None

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run `coroutine` on the service's thread."""
        return self._thread.submit(coroutine)

    def is_current(self) -> bool:
        """Tell whether the caller is on the service's own thread."""
        return self._thread.is_current()

    async def control(self) -> Control:
        """Return what asks the store, connecting first where no engine has."""
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self.engine is not None:
                await _either(self.engine.ready.wait(), self.engine.link.ever_failed.wait())
            if self._control is None:
                if self.engine is None:
                    await OneTry().call(lambda: self.backend.open(self.replica))
                self._control = Control(self.backend, self.replica)
        return self._control

    async def start(self, target: asyncio.AbstractEventLoop | None) -> None:
        """Start the engine; returns when it works, or when the store turned out to be away."""
        engine = self.engine = Engine(
            self.app,
            self.replica,
            self.backend,
            self._jobs,
            clock=SystemClock(),
            random=random.Random(),
            concurrency=self._concurrency,
            threads=self._threads.limit,
            facts={"host": socket.gethostname(), "pid": os.getpid()},
        )
        if target is None:
            self._own_target = LoopThread(f"schedcore-{self.app}-jobs")
            target = self._own_target.loop
        runner = engine.runner
        launcher = OtherLoop(target, self._threads, runner.ended, runner.vacated, runner.nudge)
        self._running = asyncio.create_task(engine.run(launcher))
        await _either(engine.ready.wait(), engine.link.ever_failed.wait())

    async def stop(self, drain: float) -> list[str]:
        """Stop the engine; the names of jobs whose plain functions still run, their leases being renewed."""
        if self.engine is None:
            return []
        return await self.engine.stop(drain)

    async def _leave(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self.engine is not None:
            await self.engine.leave()
        else:
            await self.backend.close()

    async def _until_idle(self) -> None:
        while self.engine is not None and self.engine.runner.held:
            self.engine.runner.freed.clear()
            await self.engine.runner.freed.wait()
            await self.engine.reporter.settled()

    def linger(self) -> None:
        """Go on until the last function has ended, then end."""
        self.submit(self._until_idle()).result()
        self.end()

    def end(self) -> None:
        """Say goodbye, disconnect, and end the threads; a function that still runs keeps its own."""
        self.submit(self._leave()).result()
        self._threads.close()
        if self._own_target is not None:
            self._own_target.stop()
        self._thread.stop()


async def _either(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()

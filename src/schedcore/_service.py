"""The thread of one scheduler: its backend, its engine while started, and what is asked of the app."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import os
import random
import socket
from collections.abc import Callable, Coroutine
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from schedcore._clock import SystemClock
from schedcore._control import Control
from schedcore._engine import Engine
from schedcore._hooks import Hooks
from schedcore._jobs import Job
from schedcore._launch import OtherLoop
from schedcore._link import OneTry
from schedcore._loop_thread import LoopThread
from schedcore._observers import Observers
from schedcore._threads import Threads
from schedcore._watchdog import Guard
from schedcore.protocols import Backend

log = logging.getLogger("schedcore")
T = TypeVar("T")

A_MOMENT = 4.0
"""Seconds: what could not be declared at once is declared with the next beat."""


def replica_id() -> str:
    """Name this start of this process: host, process id, random."""
    host = "".join(c if c.isalnum() or c in ".-" else "-" for c in socket.gethostname())[:60]
    return f"{host or 'host'}-{os.getpid()}-{os.urandom(4).hex()}"


class Service:
    """Owns the engine's thread. Made when a scheduler is started or first asked something."""

    def __init__(
        self,
        app: str,
        backend: Backend,
        jobs: dict[str, Job],
        concurrency: int,
        threads: int,
        observers: Observers,
        hooks: Hooks,
    ) -> None:
        """Make the thread; nothing connects yet."""
        self._hooks = hooks
        self._observers = observers
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
        self._before: list[tuple[Engine, asyncio.Task[None]]] = []
        self._control: Control | None = None
        self._guard: Guard | None = None
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
                self._control = Control(self.backend, self.replica, self._observers)
                self._control.declared = self._declared
        return self._control

    async def _declared(self, job: str) -> None:
        """Wait until a job that was added just now is declared, a moment at most."""
        now = asyncio.get_running_loop().time
        until = now() + A_MOMENT
        while self.engine is not None and self.engine.is_declaring(job) and now() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def start(self, target: asyncio.AbstractEventLoop | None) -> None:
        """Start the engine; returns when it works, or when the store turned out to be away."""
        if self.engine is not None and self._running is not None:
            self._before.append((self.engine, self._running))  # it still renews what runs on
        self._control = None
        engine = self.engine = Engine(
            self.app,
            self.replica,
            self.backend,
            self._jobs,
            clock=SystemClock(),
            random=random.Random(),
            concurrency=self._concurrency,
            threads=self._threads.limit,
            facts={
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "version": _version(),
                "concurrency": self._concurrency,
                "threads": self._threads.limit,
            },
            observers=self._observers,
        )
        if target is None:
            self._own_target = self._own_target or LoopThread(f"schedcore-{self.app}-jobs")
            target = self._own_target.loop
        self._hooks.target = target
        runner = engine.runner
        launcher = OtherLoop(
            target, self._threads, runner.ended, runner.vacated, runner.nudge, runner.loop_blocked
        )
        running = self._running = asyncio.create_task(engine.run(launcher))
        self._guard = Guard(engine, self.submit, running.done)
        await _either(engine.ready.wait(), engine.link.ever_failed.wait())
        _collect_once()

    async def stop(self, drain: float) -> list[str]:
        """Stop the engine; the names of jobs whose plain functions still run, their leases being renewed."""
        if self.engine is None:
            return []
        if self._guard is not None:
            self._guard.stop()
        left = await self.engine.stop(drain)
        return left + [e.job.name for engine, _ in self._before for e in engine.runner.held.values()]

    async def _leave(self) -> None:
        for engine, running in self._before:
            running.cancel()
            await asyncio.wait([running])
            await engine.give_up()
        if self._running is not None:
            while not self._running.done():  # a task group that fails just then swallows a cancellation
                self._running.cancel()
                await asyncio.wait([self._running], timeout=1)
        if self.engine is not None:
            await self.engine.leave()
        else:
            await self.backend.close()

    async def _until_idle(self) -> None:
        engine, running = self.engine, self._running
        while engine is not None and engine.runner.held:
            engine.runner.freed.clear()
            await engine.runner.freed.wait()
            await engine.reporter.settled()
        if engine is not None and running is not None and (engine, running) in self._before:
            self._before.remove((engine, running))  # started again meanwhile
            running.cancel()

    def linger(self, release: Callable[[Service], bool]) -> None:
        """Go on until the last function has ended, then end, unless started again meanwhile."""
        self.submit(self._until_idle()).result()
        if release(self):
            self.end()

    def end(self) -> None:
        """Say goodbye, disconnect, and end the threads; a function that still runs keeps its own."""
        self.submit(self._leave()).result()
        self._hooks.close()
        self._threads.close()
        if self._own_target is not None:
            self._own_target.stop()
        self._thread.stop()


@cache
def _collect_once() -> None:
    """Have the garbage collector walk through what a start makes now, and not while the first jobs run."""
    gc.collect()


def _version() -> str:
    try:
        return version("schedcore")
    except PackageNotFoundError:  # run from its source
        return ""


async def _either(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()

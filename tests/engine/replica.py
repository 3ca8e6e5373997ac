"""What the engine's tests are written with: one replica in virtual time, and schedulers in real time."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.engine.virtual import VirtualClock, now_us, run_virtual

from sched_ram import Memory, RamBackend
from schedcore import RunInfo, Scheduler, Status
from schedcore._control import Control
from schedcore._engine import Engine
from schedcore._jobs import JobFunction, make_job
from schedcore._launch import InLoop
from schedcore.protocols import Backend

RARELY = "@every 24h"
"""The schedule of jobs that a test triggers by hand."""


class Replica:
    """One engine in virtual time, on the running loop; coroutine and plain functions run there too."""

    def __init__(self, backend: Backend | None = None, name: str = "r0", **engine: Any) -> None:
        self.memory = Memory(now_us)
        self.backend = backend or RamBackend("app", memory=self.memory)
        self.name = name
        self.jobs: dict[str, Any] = {}
        self.control = Control(self.backend, name)
        self.starts: list[float] = []
        self._options = engine
        self._starts = 0
        self.engine: Engine

    def add(self, name: str, schedule: Any, function: JobFunction | None = None, **options: Any) -> None:
        """Declare a job; without a function it notes when it was started."""
        self.jobs[name] = make_job(name, schedule, function or self.note, options)

    def note(self) -> None:
        """Note a start, in seconds since the simulation began."""
        self.starts.append(self.now())

    def now(self) -> float:
        """Tell the seconds since the simulation began."""
        return round((now_us() - START_US) / 1_000_000, 4)

    @asynccontextmanager
    async def running(self, drain: float = 20) -> AsyncIterator[Engine]:
        """Run it, and stop it as a scheduler does; each start is a new replica."""
        self._starts += 1
        name = self.name + "'" * (self._starts - 1)
        engine = self.engine = Engine(
            "app", name, self.backend, self.jobs, clock=VirtualClock(), random=Random(1), **self._options
        )
        task = asyncio.create_task(engine.run(InLoop(engine.runner.ended)))
        try:
            await engine.ready.wait()
            yield engine
        finally:
            await engine.stop(drain)
            task.cancel()
            await asyncio.wait([task])
            await engine.leave()

    async def lines(self, job: str = "a", **which: Any) -> list[RunInfo]:
        """Read a job's history, oldest first."""
        return (await self.control.history(job, **which))[::-1]

    async def counters(self, job: str = "a") -> dict[str, int]:
        """Read a job's counters."""
        (info,) = await self.control.jobs([job])
        return info.counters


START_US = 1_767_225_600_000_000


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Make a test of a coroutine function that is given a `Replica`, and runs in virtual time."""

    async def play() -> None:
        await test(Replica())

    def run() -> None:
        run_virtual(play())

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    return run


def scheduler(**options: Any) -> Scheduler:
    """Make a scheduler on a RAM backend of its own."""
    options.setdefault("drain", 5)
    return Scheduler(options.pop("app", "app"), backend="ram", **options)


def events(records: list[logging.LogRecord]) -> list[str]:
    """List what was announced."""
    return [record.event for record in records if hasattr(record, "event")]


def until(condition: Callable[[], bool], patience: float = 5) -> None:
    """Wait for what other threads bring about."""
    limit = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < limit, "it did not come about"
        time.sleep(0.01)


START = datetime(2026, 1, 1, tzinfo=UTC)


def second(number: float) -> datetime:
    """Tell the instant so many seconds after the simulation began."""
    return START + timedelta(seconds=number)


async def accounted(replica: Replica, job: str = "a") -> None:
    """Check that each scheduled time of a job's life is in exactly one place."""
    (info,) = await replica.control.jobs([job])
    lines = await replica.lines(job, limit=10_000)
    counted = {str(status): 0 for status in Status}
    for line in lines:
        if not line.key or line.key.isdecimal():
            counted[line.status] += line.count
    assert info.counters == {status: number for status, number in counted.items() if number}
    born, decided = START, info.decided_until
    step = timedelta(seconds=float(info.schedule.removeprefix("@every ").removesuffix("s")))
    assert sum(info.counters.values()) + len(info.outstanding) + len(info.waiting) == (decided - born) // step


async def outcome(replica: Replica, function: Callable[..., object], **options: object) -> RunInfo:
    """Run a function once, triggered by hand; its line."""
    replica.add("a", RARELY, function, **options)
    async with replica.running():
        await replica.control.trigger("a", wait=True)
        (line,) = await replica.lines()
    return line


def run_once(function: Callable[..., object], **trigger: Any) -> str:
    """Run a function once in a scheduler with a loop of its own; how that ended."""
    s = scheduler()
    s.add_job("a", RARELY, function)
    with s:
        return s.blocking.trigger("a", wait=True, timeout=5, **trigger).outcome


def nothing() -> None:
    """Do it."""

"""A scheduler on virtual time: a day passes in milliseconds, and jobs run when they are due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from types import TracebackType
from typing import Any, TypeVar

from schedcore import _plugins
from schedcore._answers import Health
from schedcore._control import Control
from schedcore._engine import Engine
from schedcore._execute import Execution
from schedcore._launch import InLoop
from schedcore._pulse import BEAT, Pulse
from schedcore._state import SECOND
from schedcore._units import to_datetime, to_micros
from schedcore.blocking import Blocking
from schedcore.errors import ConfigurationError, LifecycleError, UnknownJobError
from schedcore.protocols import Backend
from schedcore.scheduler import Scheduler
from schedcore.testing._loop import LoopClock, VirtualLoop

T = TypeVar("T")


class VirtualClock:
    """Time that passes when it is told to, for schedulers and the jobs that they run.

        with VirtualClock("2026-03-29T00:00+01:00") as clock:
            app = clock.start(scheduler)
            clock.advance(hours=24)
            assert app.history("report")

    Jobs run on a loop of the clock's own, plain functions too: `asyncio.sleep` takes no real time there,
    and sockets and threads are not waited for. What a job does elsewhere a test replaces, as ever.
    """

    def __init__(self, start: datetime | str) -> None:
        """Begin at `start`: an aware datetime, or one in ISO 8601.

        Raises:
            ScheduleError: it is not aware, or no instant.
        """
        self._loop = VirtualLoop(to_micros(_instant(start), "start"))
        self._started: dict[str, _Started] = {}

    def __repr__(self) -> str:
        """Tell the time."""
        return f"<VirtualClock {self.now.isoformat()}>"

    def __enter__(self) -> VirtualClock:
        """Give the clock."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop what was started, as `close` does."""
        self.close()

    @property
    def now(self) -> datetime:
        """Tell the time, in UTC."""
        return to_datetime(self._loop.now_us)

    def start(self, scheduler: Scheduler) -> Blocking:
        """Start a scheduler's jobs, with all that `scheduler.blocking` can be asked to ask and tell them.

        They run on a store in memory of their own (the backend `ram`), whatever backend the scheduler has.

        Raises:
            LifecycleError: its app is started already, or this was called inside an event loop.
            UnknownBackendError: the backend `ram` is not installed.
        """
        if scheduler.app in self._started:
            raise LifecycleError(f"the app {scheduler.app} is started already on this clock")
        _check_no_loop()
        started = self._started[scheduler.app] = _Started(scheduler, self._loop)
        self._loop.run_until(self._loop.now_us)
        return Blocking(started)

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass: all that is due until then, and at that very instant, happens.

        Raises:
            ConfigurationError: time would go back.
            LifecycleError: this was called inside an event loop.
        """
        by = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if by < timedelta(0):
            raise ConfigurationError(f"time cannot go back by {-by}")
        _check_no_loop()
        self._loop.run_until(self._loop.now_us + by // timedelta(microseconds=1))

    def close(self) -> None:
        """Stop what was started, without waiting for what runs."""
        for started in self._started.values():
            started.end()
        self._started.clear()
        if not self._loop.is_closed():
            self._loop.close()


class IdlePulse(Pulse):
    """Beats every three seconds while something runs, and once a minute while nothing does.

    On a virtual clock an app has one replica, so that nobody else counts its beats: a day of them is short.
    """

    IDLE = 60.0
    _begun: asyncio.Event

    @classmethod
    def replace(cls, pulse: Pulse) -> IdlePulse:
        """Have a pulse be one of these."""
        pulse.__class__ = cls
        assert isinstance(pulse, cls)
        pulse._begun = asyncio.Event()
        pulse._runner.sure = pulse.sure
        return pulse

    def sure(self) -> bool:
        """Always: nobody else is there to take anything over."""
        return True

    def begin(self) -> None:
        """Something begins to run, under a lease that is new."""
        self._renewed = self._clock.clock.monotonic()
        self._begun.set()
        self.hurry()

    async def wait(self) -> None:
        """Wait for the next beat."""
        if self._runner.held:
            await super().wait()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self.IDLE):
                await self._now_please.wait()
        self._now_please.clear()

    async def watch(self) -> None:
        """Watch over the leases while there are any."""
        while True:
            await self._begun.wait()
            self._begun.clear()
            watching = asyncio.ensure_future(super().watch())
            try:
                while self._runner.held:  # noqa: ASYNC110  time is virtual
                    await asyncio.sleep(BEAT / SECOND)
            finally:
                watching.cancel()


class _Launcher(InLoop):
    """Tells the pulse what begins."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.runner.ended)
        self._pulse = IdlePulse.replace(engine.pulse)

    def coroutines(self, executions: Sequence[Execution]) -> None:
        """Make a task for each."""
        self._pulse.begin()
        super().coroutines(executions)


class _Started:
    """One scheduler's engine on a virtual loop, and what `Blocking` asks of it."""

    def __init__(self, scheduler: Scheduler, loop: VirtualLoop) -> None:
        self._loop = loop
        app = scheduler.app
        self._jobs = dict(scheduler._jobs)
        backend: Any = _plugins.load(app, "ram", {})
        backend.memory.clock = lambda: loop.now_us
        self._observers = scheduler._observers
        self._hooks = scheduler._hooks
        self._hooks.virtual = loop
        loop.run_until_complete(self._begin(app, backend))

    async def _begin(self, app: str, backend: Backend) -> None:
        self._engine = Engine(
            app,
            "virtual",
            backend,
            self._jobs,
            clock=LoopClock(),
            random=Random(0),
            observers=self._observers,
        )
        self._control = Control(backend, "virtual", self._observers)
        self._launcher = _Launcher(self._engine)
        self._task = asyncio.create_task(self._engine.run(self._launcher))

    def wait_for(self, question: Callable[[Control], Coroutine[Any, Any, T]]) -> T:
        """Have a question answered; time passes only if the answer needs it."""
        _check_no_loop()
        return self._loop.run_until_complete(question(self._control))

    def wait_for_health(self) -> Health:
        """Tell the engine's health."""
        return self.wait_for(lambda _: self._health())

    async def _health(self) -> Health:
        return self._engine.health()

    def wait_for_removal(self, name: str) -> None:
        """Remove a job from here; the scheduler itself keeps it."""
        if name not in self._jobs:
            raise UnknownJobError(name, self._jobs)
        self.wait_for(lambda _: self._engine.remove(self._jobs.pop(name)))

    def end(self) -> None:
        """Stop it, and leave nothing behind."""
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._end())

    async def _end(self) -> None:
        await self._engine.stop(0)
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._engine.leave()
        self._hooks.virtual = None


def _instant(start: datetime | str) -> object:
    if not isinstance(start, str):
        return start
    try:
        return datetime.fromisoformat(start)
    except ValueError:
        return start


def _check_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise LifecycleError(
        "a virtual clock was asked inside a running event loop, which it would block; "
        "use it in an ordinary test function"
    )

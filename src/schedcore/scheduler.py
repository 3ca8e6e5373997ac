"""The scheduler as applications use it: declare jobs, run them, ask about them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from schedcore._answers import Health
from schedcore._functions import name_of, place_of
from schedcore._hooked import Hooked
from schedcore._jobs import Job, JobFunction, JobOptions, check_name, check_number, make_job
from schedcore._questions import Questions
from schedcore._units import Seconds, seconds
from schedcore.blocking import Blocking
from schedcore.errors import ConfigurationError, UnknownJobError
from schedcore.protocols import Backend
from schedcore.schedules import Schedule

if TYPE_CHECKING:
    from schedcore._control import Control
    from schedcore.watching import Glance, Observer

F = TypeVar("F", bound=JobFunction)
T = TypeVar("T")


class Scheduler(Questions, Hooked):
    """One replica of an app: its jobs, the engine that runs them, and all that can be asked about them.

    Nothing connects and no thread is made before it is started or first asked something. Jobs may be
    added and removed at any time.
    """

    def __init__(
        self,
        app: str,
        *,
        backend: str | Backend | None = None,
        concurrency: int = 100,
        threads: int = 16,
        drain: Seconds = 20,
        **options: Any,
    ) -> None:
        """Make the scheduler of `app`.

        Args:
            app: Scopes everything in the store; replicas of one app share jobs.
            backend: A name or an instance; else `SCHEDCORE_BACKEND`, else the only one installed.
            concurrency: How many runs this replica has at once at most.
            threads: How many of these may be plain functions.
            drain: How long a stop lets runs end; seconds or a `timedelta`.
            options: The backend's own.

        Raises:
            BackendError: no backend, several, an unknown one, or one that does not import.
            ConfigurationError: a name, a number or an option cannot be used.
        """
        self.app = check_name("an app", app)
        check_number("concurrency", concurrency)
        check_number("threads", threads)
        # Declared and asked later: whoever only imports us need not wait for asyncio and the engine.
        from schedcore import _plugins
        from schedcore._hooks import Hooks
        from schedcore._lifetimes import Lifetime
        from schedcore._observers import Observers

        self._backend = _plugins.load(app, backend, options)
        self._jobs: dict[str, Job] = {}
        self._drain = seconds("drain", drain)
        self._observers = Observers()
        self._hooks = Hooks(self._jobs)
        self._lifetime = Lifetime(
            app, self._backend, self._jobs, concurrency, threads, self._observers, self._hooks
        )
        self.blocking = Blocking(self)

    def __repr__(self) -> str:
        """Tell app, backend, number of jobs and state."""
        state = "started" if self._lifetime.started else "not started"
        return f"<Scheduler {self.app} on {self._backend.name}: {len(self._jobs)} jobs, {state}>"

    def job(
        self, schedule: str | datetime | Schedule, *, name: str | None = None, **options: Unpack[JobOptions]
    ) -> Callable[[F], F]:
        """Declare the decorated function as a job, under its own name unless `name` says otherwise."""
        if callable(schedule):
            raise ConfigurationError(f"{schedule!r} is no schedule; write @scheduler.job(SCHEDULE)")

        def declare(function: F) -> F:
            self.add_job(name or name_of(function), schedule, function, **options)
            return function

        return declare

    def add_job(
        self,
        name: str,
        schedule: str | datetime | Schedule,
        function: JobFunction,
        **options: Unpack[JobOptions],
    ) -> None:
        """Declare a job: a name, a schedule, a function and its options.

        Raises:
            ConfigurationError: name, function or an option cannot be used, or the name is taken.
            ScheduleError: the schedule cannot be used.
        """
        job = make_job(name, schedule, function, options, place_of(function))
        other = self._jobs.get(name)
        if other is not None:
            raise ConfigurationError(
                f"two jobs are named {name!r}: one in {other.declared_in}, one in {job.declared_in}; "
                "rename one of them, or remove_job() the first"
            )
        self._jobs[name] = job
        if job.hooks:
            self._listen()
        self._lifetime.tell(lambda engine: engine.added(job))

    def observe(self, observer: Observer) -> None:
        """Have `observer` told what happens in this replica from now on: what metrics are made of, say."""
        self._observers.add(observer)

    async def remove_job(self, name: str) -> None:
        """Stop having a job; a run of it that has begun goes on.

        While no live replica has it for an hour, its row and counters are deleted.

        Raises:
            UnknownJobError: this scheduler has no such job.
        """
        await self._lifetime.ask_engine(
            lambda engine: engine.remove(self._pop(name)), lambda: self._pop(name)
        )

    def _pop(self, name: str) -> Job:
        try:
            return self._jobs.pop(name)
        except KeyError:
            raise UnknownJobError(name, self._jobs) from None

    def run(self) -> None:
        """Run in the foreground until SIGTERM or SIGINT; a second signal stops at once.

        Raises:
            LifecycleError: not on the main thread, inside a running loop, or started already.
        """
        import asyncio

        from schedcore import _foreground

        _foreground.check_main_thread()
        self._lifetime.check_no_loop("run", "use `async with scheduler:` inside an event loop")

        async def foreground() -> None:
            await _foreground.until_told(self._start, self._stop_for_good, self._lifetime.hurry)

        asyncio.run(foreground())

    async def _start(self) -> None:
        await self._lifetime.start()

    async def _stop_for_good(self, drain: float | None) -> None:
        await self._lifetime.stop(self._drain if drain is None else drain, final=True)

    def start(self) -> None:
        """Start in the background; coroutine jobs run on a loop of the scheduler's own.

        Raises:
            LifecycleError: started already, or called where a loop runs.
        """
        self._lifetime.check_no_loop("start", "use `async with scheduler:` there")
        self._lifetime.start_blocking()

    def stop(self, drain: Seconds | None = None) -> None:
        """Stop what `start` began: let runs end for `drain` seconds, then hand back the rest.

        Raises:
            LifecycleError: called where a loop runs.
        """
        self._lifetime.check_no_loop(
            "stop", "leave `async with scheduler:`, or await asyncio.to_thread(scheduler.stop)"
        )
        self._lifetime.stop_blocking(self._drain if drain is None else seconds("drain", drain))

    def __enter__(self) -> Scheduler:
        """Start, as `start` does."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, as `stop` does."""
        self.stop()

    async def __aenter__(self) -> Scheduler:
        """Start; coroutine jobs run on the running loop."""
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop: let runs end, then hand back the rest."""
        await self._lifetime.stop(self._drain, final=False)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Run for as long as an ASGI application does: `FastAPI(lifespan=scheduler.lifespan)`."""
        async with self:
            yield

    async def health(self) -> Health:
        """Tell how this replica is; `running` is false while it is not started."""
        return self._lifetime.health()

    def glance(self) -> Glance:
        """Tell what this replica knows of itself and of its jobs, from any thread, without asking anybody."""
        from schedcore.watching import Glance

        engine = self._lifetime.engine()
        return Glance(self._lifetime.health(), () if engine is None else engine.glance())

    def _check_may_block(self) -> None:
        self._lifetime.check_no_loop("blocking", "await the same method of the scheduler itself there")

    def wait_for(self, question: Callable[[Control], Coroutine[Any, Any, T]]) -> T:
        """Block on a question; for `scheduler.blocking`."""
        self._check_may_block()
        return self._lifetime.ask_blocking(question)

    def wait_for_health(self) -> Health:
        """Block on `health`; for `scheduler.blocking`."""
        self._check_may_block()
        return self._lifetime.health()

    def wait_for_removal(self, name: str) -> None:
        """Block on `remove_job`; for `scheduler.blocking`."""
        self._check_may_block()
        self._lifetime.ask_engine_blocking(
            lambda engine: engine.remove(self._pop(name)), lambda: self._pop(name)
        )

"""Started, stopped, forked: what state a scheduler is in, and which calls are allowed in it."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from schedcore._answers import Health
from schedcore._control import Control
from schedcore._engine import Engine
from schedcore._hooks import Hooks
from schedcore._jobs import Job
from schedcore._observers import Observers
from schedcore._service import Service
from schedcore.errors import LifecycleError
from schedcore.protocols import Backend

log = logging.getLogger("schedcore")
T = TypeVar("T")

AT_EXIT = 1.0
"""How many seconds runs are let to end when the interpreter exits without a stop."""

Question = Callable[[Control], Coroutine[Any, Any, T]]
EngineQuestion = Callable[[Engine], Coroutine[Any, Any, T]]

_all: weakref.WeakSet[Lifetime] = weakref.WeakSet()


class Lifetime:
    """Makes the service when it is needed, and ends it."""

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
        """Begin not started."""
        self.started = False
        self.on_hurry: list[Callable[[], None]] = []
        self._app = app
        self._make: Callable[[], Service] = lambda: Service(
            app, backend, jobs, concurrency, threads, observers, hooks
        )
        self._jobs = jobs
        self._hooks = hooks
        self._backend = backend
        self._service: Service | None = None
        self._lingering: Service | None = None
        self._lock = threading.Lock()
        self._forked = False
        _all.add(self)

    # What is refused.

    def check_no_loop(self, called: str, instead: str) -> None:
        """Refuse a blocking call where it would block an event loop.

        Raises:
            LifecycleError: it would.
        """
        if self._service is not None and self._service.is_current():
            raise LifecycleError(f"{called} was called on the scheduler's own thread, which it would block")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise LifecycleError(
            f"{called} was called inside a running event loop, which it would block; {instead}"
        )

    def _check_startable(self) -> None:
        if self.started:
            raise LifecycleError(
                f"the scheduler of {self._app} is started already; stop it first, or make a second Scheduler"
            )
        gevent = sys.modules.get("gevent.monkey")
        if gevent is not None and gevent.is_module_patched("threading"):
            raise LifecycleError(
                "gevent has replaced this process's threads, on which the scheduler's clock and leases rely; "
                "run it in a process of its own: schedcore run MODULE:ATTR"
            )

    # Starting and stopping.

    def _begin(self) -> Service:
        with self._lock:
            self._check_startable()
            service = self._service = self._take_service()
            self.started = True
        if self._backend.notice:
            log.info("%s", self._backend.notice, extra={"event": "backend.notice"})
        atexit.register(self._at_exit)
        return service

    def _take_service(self) -> Service:
        """One backend has one thread and one replica: one that lingers is used again, beside its old runs."""
        service, self._lingering = self._service or self._lingering, None
        return service or self._make()

    def _release(self, service: Service) -> bool:
        """Tell whether a service that lingered has not been taken again, and so is to be ended."""
        with self._lock:
            if self._lingering is not service:
                return False
            self._lingering = None
            return True

    async def start(self) -> None:
        """Start, running coroutine jobs on the running loop."""
        service, target = self._begin(), asyncio.get_running_loop()
        try:
            await asyncio.wrap_future(service.submit(service.start(target)))
        except BaseException:  # whoever waited was cancelled: nobody will stop it
            await asyncio.shield(self.stop(0, final=True))
            raise

    def start_blocking(self) -> None:
        """Start, running coroutine jobs on a loop of the service's own."""
        service = self._begin()
        try:
            service.submit(service.start(None)).result()
        except BaseException:
            self.stop_blocking(0)
            raise

    async def stop(self, drain: float, *, final: bool) -> None:
        """Stop; `final` says that the process ends with it, so that nothing may linger."""
        service = self._service
        if service is None:
            return
        left = await asyncio.wrap_future(service.submit(service.stop(drain)))
        await asyncio.to_thread(self._end, service, [] if final else left)

    def stop_blocking(self, drain: float) -> None:
        """Stop, from synchronous code."""
        service = self._service
        if service is not None:
            self._end(service, service.submit(service.stop(drain)).result())

    def _end(self, service: Service, left: list[str]) -> None:
        """Let go of the service; while plain functions still run it goes on renewing their leases."""
        with self._lock:
            if self._service is not service:  # somebody else stopped it at the same time
                return
            self.started = False
            self._service = None
            self._lingering = service if left else None
        atexit.unregister(self._at_exit)
        if left:
            log.warning(
                "still running after the drain, and kept until they end: %s",
                ", ".join(sorted(left)),
                extra={"event": "stop.lingering"},
            )
            threading.Thread(
                target=service.linger,
                args=(self._release,),
                name=f"schedcore-{self._app}-linger",
                daemon=True,
            ).start()
            return
        service.end()

    def hurry(self) -> None:
        """A second signal came: end at once what can be ended from outside."""
        for hook in self.on_hurry:
            hook()

    def _at_exit(self) -> None:
        service = self._service
        if self.started and service is not None:
            service.submit(service.stop(AT_EXIT)).result(AT_EXIT + 10)
            self._end(service, [])

    # A child of fork has neither thread nor connection.

    def forget_parent(self) -> None:
        """Become not started, in a process that was forked off a started one."""
        was_started = self.started
        self.started, self._service, self._lingering = False, None, None
        self._lock = threading.Lock()
        self._hooks.forget_parent()
        atexit.unregister(self._at_exit)
        if was_started:
            log.warning(
                "process %d was forked off one that had started the scheduler of %s: here it is not started",
                os.getpid(),
                self._app,
                extra={"event": "fork.not_started"},
            )

    # Questions.

    def _asked(self) -> Service:
        with self._lock:
            service = self._service = self._take_service()
        return service

    def _question(self, question: Question[T]) -> tuple[Service, Coroutine[Any, Any, T]]:
        service = self._asked()

        async def asked() -> T:
            return await question(await service.control())

        return service, asked()

    async def ask(self, question: Question[T]) -> T:
        """Have a question answered on the service's thread."""
        service, coroutine = self._question(question)
        return await asyncio.wrap_future(service.submit(coroutine))

    def ask_blocking(self, question: Question[T]) -> T:
        """Block until a question is answered."""
        service, coroutine = self._question(question)
        return service.submit(coroutine).result()

    async def ask_engine(self, question: EngineQuestion[T], otherwise: Callable[[], T]) -> T:
        """Have the engine answer; `otherwise` does while it is not started."""
        service = self._service
        if not self.started or service is None or service.engine is None:
            return otherwise()
        return await asyncio.wrap_future(service.submit(question(service.engine)))

    def ask_engine_blocking(self, question: EngineQuestion[T], otherwise: Callable[[], T]) -> T:
        """Block until the engine has answered."""
        service = self._service
        if not self.started or service is None or service.engine is None:
            return otherwise()
        return service.submit(question(service.engine)).result()

    def tell(self, question: EngineQuestion[object]) -> None:
        """Tell the engine something, if there is one, without waiting."""
        service = self._service
        if self.started and service is not None and service.engine is not None:
            service.submit(question(service.engine))

    def engine(self) -> Engine | None:
        """Return the engine, while it is started."""
        service = self._service
        return service.engine if self.started and service is not None else None

    def health(self) -> Health:
        """Tell how the replica is, without asking its thread: that may be stuck."""
        engine = self.engine()
        return self.not_running() if engine is None else engine.health()

    def not_running(self) -> Health:
        """Tell the health of a scheduler that is not started."""
        return Health("", False, False, None, 0.0, None, 0.0, "", len(self._jobs), 0, 0)


def _after_fork() -> None:
    for lifetime in list(_all):
        lifetime.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

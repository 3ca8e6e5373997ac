"""Hands runs over to where functions run: an event loop that is not the engine's, and threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Protocol

from schedcore._draft import Outcome
from schedcore._execute import Execution, attempt_coroutine, call_plain
from schedcore._telling import as_exception
from schedcore._threads import Threads
from schedcore.protocols import Status

LET_GO = 50e-6
PATIENCE = 1.0
"""For how many seconds a loop may leave what was handed over before it counts as blocked."""

Ended = Callable[[Execution, Outcome | None], None]


class Launcher(Protocol):
    """Runs functions; the engine is told of each end on its own loop."""

    def coroutines(self, executions: Sequence[Execution]) -> None:
        """Run these coroutine functions."""
        ...

    def plain(self, execution: Execution) -> None:
        """Run this plain function."""
        ...

    def responsive(self) -> bool:
        """Tell whether the loop that runs coroutine functions acknowledged the last hand-over."""
        ...


class InLoop:
    """Runs everything on the engine's own loop: for simulations in virtual time."""

    def __init__(self, ended: Ended) -> None:
        """Tell `ended` of each end."""
        self._ended = ended
        self._tasks: set[asyncio.Task[None]] = set()

    def coroutines(self, executions: Sequence[Execution]) -> None:
        """Make a task for each."""
        loop = asyncio.get_running_loop()
        for execution in executions:
            task = loop.create_task(self._run(execution))
            execution.loop, execution.task = loop, task
            self._tasks.add(task)
            task.add_done_callback(self._let_go)

    def plain(self, execution: Execution) -> None:
        """Run a plain function as a coroutine that never suspends."""
        self.coroutines([execution])

    def responsive(self) -> bool:
        """Always."""
        return True

    def _let_go(self, task: asyncio.Task[None]) -> None:
        """Tell of a failure of ours now: the collector would tell of it some time, or never."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            task.get_loop().call_exception_handler({"message": "a run's task failed", "exception": error})

    async def _run(self, execution: Execution) -> None:
        self._ended(execution, await execution.perform(_attempt_either))


async def _attempt_either(execution: Execution) -> None:
    if execution.job.is_coroutine:
        await attempt_coroutine(execution)
    else:
        call_plain(execution.job, execution.context)


class OtherLoop:
    """Runs coroutine functions on the application's loop and plain ones in threads.

    Made on the engine's loop. Hand-overs and ends cross between the loops in batches: one wake-up
    carries all that gathered meanwhile.
    """

    def __init__(
        self,
        target: asyncio.AbstractEventLoop,
        threads: Threads,
        ended: Ended,
        vacated: Callable[[Execution], None],
        acknowledged: Callable[[], None],
        blocked: Callable[[bool], None],
    ) -> None:
        """Run coroutine functions on `target`; tell the engine, on its loop, of ends and free threads.

        `blocked` is told that `target` has not begun for a while what was handed over, and then that it has.
        """
        self._target = target
        self._threads = threads
        self._slots = asyncio.Semaphore(threads.limit)
        self._tell = ended
        self._vacated = vacated
        self._acknowledged = acknowledged
        self._tell_blocked = blocked
        self._engine = asyncio.get_running_loop()
        self._incoming: deque[Execution] = deque()
        self._outgoing: deque[tuple[Execution, Outcome | None]] = deque()
        self._lock = threading.Lock()
        self._asked = False
        self._awaited = False
        self._owed_since: float | None = None
        self._blocked = False
        self._timer: asyncio.TimerHandle | None = None
        self._answering = False
        self._tasks: dict[asyncio.Task[Outcome | None], Execution] = {}

    def responsive(self) -> bool:
        """Tell whether the last hand-over was acknowledged; if not, it will be said when it is."""
        with self._lock:
            self._awaited = self._asked
        return not self._awaited

    def coroutines(self, executions: Sequence[Execution]) -> None:
        """Hand these over with one wake-up of the target loop."""
        self._incoming.extend(executions)
        with self._lock:
            if self._asked:
                return
            self._asked = True
            self._owed_since = self._owed_since or time.monotonic()
        self._timer = self._timer or self._engine.call_later(PATIENCE, self._look)
        self._target.call_soon_threadsafe(self._take)
        # The interpreter's lock changes hands every 5 ms only, unless its holder lets go of it for as long
        # as the other thread needs to wake up.
        with suppress(OSError):  # under libfaketime, which serves tests with other clocks, it may fail
            time.sleep(LET_GO)

    def _take(self) -> None:
        with self._lock:
            awaited, self._asked, self._awaited = self._awaited, False, False
        if awaited and not self._engine.is_closed():
            self._engine.call_soon_threadsafe(self._acknowledged)
        target, incoming = self._target, self._incoming
        while incoming:
            execution = incoming.popleft()
            self._follow(execution, target, execution.perform(attempt_coroutine))
        target.call_soon(self._begun)

    def _begun(self) -> None:
        """All that was taken has had its first step."""
        with self._lock:
            self._owed_since = time.monotonic() if self._asked else None
            blocked = self._blocked
        if blocked and not self._engine.is_closed():
            self._engine.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        """Notice that the target loop is blocked, and that it is not any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with self._lock:
            owed = 0.0 if self._owed_since is None else time.monotonic() - self._owed_since
            was, self._blocked = self._blocked, owed >= PATIENCE
        if self._blocked != was:
            self._tell_blocked(self._blocked)
        if owed and not self._blocked:
            self._timer = self._engine.call_later(PATIENCE - owed, self._look)

    def _follow(
        self, execution: Execution, loop: asyncio.AbstractEventLoop, run: Coroutine[Any, Any, Outcome | None]
    ) -> None:
        task = loop.create_task(run)
        execution.loop, execution.task = loop, task
        self._tasks[task] = execution
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Outcome | None]) -> None:
        """Tell how a task ended; it may have been cancelled before its first step, or what is ours failed."""
        execution = self._tasks.pop(task)
        execution.task = None  # else it would live, with all that it made, until its end is recorded
        outcome = None
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            outcome = task.result()
        elif execution.started_at:
            outcome = Outcome(Status.FAILED, f"it ended without a word ({type(error).__name__})")
        if execution.loop is self._engine:
            self._tell(execution, outcome)
        else:
            self._send(execution, outcome)

    def plain(self, execution: Execution) -> None:
        """Run attempts in threads; what lies between them waits on the engine's loop."""
        self._follow(execution, self._engine, self._run_plain(execution))

    async def _run_plain(self, execution: Execution) -> Outcome | None:
        async def thread() -> None:
            await self._slots.acquire()
            if execution.ended_by is not None:  # interrupted just when a thread became free
                self._slots.release()
                raise asyncio.CancelledError

        try:
            return await execution.perform(self._attempt_plain, thread)
        finally:
            if not execution.started_at:
                execution.in_thread = False

    async def _attempt_plain(self, execution: Execution) -> None:
        """Run the function in a thread, and leave it alone there if the attempt ends before it does."""
        done: asyncio.Future[None] = self._engine.create_future()
        execution.in_thread = True

        def work() -> None:
            error: BaseException | None = None
            try:
                call_plain(execution.job, execution.context)
            except BaseException as exc:  # noqa: BLE001  it is the user's function
                error = exc
            if not self._engine.is_closed():
                self._engine.call_soon_threadsafe(self._thread_ended, execution, done, error)

        try:
            self._threads.submit(copy_context(), work)
        except RuntimeError:  # no thread can be made
            self._slots.release()
            execution.in_thread = False
            raise
        try:
            await done
        except asyncio.CancelledError:
            execution.context.cancelled.set()
            raise

    def _thread_ended(
        self, execution: Execution, done: asyncio.Future[None], error: BaseException | None
    ) -> None:
        self._slots.release()
        execution.in_thread = False
        if done.done():
            if execution.over:  # else its end, which is on its way, frees the place
                self._vacated(execution)
        elif error is None:
            done.set_result(None)
        else:
            done.set_exception(_as_exception(error))

    def _send(self, execution: Execution, outcome: Outcome | None) -> None:
        """Tell it together with what ends in the same turn of the loop: each wake-up costs both threads."""
        self._outgoing.append((execution, outcome))
        if not self._answering:
            self._answering = True
            self._target.call_soon(self._answer)

    def _answer(self) -> None:
        self._answering = False
        if not self._engine.is_closed():  # else it ended after the stop, which has given it back
            self._engine.call_soon_threadsafe(self._receive)

    def _receive(self) -> None:
        while self._outgoing:
            self._tell(*self._outgoing.popleft())


def _as_exception(error: BaseException) -> BaseException:
    """A future refuses StopIteration, and the loop would take SystemExit for its own."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return as_exception(error)

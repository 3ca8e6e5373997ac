"""Calls hooks: on a thread of their own, one after the other; neither engine nor runs wait for them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Coroutine, Mapping
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any

from schedcore._answers import RunInfo, run_info
from schedcore._functions import name_of
from schedcore._jobs import HOOKS, Hook, Job
from schedcore.watching import Event, Recorded

log = logging.getLogger("schedcore")

MOST = 1000
"""So many calls may wait; more are dropped."""

PATIENCE = 30.0
"""So many seconds a coroutine hook may take."""

AT_END = 5.0
"""So many seconds a stop waits for hooks."""

CALLED = {status: name for name, statuses in HOOKS.items() for status in statuses}

Call = tuple[Context, Hook, RunInfo]
Calls = SimpleQueue[Call | None]


class Hooks:
    """The hooks of one scheduler; an observer from the first hook on."""

    def __init__(self, jobs: Mapping[str, Job]) -> None:
        """Begin with those of `jobs` alone; no thread is made before there is something to call."""
        self.virtual: asyncio.AbstractEventLoop | None = None
        self._jobs = jobs
        self._of_all: dict[str, tuple[Hook, ...]] = {}
        self.forget_parent()

    def forget_parent(self) -> None:
        """Begin anew in a process that was forked off: neither thread nor loop is here."""
        self.target: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue: Calls = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._before: threading.Thread | None = None
        self._lock = threading.Lock()
        self._full = False

    def add(self, name: str, hook: Hook) -> None:
        """Have a hook called for every job."""
        self._of_all[name] = (*self._of_all.get(name, ()), hook)

    def notice(self, event: Event) -> None:
        """Call the hooks for a line of history that this replica wrote."""
        if not isinstance(event, Recorded):
            return
        name = CALLED.get(event.line.status, "")
        job = self._jobs.get(event.line.job)
        own = () if job is None or name not in job.hooks else (job.hooks[name],)
        for hook in (*own, *self._of_all.get(name, ())):
            self._soon((copy_context(), hook, run_info(event.line)))

    def _soon(self, call: Call) -> None:
        if self.virtual is not None:
            self._run(*call[1:])
            return
        if not self._put(call):
            log.error(
                "%d hooks wait for one that takes long; further ones are dropped",
                MOST,
                extra={"event": "hook.dropped"},
            )

    def _put(self, call: Call) -> bool:
        """Have the thread make a call, or drop it; False with the first that is dropped."""
        with self._lock:
            waiting = self._queue.qsize()
            if waiting >= MOST:
                known, self._full = self._full, True
                return known
            self._full = self._full and waiting > 0
            self._queue.put(call)
            if self._thread is None:
                work = partial(self._work, self._queue, self._before)
                self._thread = threading.Thread(target=work, name="schedcore-hooks", daemon=True)
                self._thread.start()
        return True

    def _work(self, calls: Calls, before: threading.Thread | None) -> None:
        if before is not None:  # of the last start: what it still has comes first, and alone
            before.join()
        while (call := calls.get()) is not None:
            context, hook, line = call
            context.run(self._run, hook, line)

    def _run(self, hook: Hook, line: RunInfo) -> None:
        try:
            answer = hook(line)
            if isinstance(answer, Awaitable):
                self._await(_limited(answer, hook, line))
        except BaseException as error:  # noqa: BLE001  it is the user's function
            _say(hook, line, error)

    def _await(self, answer: Coroutine[Any, Any, None]) -> None:
        """Await what a hook answered where coroutine jobs run, or on a loop of its own where none do."""
        if self.virtual is not None:
            task = self.virtual.create_task(answer)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif self.target is not None and self.target.is_running():
            asyncio.run_coroutine_threadsafe(answer, self.target).result(2 * PATIENCE)
        else:
            asyncio.run(answer)

    def close(self) -> None:
        """Wait until the hooks are called, for a moment at most, and end the thread."""
        with self._lock:  # who begins anew has a queue of its own: this one's end is this thread's
            thread, self._thread = self._thread, None
            self._before = thread or self._before
            calls, self._queue = self._queue, SimpleQueue()
        if thread is not None:
            calls.put(None)
            thread.join(AT_END)


async def _limited(answer: Awaitable[object], hook: Hook, line: RunInfo) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            await answer
    except Exception as error:  # noqa: BLE001  it is the user's function
        _say(hook, line, error)


def _say(hook: Hook, line: RunInfo, error: BaseException) -> None:
    log.error(
        "hook %s failed: job %s, %s: %r",
        name_of(hook),
        line.job,
        line.status,
        error,
        extra={"event": "hook.failed", "hook": name_of(hook), "job": line.job, "status": str(line.status)},
        exc_info=error,
    )

"""One run of a job's function: its context, attempts, time limit, and how it ended."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from schedcore._draft import Outcome
from schedcore._foreground import may_interrupt
from schedcore._jobs import Job
from schedcore._observers import Observers, due
from schedcore._state import SECOND, Options
from schedcore._telling import (
    TimeUpError,
    as_exception,
    begin_with_theirs,
    describe,
    describe_shortly,
    in_a_line,
    is_traceback,
)
from schedcore.context import RunContext, _current
from schedcore.errors import ConfigurationError
from schedcore.protocols import Delivery, Micros, Status
from schedcore.watching import Ended, Started

log = logging.getLogger("schedcore")

LONGEST_BACKOFF = 300.0

Attempt = Callable[["Execution"], Awaitable[None]]
Prepare = Callable[[], Awaitable[object]]


class Execution:
    """A delivery on its way through this replica.

    `ended` is told the outcome, or `None` when the delivery is to be given back, exactly once, on
    whatever thread the function ran. Unless `sure` tells that the lease still holds, nothing begins.
    """

    __slots__ = (
        "_undecided",
        "began",
        "context",
        "delivery",
        "ended_by",
        "in_thread",
        "job",
        "loop",
        "now",
        "observers",
        "over",
        "random",
        "received_at",
        "started_at",
        "sure",
        "task",
    )

    def __init__(
        self,
        delivery: Delivery,
        job: Job,
        now: Callable[[], Micros],
        random: Random,
        observers: Observers | None = None,
        previous: str = "",
        sure: Callable[[], bool] = lambda: True,
    ) -> None:
        """Make it; nothing runs yet."""
        self.observers = observers or Observers()
        self.delivery = delivery
        self.job = job
        self.context = RunContext(delivery, previous)
        self.now = now
        self.sure = sure
        self.random = random
        self.received_at = now()
        self.began = False
        self._undecided = True
        self.over = False
        self.in_thread = False
        self.started_at: Micros = 0
        self.ended_by: str | None = None
        self.task: asyncio.Task[Any] | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    @property
    def options(self) -> Options:
        """The job's options as they were when the trigger was sent."""
        options = self.delivery.trigger.options
        return options if isinstance(options, Options) else self.job.spec.options

    def may_run_again(self) -> bool:
        """Tell whether it may be given back: not what has ended, nor what began and is to run once."""
        return not self.over and not (self.started_at and self.options.delivery == "at_most_once")

    def decide(self) -> bool:
        """Take the one decision of a delivery, to begin or to give it back; tell whether it was open."""
        try:
            del self._undecided  # only one of two threads can
        except AttributeError:
            return False
        return True

    def interrupt(self, why: str) -> None:
        """End the run early: a coroutine is cancelled, a plain function sees `run.cancelled`."""
        if self.ended_by is None:
            self.ended_by = why
        self.context.cancelled.set()
        task = self.task  # which its loop lets go of when it has ended
        if task is not None and self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(task.cancel)

    async def perform(self, attempt: Attempt, prepare: Prepare | None = None) -> Outcome | None:
        """Run attempt after attempt; the outcome, or `None` if the delivery is to be given back.

        `prepare` is awaited before each attempt, outside its time limit.
        """
        _current.set(self.context)
        options = self.options
        while True:
            error = await self._try(attempt, prepare, options.timeout)
            if error is None:
                outcome: Outcome | None = self._succeeded()
                break
            if self.ended_by is not None:
                outcome = self._interrupted()
                break
            if not self._try_again(error, options):
                outcome = self._failed(error, options)
                break
            try:
                await asyncio.sleep(self._pause(error))
            except asyncio.CancelledError:
                outcome = self._interrupted()
                break
            self.context.attempt += 1
            self.context._progress = ""
        if self.observers.all and self.started_at:
            status, detail = (None, "") if outcome is None else (outcome.status, outcome.detail)
            self.observers.tell(Ended(self.context, status, detail, self.started_at, self.now()))
        return outcome

    def _try_again(self, error: BaseException, options: Options) -> bool:
        if isinstance(error, TimeUpError) and not self.job.is_coroutine:
            return False  # its thread is still at the last attempt
        return self.context.attempt <= options.retries and isinstance(error, self.job.retry_on)

    def _pause(self, error: BaseException) -> float:
        attempt = self.context.attempt
        pause = min(LONGEST_BACKOFF, 2.0 ** (attempt - 1)) * self.random.uniform(0.75, 1.25)
        log.warning(
            "job %s: attempt %d failed (%s), the next follows in %.1f s",
            self.job.name,
            attempt,
            describe_shortly(error, self.options),
            pause,
            extra={
                "event": "run.retry",
                "job": self.job.name,
                "key": self.delivery.trigger.key,
                "attempt": attempt,
                "pause": pause,
            },
        )
        return pause

    async def _try(
        self, attempt: Attempt, prepare: Prepare | None, timeout: Micros | None
    ) -> BaseException | None:
        try:
            if prepare is not None:
                await prepare()
            if self.ended_by is not None:
                return asyncio.CancelledError()
            if not self.began:
                if not self.decide() or not self.sure():
                    self.ended_by = STOPPING
                    return asyncio.CancelledError()
                self.began = True
                self.started_at = self.now()
                if self.observers.all:
                    due_at = due(self.delivery.trigger, self.job.spec.jitter)
                    self.observers.tell(Started(self.context, due_at, self.started_at))
            if timeout is None:
                await attempt(self)
            else:
                await self._limited(attempt, timeout)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  it is the user's function
            return error
        except BaseException as error:  # a job that calls sys.exit must not end the process
            if isinstance(error, KeyboardInterrupt) and may_interrupt():
                raise
            return as_exception(error)
        return None

    async def _limited(self, attempt: Attempt, timeout: Micros) -> None:
        self.context._deadline = self.now() + timeout
        limit = asyncio.timeout(timeout / 1_000_000)
        try:
            async with limit:
                await attempt(self)
            if limit.expired():  # it was cancelled, and went on all the same
                raise TimeUpError(timeout, lives_on=False)
        except TimeoutError as error:
            if limit.expired():
                raise TimeUpError(timeout, lives_on=not self.job.is_coroutine) from error
            raise

    def _interrupted(self) -> Outcome | None:
        if self.ended_by == STOPPING:
            if not self.started_at:
                return None
            if self.options.delivery == "at_most_once":
                return self._outcome(Status.LOST, "the replica stopped before the run had ended")
            return None
        started = self.started_at or self.now()
        detail = self._with_progress(self.ended_by or "the run was cancelled")
        return Outcome(Status.FAILED, detail, started, self.now(), self.context.attempt)

    def _succeeded(self) -> Outcome:
        outcome = self._outcome(Status.SUCCEEDED, self.context._progress)
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "job %s succeeded",
                self.job.name,
                extra={
                    "event": "run.succeeded",
                    "job": self.job.name,
                    "key": self.delivery.trigger.key,
                    "attempt": self.context.attempt,
                    "delivery": self.delivery.number,
                    "took": (self.now() - self.started_at) / SECOND,
                },
            )
        return outcome

    def _failed(self, error: BaseException, options: Options) -> Outcome:
        status = Status.TIMED_OUT if isinstance(error, TimeUpError) else Status.FAILED
        begin_with_theirs(error)
        detail = describe(error, options)
        log.warning(
            "job %s %s: %s",
            self.job.name,
            status,
            in_a_line(detail),
            extra={
                "event": "run.failed",
                "job": self.job.name,
                "key": self.delivery.trigger.key,
                "status": str(status),
                "attempt": self.context.attempt,
                "delivery": self.delivery.number,
            },
            exc_info=error if is_traceback(detail) else None,
        )
        return self._outcome(status, self._with_progress(detail))

    def _with_progress(self, detail: str) -> str:
        """Tell how far it was: behind a sentence, but before a traceback, whose last line matters."""
        progress = self.context._progress
        parts = (progress, detail) if is_traceback(detail) else (detail, progress)
        return "\n".join(part for part in parts if part)

    def _outcome(self, status: Status, detail: str) -> Outcome:
        return Outcome(status, detail, self.started_at, self.now(), self.context.attempt)


STOPPING = "the replica is stopping"


def call_plain(job: Job, context: RunContext) -> None:
    """Call the job's plain function.

    Raises:
        ConfigurationError: it returned something to be awaited, so that nothing has run yet.
    """
    result = job.function(context) if job.wants_context else job.function()
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise ConfigurationError(
            "the function returned something to be awaited, which nobody awaits: declare the coroutine "
            "function itself, bound with functools.partial if it needs arguments"
        )


def attempt_coroutine(execution: Execution) -> Awaitable[None]:
    """Call the job's coroutine function, for its coroutine to be awaited."""
    job = execution.job
    return job.function(execution.context) if job.wants_context else job.function()  # type: ignore[return-value]

"""What a job's function can know of the run that it is in."""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from schedcore.protocols import Delivery, Kind, Micros

if TYPE_CHECKING:
    import logging

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_current: ContextVar[RunContext] = ContextVar("schedcore_current_run")


NOTE = 400
"""So many characters of a run's progress travel with each beat."""


class Flag:
    """A flag that is set once, from any thread; true in a condition once it is."""

    __slots__ = ("_event", "_set")

    def __init__(self) -> None:
        """Begin unset; the lock behind `wait` is made only for those who wait."""
        self._set = False
        self._event: threading.Event | None = None

    def __repr__(self) -> str:
        """Tell whether it is set."""
        return f"<Flag {'set' if self._set else 'not set'}>"

    def __bool__(self) -> bool:
        """Tell whether it is set."""
        return self._set

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self._set

    def set(self) -> None:
        """Set it, and wake those who wait."""
        self._set = True
        if self._event is not None:
            self._event.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block the calling thread until it is set, `timeout` seconds at most; tell whether it is."""
        event = self._event = self._event or threading.Event()
        if self._set:
            event.set()
        return event.wait(timeout)


class RunContext:
    """One run of a job, as its function sees it.

    Attributes:
        attempt: 1 and one more per retry within this delivery.
    """

    __slots__ = (
        "_cancelled",
        "_deadline",
        "_delivery",
        "_doubt",
        "_log",
        "_previous",
        "_progress",
        "attempt",
    )

    def __init__(self, delivery: Delivery, previous: str = "") -> None:
        """Made by the runner, once per delivery; `previous` is what the one before said last."""
        self._previous = previous
        self._delivery = delivery
        self._deadline: Micros | None = None
        self._log: logging.LoggerAdapter[logging.Logger] | None = None
        self._progress = ""
        self.attempt = 1
        self._cancelled: Flag | None = None
        self._doubt: Flag | None = None

    def __repr__(self) -> str:
        """Tell job, time and attempt."""
        return f"<RunContext {self.job} {self.scheduled_at.isoformat()} attempt {self.attempt}>"

    @property
    def job(self) -> str:
        """The job's name."""
        return self._delivery.trigger.job

    @property
    def scheduled_at(self) -> datetime:
        """The scheduled time, UTC; of a trigger by hand the time at which it was asked for."""
        return _EPOCH + timedelta(microseconds=self._delivery.trigger.scheduled_at)

    @property
    def kind(self) -> Kind:
        """Why this run exists: scheduled, late, manual or backfill."""
        return self._delivery.trigger.kind

    @property
    def key(self) -> str:
        """What tells this trigger from all others of the job; the same again after a take-over."""
        return self._delivery.trigger.key

    @property
    def payload(self) -> Any:
        """What a trigger by hand carries, as JSON gives it back; else `None`."""
        import json

        text = self._delivery.trigger.payload
        return None if text is None else json.loads(text)

    @property
    def delivery(self) -> int:
        """1 and one more per take-over by another replica."""
        return self._delivery.number

    @property
    def token(self) -> int:
        """The fencing token: who has taken the run over has a greater one."""
        return self._delivery.token

    @property
    def missed_count(self) -> int:
        """How many scheduled times were given up in favour of this one."""
        return self._delivery.trigger.missed

    @property
    def cancelled(self) -> Flag:
        """Set when the run is to end: its time is over, somebody asked, or it was taken over.

        A coroutine is cancelled as well; a plain function should look at it now and then.
        """
        return self._cancelled or _flag(self, "_cancelled")

    @property
    def in_doubt(self) -> Flag:
        """Set when this replica may have lost the run's lease, the store being out of reach."""
        return self._doubt or _flag(self, "_doubt")

    @property
    def deadline(self) -> datetime | None:
        """When the time limit of this attempt ends, UTC; `None` without one."""
        return None if self._deadline is None else _EPOCH + timedelta(microseconds=self._deadline)

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that adds job, scheduled time, attempt and delivery to each record."""
        if self._log is None:
            from schedcore._run_log import RunLog

            self._log = RunLog(self)
        return self._log

    def _note(self) -> str:
        """Tell for the store what was said last, in this delivery or before it."""
        return (self._progress or self._previous)[:NOTE]

    @property
    def previous_progress(self) -> str:
        """What the run had said last when its replica died, after a take-over: where to go on; else empty."""
        return self._previous

    def progress(self, done: float | None = None, total: float | None = None, note: str = "") -> None:
        """Say how far the run is: as often as you like, the store hears the last word with the next beat.

        The beginning of a long note is what others see while it runs; the last word stays with the run's line
        in the history.
        """
        share = "" if done is None else f"{done:g}" if total is None else f"{done:g}/{total:g}"
        self._progress = " ".join(part for part in (share, note) if part)[:8192]


_making = threading.Lock()


def _flag(run: RunContext, name: str) -> Flag:
    """Make a flag when it is first looked at; two threads that do so at once get the same."""
    with _making:
        if getattr(run, name) is None:
            setattr(run, name, Flag())
        flag: Flag = getattr(run, name)
        return flag


def _after_fork() -> None:
    global _making  # noqa: PLW0603  there is one, and the child needs another
    _making = threading.Lock()  # a thread that is not here may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def current_run() -> RunContext:
    """Return the context of the run that this code is part of.

    Raises:
        LookupError: it is part of none.
    """
    try:
        return _current.get()
    except LookupError:
        raise LookupError(
            "this code is not part of a run; current_run() works below a job's function"
        ) from None

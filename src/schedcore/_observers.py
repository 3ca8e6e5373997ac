"""Who is told what happens in this replica; where nobody listens, nothing is even made to be told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from schedcore.values import APP_ROW, Kind, Micros, Run, Step, Trigger

if TYPE_CHECKING:
    from schedcore._state import JobState
    from schedcore.watching import Event, Observer

log = logging.getLogger("schedcore")


class Observers:
    """The observers of one scheduler; whoever has something to tell first asks whether there are any."""

    __slots__ = ("_failed", "all")

    def __init__(self) -> None:
        """Begin with nobody."""
        self.all: tuple[Observer, ...] = ()
        self._failed: set[int] = set()

    def add(self, observer: Observer) -> None:
        """Have somebody listen."""
        self.all = (*self.all, observer)

    def tell(self, event: Event) -> None:
        """Tell everybody, whatever that does to them."""
        for observer in self.all:
            try:
                observer.notice(event)
            except Exception:
                if id(observer) not in self._failed:
                    self._failed.add(id(observer))
                    log.exception(
                        "an observer failed, which is said once: %r",
                        type(observer).__name__,
                        extra={"event": "observer.failed", "observer": type(observer).__name__},
                    )

    def committed(self, step: Step, at: Micros) -> None:
        """Tell of a step that this replica committed."""
        from schedcore.watching import Recorded, Sent

        if step.job == APP_ROW:
            return
        jitter = jitter_of(step.data)
        for trigger in step.send:
            self.tell(Sent(trigger, due(trigger, jitter), at, queued=bool(step.done)))
        for line in step.runs:
            self.tell(Recorded(line, due(line, jitter)))


def jitter_of(data: JobState | object) -> Micros:
    """Read a row's jitter; there may be no row, or one that a later release wrote."""
    spec = getattr(data, "spec", None)
    return 0 if spec is None else int(spec.jitter)


def due(what: Trigger | Run, jitter: Micros) -> Micros | None:
    """Tell when something was due: its time and the job's jitter, or when it was asked for by hand."""
    if what.kind is Kind.BACKFILL:
        return None
    return what.scheduled_at if what.kind is Kind.MANUAL else what.scheduled_at + jitter

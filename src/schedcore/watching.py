"""What happens in a replica, as values, and who is told: metrics, traces and hooks are made of this alone.

    class Slow:
        def notice(self, event: Event) -> None:
            if isinstance(event, Ended) and event.at - event.started_at > 60_000_000:
                print(event.run.job, "took more than a minute")

    scheduler.observe(Slow())

Instants are whole microseconds since the Unix epoch by the store's clock, like those of `schedcore.values`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, TypeAlias

import attrs

from schedcore._answers import Health
from schedcore.context import RunContext
from schedcore.values import Delivery, Micros, Run, Status, Trigger

__all__ = [
    "Ended",
    "Event",
    "Glance",
    "JobGlance",
    "LeaseLost",
    "Observer",
    "Recorded",
    "Sent",
    "Started",
    "TakenOver",
]


@attrs.frozen
class Sent:
    """This replica sent a trigger: of all that wanted to, it alone.

    Attributes:
        due_at: When it was due, jitter included; `None` for a backfill, which never was.
        queued: It had to wait for the end of an earlier one.
    """

    trigger: Trigger
    due_at: Micros | None
    at: Micros
    queued: bool


@attrs.frozen
class Started:
    """A run's function is about to begin; told where the function runs, in its context."""

    run: RunContext
    due_at: Micros | None
    at: Micros


@attrs.frozen
class Ended:
    """A run's function ended, all its attempts included; told in the context in which it began.

    `status` is `None` if the run is given back, to be run elsewhere. What counts is `Recorded`: a result that
    comes too late is refused.
    """

    run: RunContext
    status: Status | None
    detail: str
    started_at: Micros
    at: Micros


@attrs.frozen
class Recorded:
    """This replica wrote a line of history, and no other replica did; `due_at` as of `Sent`."""

    line: Run
    due_at: Micros | None


@attrs.frozen
class TakenOver:
    """This replica took over what another did not end."""

    delivery: Delivery


@attrs.frozen
class LeaseLost:
    """Another replica has taken over what this one still ran."""

    delivery: Delivery


Event: TypeAlias = Sent | Started | Ended | Recorded | TakenOver | LeaseLost


class Observer(Protocol):
    """Is told what happens in this replica.

    * It is called where things happen, on several threads: it must be quick, and must not block.
    * What it raises is logged, once, and harms nothing.
    """

    def notice(self, event: Event) -> None:
        """Take note of an event; ignore those of kinds that are not known."""
        ...


@attrs.frozen
class JobGlance:
    """A job as this replica last saw it.

    Attributes:
        next_at: The oldest scheduled time that is not decided; `None` while there is none, or it is paused.
        outstanding: How many triggers are sent and have not ended.
        waiting: How many go next.
        overdue: By how many seconds it is overdue, if it is.
    """

    name: str
    next_at: datetime | None
    last_success: datetime | None
    outstanding: int
    waiting: int
    overdue: float


@attrs.frozen
class Glance:
    """What a replica knows without asking anybody."""

    health: Health
    jobs: tuple[JobGlance, ...]

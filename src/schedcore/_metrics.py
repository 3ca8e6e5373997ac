"""What is measured, under which name and in which unit: once, for Prometheus and OpenTelemetry alike.

A name here is that of OpenTelemetry without "schedcore."; Prometheus has it behind "schedcore_", with the
unit and "total" at its end, which is what OpenTelemetry's exporters make of it, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import attrs

from schedcore._overlap import OVERLAP, REPLACED
from schedcore._rules import BEFORE_PAUSE, LATE, RETIRED
from schedcore._state import SECOND
from schedcore.values import Kind, Micros, Run, Status
from schedcore.watching import Event, Glance, LeaseLost, Recorded, Sent, Started, TakenOver

DELAYS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
LENGTHS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 1800, 3600, 14400)

REASONS = {
    LATE: "late",
    BEFORE_PAUSE: "before a pause",
    RETIRED: "retired",
    OVERLAP: "overlap",
    REPLACED: "replaced",
}
"""A line's detail is for people; where it is one of these, its reason is this word, else "other"."""


@attrs.frozen
class Metric:
    """One of them; beside its own labels each has `app`."""

    name: str
    kind: Literal["histogram", "counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()

    @property
    def prometheus(self) -> str:
        """Its name there, as it is queried."""
        unit = "_seconds" if self.unit == "s" else ""
        return f"schedcore_{self.name}{unit}{'_total' if self.kind == 'counter' else ''}"


Measured = tuple[Metric, float, tuple[str, ...]]

FIRE_DELAY = Metric(
    "fire_delay",
    "histogram",
    "From when a scheduled time was due until its trigger was sent.",
    ("job",),
    "s",
    DELAYS,
)
START_DELAY = Metric(
    "start_delay",
    "histogram",
    "From when a trigger was due, or asked for by hand, until its function began.",
    ("job",),
    "s",
    DELAYS,
)
RUN_DURATION = Metric(
    "run_duration",
    "histogram",
    "From the beginning of a function to its end, with all attempts of the delivery.",
    ("job", "status"),
    "s",
    LENGTHS,
)
RUNS = Metric("runs", "counter", "Triggers that have ended, by how they did.", ("job", "status"))
SKIPPED = Metric("skipped", "counter", "Scheduled times and triggers that were skipped.", ("job", "reason"))
MISSED = Metric("missed", "counter", "Scheduled times that were missed.", ("job", "reason"))
PAUSED = Metric("paused", "counter", "Scheduled times that fell in a pause.", ("job",))
TAKEOVERS = Metric("takeovers", "counter", "Runs that were taken over from another replica.", ("job",))
LEASES_LOST = Metric("leases_lost", "counter", "Runs that another replica took over from this one.", ("job",))

BACKLOG = Metric("backlog", "gauge", "Triggers that are sent or waiting, and have not ended.", ("job",))
OVERDUE = Metric("overdue", "gauge", "By how much a job is overdue; 0 if it is not.", ("job",), "s")
NEXT = Metric("next_timestamp", "gauge", "The oldest scheduled time that is not decided.", ("job",), "s")
LAST_SUCCESS = Metric("last_success_timestamp", "gauge", "When the last success ended.", ("job",), "s")
CLOCK_OFFSET = Metric(
    "clock_offset", "gauge", "By how much this machine's clock is ahead of the store's.", (), "s"
)
LIVE = Metric("live", "gauge", "1 unless the engine or the ticker is stuck.")
READY = Metric("ready", "gauge", "1 while the replica works and reaches its store.")
STORE_CONNECTED = Metric("store_connected", "gauge", "1 while the store answers.")
RUNS_IN_PROGRESS = Metric("runs_in_progress", "gauge", "Runs that this replica has at the moment.")
JOBS = Metric("jobs", "gauge", "Jobs that this replica has.")
DATA_LOSSES = Metric("data_losses", "counter", "How often the store was seen to have lost data.")

HAPPENING = (
    FIRE_DELAY,
    START_DELAY,
    RUN_DURATION,
    RUNS,
    SKIPPED,
    MISSED,
    PAUSED,
    TAKEOVERS,
    LEASES_LOST,
)
"""Made of events."""

SEEN = (
    BACKLOG,
    OVERDUE,
    NEXT,
    LAST_SUCCESS,
    CLOCK_OFFSET,
    LIVE,
    READY,
    STORE_CONNECTED,
    RUNS_IN_PROGRESS,
    JOBS,
    DATA_LOSSES,
)
"""Made of a glance, whenever somebody asks."""


def of_event(event: Event) -> Iterator[Measured]:
    """Tell what an event adds to which metrics, and the values of their labels."""
    if isinstance(event, Recorded):
        yield from _of_line(event.line)
    elif isinstance(event, Sent):
        if (
            event.trigger.kind in (Kind.SCHEDULED, Kind.LATE)
            and not event.queued
            and event.due_at is not None
        ):
            yield FIRE_DELAY, _since(event.due_at, event.at), (event.trigger.job,)
    elif isinstance(event, Started):
        if event.due_at is not None:
            yield START_DELAY, _since(event.due_at, event.at), (event.run.job,)
    elif isinstance(event, TakenOver):
        yield TAKEOVERS, 1, (event.delivery.trigger.job,)
    elif isinstance(event, LeaseLost):
        yield LEASES_LOST, 1, (event.delivery.trigger.job,)


def _of_line(line: Run) -> Iterator[Measured]:
    reason = REASONS.get(line.detail, "other")
    if line.status is Status.SKIPPED:
        yield SKIPPED, line.count, (line.job, reason)
    elif line.status is Status.MISSED:
        yield MISSED, line.count, (line.job, reason)
    elif line.status is Status.PAUSED:
        yield PAUSED, line.count, (line.job,)
    elif line.status is not Status.RETIRED:
        yield RUNS, 1, (line.job, str(line.status))
        if line.started_at is not None and line.ended_at is not None:
            yield RUN_DURATION, _since(line.started_at, line.ended_at), (line.job, str(line.status))


ENDS = (Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.LOST, Status.DEAD)


def from_zero(job: str) -> Iterator[tuple[Metric, tuple[str, ...]]]:
    """Name what a job's counters begin with: one that begins at 1 has not grown, as Prometheus sees it."""
    for status in ENDS:
        yield RUNS, (job, str(status))
    yield SKIPPED, (job, "overlap")
    yield MISSED, (job, "late")


def of_glance(glance: Glance) -> Iterator[Measured]:
    """Tell the metrics of what is seen at a glance, and the values of their labels."""
    for job in glance.jobs:
        labels = (job.name,)
        yield BACKLOG, job.outstanding + job.waiting, labels
        yield OVERDUE, job.overdue, labels
        if job.next_at is not None:
            yield NEXT, _timestamp(job.next_at), labels
        if job.last_success is not None:
            yield LAST_SUCCESS, _timestamp(job.last_success), labels
    health = glance.health
    yield CLOCK_OFFSET, health.offset, ()
    yield LIVE, health.live, ()
    yield READY, health.ready, ()
    yield STORE_CONNECTED, health.connected, ()
    yield RUNS_IN_PROGRESS, health.runs, ()
    yield JOBS, health.jobs, ()
    yield DATA_LOSSES, health.losses, ()


def _since(begin: Micros, end: Micros) -> float:
    return max(0, end - begin) / SECOND


def _timestamp(at: datetime) -> float:
    return at.timestamp()

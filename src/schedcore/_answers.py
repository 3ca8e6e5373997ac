"""What people and programs are told: values with instants as aware datetimes in UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import attrs

from schedcore._state import SECOND, JobState
from schedcore._units import to_datetime
from schedcore.errors import ScheduleError
from schedcore.values import Holding, Kind, Micros, Replica, Row, Run, Status


@attrs.frozen
class Triggered:
    """What became of a trigger that was asked for by hand.

    Attributes:
        key: Asking again with it answers what became of this one.
        outcome: `sent`, `waiting`, `skipped` or `held` (somebody else holds the job's lock); once the run
            has ended, its status.
        detail: What the run's line in the history says; only the end of what is long.
    """

    job: str
    key: str
    outcome: str
    detail: str = ""


@attrs.frozen
class RunInfo:
    """One line of history, with instants in UTC; `count` scheduled times up to `last_at` for a stretch.

    `payload` is kept of runs that are lost or dead.
    """

    job: str
    scheduled_at: datetime
    status: Status
    kind: Kind
    key: str
    last_at: datetime | None
    count: int
    detail: str
    replica: str
    started_at: datetime | None
    ended_at: datetime | None
    attempt: int
    delivery: int
    payload: object = None


@attrs.frozen
class Running:
    """A run that is under way, as its replica's last beat told; it has had it `since` then, in UTC."""

    job: str
    key: str
    kind: Kind
    scheduled_at: datetime
    replica: str
    since: datetime
    delivery: int
    progress: str


@attrs.frozen
class JobInfo:
    """What the app knows of a job, with instants in UTC.

    Attributes:
        state: `idle`, `outstanding` (sent, and not finished), `paused`, `disabled`, `over` (no further time
            will come) or `unreadable` (its schedule cannot be read here: another release, or other tzdata).
        counters: How many scheduled times ended how; with `outstanding` and `waiting` all of them.
        manual: The same of what was asked for by hand.
        running: Which of `outstanding` are in the hands of a replica; the others wait for one.
        late: By how many seconds `next_at` is overdue: no replica has decided it.
        jitter: How many seconds after each scheduled time it is due.
        paused_until: When the pause that holds ends, if that is known; `all_paused` tells that it is the one
            of all jobs.
    """

    name: str
    schedule: str
    tz: str
    state: str
    next_at: datetime | None
    decided_until: datetime
    last_success: datetime | None
    outstanding: tuple[str, ...]
    waiting: tuple[str, ...]
    counters: dict[str, int]
    manual: dict[str, int]
    declared_by: str
    note: str = ""
    running: tuple[Running, ...] = ()
    late: float = 0.0
    jitter: float = 0.0
    paused_until: datetime | None = None
    all_paused: bool = False


@attrs.frozen
class ReplicaInfo:
    """A living replica, as its last beat described it; instants in UTC by the store's clock.

    Attributes:
        offset: By how many seconds its machine's clock is ahead of the store's.
        jobs: How many it has.
        running: The runs that it holds.
        version: Of schedcore; empty where it did not say.
        concurrency: How many runs it has at once at most; 0 where it did not say.
        differing: Jobs, ten at most, that it declares otherwise than another replica that lives.
        loop_blocked: Whether the event loop of its coroutine jobs is blocked, so that none of them begins.
        threads: In how many threads it runs plain functions at most; 0 where it did not say.
        in_threads: How many runs of plain functions it holds; those beyond `threads` have not begun.
    """

    id: str
    host: str
    pid: int
    version: str
    started_at: datetime
    beat_at: datetime
    offset: float
    jobs: int
    running: tuple[Running, ...]
    concurrency: int = 0
    differing: tuple[str, ...] = ()
    loop_blocked: bool = False
    threads: int = 0
    in_threads: int = 0


@attrs.define
class Health:
    """How a replica is; lengths of time in seconds.

    Attributes:
        connected: Whether the store answered last time.
        last_beat: Seconds since the last beat that the store answered; `None` before the first.
        lag: By how much the most overdue scheduled time of this replica's jobs is overdue.
        overdue: The job that is overdue for longest, if any is.
        offset: By how much this machine's clock is ahead of the store's.
        epoch: The store's; a new one means that it started without data.
        late: Jobs that are overdue by more than half a minute, and that no replica decides.
        stuck: Which part of this replica no longer works, `engine` or `ticker`; empty if all do.
    """

    replica: str
    running: bool
    connected: bool
    last_beat: float | None
    lag: float
    overdue: str | None
    offset: float
    epoch: str
    jobs: int
    runs: int
    losses: int
    late: tuple[str, ...] = ()
    stuck: str = ""

    @property
    def live(self) -> bool:
        """Tell whether it can go on: a restart would help if it cannot."""
        return not self.stuck

    @property
    def ready(self) -> bool:
        """Tell whether it works: started, not stuck, and the store has answered within ten seconds."""
        fresh = self.last_beat is not None and self.last_beat < FRESH
        return self.live and self.running and self.connected and fresh


FRESH = 10.0
"""So many seconds, a lease, after the last beat a replica that hears nothing is no use."""


def job_info(row: Row, app: Row, now: Micros, held: Sequence[Holding] = ()) -> JobInfo:
    from schedcore import _rules

    state = row.data
    assert isinstance(state, JobState)
    paused = _rules.pause_in_force(state, app, now)
    upcoming = _rules.undecided(state)
    return JobInfo(
        name=row.job,
        schedule=state.spec.expression,
        tz=state.spec.tz,
        state=_activity(state, is_paused=paused is not None, is_over=upcoming is None),
        next_at=None if upcoming is None else to_datetime(upcoming),
        decided_until=to_datetime(state.mark),
        last_success=None if state.last_success is None else to_datetime(state.last_success),
        outstanding=state.outstanding,
        waiting=tuple(trigger.key for trigger in state.waiting),
        counters={str(k): v for k, v in state.counters.items()},
        manual={str(k): v for k, v in state.manual.items()},
        declared_by=state.declared_by,
        note=paused.note if paused else "",
        running=tuple(running(holding) for holding in held),
        late=0.0 if upcoming is None or paused else max(0, now - upcoming - state.spec.jitter) / SECOND,
        jitter=state.spec.jitter / SECOND,
        paused_until=None if paused is None or paused.end is None else to_datetime(paused.end),
        all_paused=paused is not None and paused not in state.pauses,
    )


def running(holding: Holding) -> Running:
    trigger = holding.delivery.trigger
    return Running(
        job=trigger.job,
        key=_shown_key(trigger.kind, trigger.key),
        kind=trigger.kind,
        scheduled_at=to_datetime(trigger.scheduled_at),
        replica=holding.replica,
        since=to_datetime(holding.since),
        delivery=holding.delivery.number,
        progress=holding.note,
    )


def _content(payload: str) -> object:
    import json  # as rarely needed as a payload is kept

    return json.loads(payload)


def replica_info(replica: Replica, held: Sequence[Holding]) -> ReplicaInfo:
    facts = replica.facts
    started = _number(facts, "started_at")
    return ReplicaInfo(
        id=replica.id,
        host=str(facts.get("host", "")),
        pid=_number(facts, "pid"),
        version=str(facts.get("version", "")),
        started_at=to_datetime(started or replica.beat_at),  # with its first beat it does not know yet
        beat_at=to_datetime(replica.beat_at),
        offset=_number(facts, "offset_us") / SECOND,
        jobs=_number(facts, "jobs"),
        running=tuple(running(holding) for holding in held if holding.replica == replica.id),
        concurrency=_number(facts, "concurrency"),
        differing=_texts(facts, "differing"),
        loop_blocked=facts.get("loop_blocked") is True,
        threads=_number(facts, "threads"),
        in_threads=_number(facts, "in_threads"),
    )


def _texts(facts: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = facts.get(name)
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def _number(facts: Mapping[str, object], name: str) -> int:
    """Read what another release may have written."""
    value = facts.get(name)
    return value if isinstance(value, int) else 0


def _shown_key(kind: Kind, key: str) -> str:
    """Show a key as whoever asked for the run gave it."""
    return key.partition(":")[2] if kind in (Kind.MANUAL, Kind.BACKFILL) else key


def _activity(state: JobState, *, is_paused: bool, is_over: bool) -> str:
    if not state.spec.enabled or is_paused:
        return "paused" if state.spec.enabled else "disabled"
    if state.outstanding or state.waiting or not is_over:
        return "outstanding" if state.outstanding else "idle"
    try:
        state.spec.schedule.shortest_gap()
    except ScheduleError:
        return "unreadable"
    return "over"


def run_info(run: Run) -> RunInfo:
    def when(micros: Micros | None) -> datetime | None:
        return None if micros is None else to_datetime(micros)

    values = attrs.asdict(run, recurse=False)
    values |= {name: when(values[name]) for name in ("scheduled_at", "last_at", "started_at", "ended_at")}
    values["key"] = _shown_key(run.kind, run.key)
    values["payload"] = None if run.payload is None else _content(run.payload)
    return RunInfo(**values)

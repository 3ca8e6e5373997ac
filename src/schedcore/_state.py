"""What a row holds: the app's and each job's shared state, as the rules read and write it.

States are never changed once they are part of a row; a rule works on `copy()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Literal, TypeAlias, TypeVar

import attrs

from schedcore.errors import ScheduleError
from schedcore.protocols import Keep, Micros, Trigger
from schedcore.schedules import Schedule, parse_schedule

SECOND: Micros = 1_000_000
DAY: Micros = 86_400 * SECOND

Overlap: TypeAlias = Literal["skip", "queue_one", "queue_all", "allow"]
CatchUp: TypeAlias = Literal["latest", "all", "none"]
DeliveryMode: TypeAlias = Literal["at_least_once", "at_most_once"]
OnDoubt: TypeAlias = Literal["continue", "cancel"]
Counters: TypeAlias = Mapping[str, int]

NONE_YET: Counters = {}


@attrs.frozen(kw_only=True, cache_hash=True)
class Options:
    """How a job's triggers are decided and run; lengths of time in microseconds.

    `extra`, here and below, is what a later release wrote beside the fields known here, as JSON.
    """

    overlap: Overlap = "skip"
    catch_up: CatchUp = "latest"
    catch_up_within: Micros | None = None
    max_catch_up: int = 100
    grace: Micros = 60 * SECOND
    delivery: DeliveryMode = "at_least_once"
    retries: int = 0
    timeout: Micros | None = None
    on_doubt: OnDoubt = "continue"
    history: int = 200
    history_days: float = 30
    traceback: bool = True
    extra: str = ""

    @cached_property
    def keep(self) -> Keep:
        """How much history of the job is kept."""
        return _keep(self.history, self.history_days)


@lru_cache(maxsize=256)
def _keep(lines: int, days: float) -> Keep:
    return Keep(lines=lines, failures=min(20, lines), age=round(days * DAY))


@attrs.frozen(cache_hash=True)
class Spec:
    """When a job is due and how it is run, as declared; equal ones are shared between jobs."""

    expression: str
    tz: str = "UTC"
    key: str = ""
    jitter: Micros = 0
    start_at: Micros | None = None
    until: Micros | None = None
    enabled: bool = True
    options: Options = Options()
    extra: str = ""

    @cached_property
    def schedule(self) -> Schedule:
        """The parsed schedule; equal ones are parsed once."""
        return _parse(self.expression, self.tz, self.key)

    @cached_property
    def known_times(self) -> dict[Micros, Micros | None]:
        """What follows which instant: thousands of jobs share a schedule and are decided together."""
        return {}


_parse = lru_cache(maxsize=4096)(lambda expression, tz, key: parse_schedule(expression, tz=tz, key=key))


T = TypeVar("T")


@lru_cache(maxsize=16_384)
def interned(value: T) -> T:
    """Return the one object that is shared by all who have an equal `Spec` or `Options`."""
    return value


@attrs.frozen
class Pause:
    """A stretch, open-ended while `end` is `None`, in which no scheduled time is sent."""

    start: Micros
    end: Micros | None = None
    note: str = ""
    extra: str = ""

    def active(self, now: Micros) -> bool:
        """Tell whether it holds; its start is always the store's past, whatever a caller's clock says."""
        return self.end is None or now < self.end


@attrs.frozen
class Recent:
    """A key that was triggered by hand or backfilled, and what became of it.

    `ended_at` is when its end was noticed: with the next key that is learnt.
    """

    key: str
    at: Micros
    outcome: str
    detail: str = ""
    ended_at: Micros | None = None
    extra: str = ""

    @cached_property
    def json(self) -> str:
        """It as it is stored, kept: there may be a thousand in a row that changes with each run."""
        from schedcore._encoding import recent_text

        return recent_text(self)


@attrs.frozen
class Past:
    """A schedule that the job had, and the stretch (after, until] whose times were decided by it."""

    expression: str
    after: Micros
    until: Micros
    tz: str = "UTC"
    key: str = ""
    extra: str = ""

    def has(self, at: Micros) -> bool:
        """Tell whether an instant was one of its times."""
        if not self.after < at <= self.until:
            return False
        try:
            return _parse(self.expression, self.tz, self.key).last_before_us(at + 1) == at
        except ScheduleError:  # other tzdata than where it was declared
            return False


@attrs.frozen
class Loss:
    """What the store had taken in about a job in the stretch (after, until], and lost."""

    after: Micros
    until: Micros
    extra: str = ""


@attrs.define
class JobState:
    """One job, shared by all replicas.

    `since` is when its life began, `mark` the instant up to which all its scheduled times are decided,
    `outstanding` the keys sent and not finished, `waiting` the triggers that go next, `past` what tells which
    times of the past were the job's own, `losses` what of its history may be gone.
    """

    spec: Spec
    since: Micros
    mark: Micros
    declared_by: str
    declared_at: Micros
    outstanding: tuple[str, ...] = ()
    waiting: tuple[Trigger, ...] = ()
    pauses: tuple[Pause, ...] = ()
    counters: Counters = NONE_YET
    manual: Counters = NONE_YET
    recent: tuple[Recent, ...] = ()
    last_success: Micros | None = None
    orphaned_at: Micros | None = None
    past: tuple[Past, ...] = ()
    extra: Mapping[str, object] | None = None
    losses: tuple[Loss, ...] = ()

    def copy(self) -> JobState:
        """Copy it, by hand: this is on the path of every trigger, and `attrs.evolve` is five times slower."""
        return JobState(
            self.spec,
            self.since,
            self.mark,
            self.declared_by,
            self.declared_at,
            self.outstanding,
            self.waiting,
            self.pauses,
            self.counters,
            self.manual,
            self.recent,
            self.last_success,
            self.orphaned_at,
            self.past,
            self.extra,
            self.losses,
        )


@attrs.define
class AppState:
    """What concerns all jobs of an app."""

    pauses: tuple[Pause, ...] = ()
    extra: Mapping[str, object] | None = None

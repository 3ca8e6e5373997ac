"""The values that the core and a backend exchange; `schedcore.protocols` has the contracts.

All instants are `Micros`: whole microseconds since the Unix epoch, UTC. What is in a row's `data` and a
trigger's `options` is opaque to backends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TypeAlias

import attrs

Micros: TypeAlias = int
"""An instant or a length of time in whole microseconds; an instant counts from the Unix epoch, UTC."""

APP_ROW = ""
"""The job name under which the app's own row is kept."""


class Kind(StrEnum):
    """Why a trigger exists."""

    SCHEDULED = "scheduled"
    LATE = "late"
    MANUAL = "manual"
    BACKFILL = "backfill"


class Status(StrEnum):
    """What became of a trigger, or of a stretch of scheduled times without one."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    SKIPPED = "skipped"
    MISSED = "missed"
    PAUSED = "paused"
    LOST = "lost"
    DEAD = "dead"
    RETIRED = "retired"


class Verdict(StrEnum):
    """What a bus says of a step."""

    DONE = "done"
    CHANGED = "changed"
    EARLY = "early"
    HELD = "held"
    NOT_OURS = "not ours"


class Condition(StrEnum):
    """How something is that operation needs."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen
class Trigger:
    """The event "job J, time T": identity (job, key), where a scheduled one's key is its time.

    `payload` is JSON text; `options` are those of the job when it was sent, opaque to backends;
    `missed` counts the scheduled times that the same decision gave up; `extra` is what a later release
    wrote beside these, as JSON.
    """

    job: str
    key: str
    scheduled_at: Micros
    kind: Kind = Kind.SCHEDULED
    options: object = None
    payload: str | None = None
    missed: int = 0
    extra: str = ""


@attrs.frozen
class Delivery:
    """A trigger in the hands of one replica, under a lease.

    `number` is 1 and one more per take-over; `token` is the fencing token, which only grows.
    """

    trigger: Trigger
    number: int
    token: int


@attrs.frozen
class Run:
    """One line of history: a trigger's end, or a stretch of `count` scheduled times up to `last_at`.

    `payload`, JSON text, is kept of what was given up, so that somebody may trigger it once more.
    """

    job: str
    scheduled_at: Micros
    status: Status
    kind: Kind = Kind.SCHEDULED
    key: str = ""
    last_at: Micros | None = None
    count: int = 1
    detail: str = ""
    replica: str = ""
    started_at: Micros | None = None
    ended_at: Micros | None = None
    attempt: int = 0
    delivery: int = 0
    payload: str | None = None

    def matches(
        self, statuses: Collection[Status] | None, after: Micros | None, until: Micros | None
    ) -> bool:
        """Tell whether `Store.runs`, asked like this, has this line: does it overlap (after, until]?"""
        if statuses is not None and self.status not in statuses:
            return False
        last = self.last_at or self.scheduled_at
        return (after is None or last > after) and (until is None or self.scheduled_at <= until)


@attrs.frozen
class Row:
    """The shared state of one job, as version `version`; version 0 with data `None` means: no such row.

    `held` are the keys of its triggers that the bus still holds, waiting for a replica or delivered
    to one; `None` where they were not read.
    """

    job: str
    version: int = 0
    data: object = None
    held: frozenset[str] | None = None


@attrs.frozen
class Keep:
    """How much history of a job is kept: newest lines, newest that are no success, age since written."""

    lines: int = 200
    failures: int = 20
    age: Micros = 30 * 86_400_000_000


@attrs.frozen
class Step:
    """One atomic change: committed whole or not at all.

    `expects` pairs job names with the versions that the rule saw (0: no row), the step's own job first.
    `data` is the row's new content, `None` deletes the row; `send` are triggers to append, `done`
    deliveries to acknowledge, `runs` lines to append to the history, of which `keep` remains.
    """

    id: str
    job: str
    expects: tuple[tuple[str, int], ...]
    data: object = None
    not_before: Micros = 0
    send: tuple[Trigger, ...] = ()
    done: tuple[Delivery, ...] = ()
    runs: tuple[Run, ...] = ()
    keep: Keep = Keep()


@attrs.frozen
class Answer:
    """What became of a step: every expected row as it is now, the deliveries refused, the store's now."""

    verdict: Verdict
    rows: tuple[Row, ...]
    now: Micros
    refused: tuple[Delivery, ...] = ()


@attrs.frozen
class Renewal:
    """Which deliveries are still this replica's, and the (job, key) of those asked to be cancelled."""

    mine: frozenset[Delivery]
    cancel: frozenset[tuple[str, str]] = frozenset()


@attrs.frozen
class Holding:
    """A delivery as the store sees it: who holds it, since when, and the notes of the last renewal."""

    delivery: Delivery
    replica: str
    since: Micros
    note: str = ""


@attrs.frozen
class Beat:
    """The store's answer to a beat.

    `epoch` is random and new whenever the store began without data; `newest` is the newest version or
    token given out; `gap` is the time since the app's previous beat, by any replica; `alive` are the
    replicas whose last beat has not expired. `server` tells which server answered: another one than
    before, or the same restarted, may lack what was acknowledged (empty: that cannot happen).
    """

    now: Micros
    epoch: str
    newest: int
    gap: Micros
    alive: frozenset[str]
    server: str = ""


@attrs.frozen
class Replica:
    """One running scheduler of the app, as it described itself with its last beat."""

    id: str
    facts: Mapping[str, object]
    beat_at: Micros


@attrs.frozen
class Finding:
    """One thing that was looked at: how it is, what was seen, and what to do about it."""

    check: str
    verdict: Condition
    detail: str
    remedy: str = ""

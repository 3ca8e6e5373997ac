"""The rules about a job's definition: who declares it, what an edit settles, who outlives a loss of data."""

from __future__ import annotations

from collections.abc import Collection

import attrs

from schedcore._draft import Draft, Outcome
from schedcore._rules import tick, undecided, unreadable
from schedcore._state import SECOND, JobState, Loss, Past, Pause, Spec
from schedcore.errors import ScheduleError
from schedcore.protocols import Micros, Row, Run, Status

HOUR: Micros = 3600 * SECOND
MINUTE: Micros = 60 * SECOND
PAST = 16
"""How many schedules of the past a row remembers."""
LOSSES = 16
"""And how many losses of data."""

RETIRED_UNRUN = Outcome(Status.LOST, "the job was retired before it ran", attempt=0)


@attrs.frozen
class Declarer:
    """A replica, and when it started by the store's clock."""

    id: str
    started_at: Micros


def declare(
    row: Row, app: Row, spec: Spec, by: Declarer, alive: Collection[str], now: Micros
) -> Draft | None:
    """Make `spec` the job's definition, unless a replica that started later and lives declared another.

    A changed definition settles every scheduled time of the old one up to now, and starts after now.

    Raises:
        HeldUnknownError: settling would skip or queue behind what may have vanished from the bus.
    """
    if row.data is None:
        return _first(row, spec, by, now)
    state = row.data
    if not isinstance(state, JobState) or unreadable(app):  # of a later format: not ours to overwrite
        return None
    newer = (by.started_at, by.id) >= (state.declared_at, state.declared_by)
    if not newer and state.declared_by in alive:
        return None
    if state.spec == spec:
        if state.declared_by == by.id and state.orphaned_at is None:
            return None
        return _signed(Draft(row), by)
    draft = tick(row, app, now, by_time=True) or Draft(row)
    same_times = (spec.expression, spec.tz) == (state.spec.expression, state.spec.tz)
    mark = max(now, draft.state.mark)
    draft.state.past = _past(draft.state, mark)
    draft.state.spec = spec
    draft.state.since = draft.state.mark = mark
    if not same_times:
        _note_bygone(draft)
    return _signed(draft, by)


def _signed(draft: Draft, by: Declarer) -> Draft:
    draft.state.declared_by, draft.state.declared_at = by.id, by.started_at
    draft.state.orphaned_at = None
    return draft


def _first(row: Row, spec: Spec, by: Declarer, now: Micros) -> Draft:
    draft = Draft(row, JobState(spec, now, now, by.id, by.started_at))
    _note_bygone(draft)
    return draft


def _past(state: JobState, mark: Micros) -> tuple[Past, ...]:
    """Remember the schedule that is about to be replaced, and which times were decided by it."""
    spec, past = state.spec, state.past
    after, until = state.since, mark if spec.until is None else min(mark, spec.until)
    bygone = _bygone(spec, mark)
    if bygone is not None:
        after, until = bygone - 1, bygone
    elif spec.start_at is not None:
        after = max(after, spec.start_at - 1)
    if not spec.enabled or after >= until:
        return past
    new = Past(spec.expression, after, until, spec.tz, spec.key)
    former = past[-1] if past else None
    if former is not None and former == attrs.evolve(new, after=former.after, until=after):
        return (*past[:-1], attrs.evolve(new, after=former.after))
    return (*(each for each in past if each != new), new)[-PAST:]


def _bygone(spec: Spec, mark: Micros) -> Micros | None:
    """Tell the time of a one-off that is not to come any more."""
    try:
        if spec.schedule.shortest_gap() is not None or not spec.enabled:  # only a one-off has no gap
            return None
        at = spec.schedule.last_before_us(mark + 1)
    except ScheduleError:  # a later release, or other tzdata, declared it
        return None
    return at if at is not None and (spec.start_at or at) <= at <= (spec.until or at) else None


def _note_bygone(draft: Draft) -> None:
    """A one-off that is in the past when it is declared is done, and leaves its line if it never had one."""
    at = _bygone(draft.state.spec, draft.state.mark)
    if at is not None and not any(past.has(at) for past in draft.state.past):
        line = Run(draft.row.job, at, Status.MISSED, detail="it was in the past when it was declared")
        draft.runs.append(line)
        draft.count(Status.MISSED)


def orphaned(row: Row, alive: Collection[str], now: Micros, restart: Micros) -> Draft | None:
    """Note since when no live replica declares the job, counted anew from `restart` on."""
    state = row.data
    if not isinstance(state, JobState) or state.declared_by in alive:
        return None
    if state.orphaned_at is not None and state.orphaned_at >= restart:
        return None
    draft = Draft(row)
    draft.state.orphaned_at = now
    draft.state.declared_by = ""  # nobody: its declarer may live on without the job
    return draft


def restore(row: Row, remembered: JobState, now: Micros) -> Draft | None:
    """After the store lost data: put back what was remembered if it knows more; the highest mark wins.

    The lines of history that were committed with it are gone for good, which is noted for audits.

    Raises:
        HeldUnknownError: the row was read without the keys that the bus holds.
    """
    if row.data is not None and not (isinstance(row.data, JobState) and row.data.mark < remembered.mark):
        return None
    draft = Draft(row, remembered.copy())
    draft.state.losses = _losses(row, remembered, now)
    if isinstance(row.data, JobState):
        _keep_asked(draft.state, row.data, row.held or frozenset())
    draft.drop_lost()  # nobody may look for a while, and under `allow` nobody would
    return draft


def _losses(row: Row, remembered: JobState, now: Micros) -> tuple[Loss, ...]:
    """Note what is lost of the job, once for all replicas that remember it: all behind the row's version."""
    stored = row.data.losses if isinstance(row.data, JobState) else ()
    losses = [*remembered.losses, *(loss for loss in stored if loss not in remembered.losses)]
    if not any(loss.until > now - MINUTE for loss in stored):
        losses.append(Loss(row.version, now))
    return tuple(losses[-LOSSES:])


def _keep_asked(state: JobState, stored: JobState, held: frozenset[str]) -> None:
    """Keep what somebody has asked for by hand since the loss: no replica remembers that."""
    known = {recent.key for recent in state.recent}
    since = tuple([recent for recent in stored.recent if recent.key not in known])
    keys = {recent.key for recent in since} - set(state.outstanding)
    state.recent += since
    state.outstanding += tuple([key for key in stored.outstanding if key in keys and key in held])
    state.waiting += tuple([trigger for trigger in stored.waiting if trigger.key in keys])


def remembered_more(row: Row, remembered: object) -> bool:
    """Tell whether the row fell behind what was seen of it, which only a loss of data does."""
    if not isinstance(remembered, JobState) or not isinstance(row.data, JobState):
        return False
    return row.data.mark < remembered.mark


def pauses_to_keep(pauses: tuple[Pause, ...], states: Collection[JobState], now: Micros) -> tuple[Pause, ...]:
    """Choose those of the app's pauses in which an undecided time of any of its jobs can still fall."""
    oldest = min((first for state in states if (first := undecided(state)) is not None), default=now)
    # a job may just be in declaration, by a clock that is a little behind
    oldest = min(oldest, now - HOUR)
    return tuple(pause for pause in pauses if pause.end is None or pause.end > oldest)

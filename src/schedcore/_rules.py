"""Every rule, pure: rows and the store's now in, a draft of a step out.

No rule reads a clock, does I/O or knows a backend. `None` means: nothing to change. DESIGN: what is
late, missed, skipped, paused, waiting and what goes next is decided here and nowhere else.
"""

from __future__ import annotations

from math import inf

import attrs

from schedcore._draft import Draft, HeldUnknownError, next_after
from schedcore._overlap import admit, admit_by_hand, line_up, room_to_line_up
from schedcore._state import DAY, SECOND, AppState, JobState, Pause
from schedcore.errors import ScheduleError
from schedcore.protocols import APP_ROW, Kind, Micros, Row, Run, Status, Trigger

PAUSE_CHUNK: Micros = 3600 * SECOND
"""Times that fall in a pause are decided when it ends, or together once they are this old."""

PAUSE_LOOK: Micros = SECOND
"""While a job is paused its row is read when it is due, and not more often than this."""

LATE = "decided later than its grace allowed"
PAUSED = "the job was paused"
BEFORE_PAUSE = "still undecided when a pause began"
RETIRED = "the job was retired"
PENDING = ("sent", "waiting")
NO_PAUSES = Row(APP_ROW)


def undecided(state: JobState) -> Micros | None:
    """Tell the oldest scheduled time that is not decided yet, however far ahead."""
    spec = state.spec
    if not spec.enabled:
        return None
    mark = state.mark
    if spec.start_at is not None and spec.start_at > mark:
        mark = spec.start_at - 1
    try:
        first = next_after(spec, mark)
    except ScheduleError:  # a later release, or other tzdata, declared it: nothing of it can be decided here
        return None
    if first is None or (spec.until is not None and first > spec.until):
        return None
    return first


def wake_at(row: Row, app: Row, now: Micros) -> Micros | None:
    """Tell when the job is to be looked at next; `None` while it has nothing to come."""
    state = _state(row)
    if state is None or (first := undecided(state)) is None:
        return None
    due = first + state.spec.jitter
    ends = _pause_ends(state, app, first, now)
    if ends > max(due, now):
        following = next_after(state.spec, max(first - 1, now - state.spec.jitter))
        look = ends if following is None else min(ends, following + state.spec.jitter)
        return max(look, now + PAUSE_LOOK)
    return due


def tick(row: Row, app: Row, now: Micros, *, by_time: bool = False) -> Draft | None:
    """Decide every scheduled time between the mark and now, and move the mark.

    A time is due `jitter` after itself; `by_time` decides all up to now (a definition is about to
    change). Each ends up sent, waiting, skipped, missed or paused.

    Raises:
        HeldUnknownError: something would be skipped or wait behind what may have vanished from the bus.
    """
    state = _state(row)
    if state is None or (first := undecided(state)) is None:
        return None
    spec = state.spec
    jitter = 0 if by_time else spec.jitter
    upper = now - jitter
    if spec.until is not None and upper > spec.until:
        upper = spec.until
    if first > upper:
        return None
    if not by_time and now < _pause_ends(state, app, first, now):
        if row.held is None:  # somebody may have ended the pause: read again
            raise HeldUnknownError
        return None
    draft = Draft(row)
    second = next_after(spec, first)
    late_line = now - spec.jitter - spec.options.grace - 1
    on_time = (second is None or second > upper) and first > late_line
    if on_time and not state.pauses and not _paused_since(first, app):
        # nearly every tick of a healthy app is this one: one time, on time
        draft.not_before = first + jitter
        if state.outstanding or state.waiting:
            admit(draft, first - 1, first)
        else:
            draft.dispatch(draft.trigger(first))
        draft.state.mark = first
        return draft
    newest = spec.schedule.last_before_us(upper + 1)
    assert newest is not None
    draft.not_before = newest + jitter
    lower = _settle_pauses(draft, app, first - 1, newest, now)
    if lower < newest:
        _settle_late(draft, lower, newest, late_line)
    draft.state.mark = newest
    return draft


def _settle_pauses(draft: Draft, app: Row, lower: Micros, upper: Micros, now: Micros) -> Micros:
    """Decide what a pause concerns; what is left begins behind the instant returned."""
    pauses = sorted((*draft.state.pauses, *_pauses(app)), key=lambda pause: pause.start)
    if any(pause.active(now) for pause in pauses):
        draft.stretch(Status.PAUSED, lower, upper, _note(pauses, now))
        return upper
    for pause in pauses:
        if pause.end is None or pause.end <= lower + 1:
            continue
        before, end = min(max(lower, pause.start - 1), upper), min(pause.end - 1, upper)
        draft.stretch(Status.MISSED, lower, before, BEFORE_PAUSE)
        draft.stretch(Status.PAUSED, before, end, pause.note or PAUSED)
        lower = end
    draft.state.pauses = tuple(p for p in draft.state.pauses if p.end is None or p.end > upper)
    return lower


def _settle_late(draft: Draft, lower: Micros, upper: Micros, late_line: Micros) -> None:
    """Decide times in (lower, upper]; those up to `late_line` are late."""
    spec = draft.state.spec
    options, schedule = spec.options, spec.schedule
    edge = min(upper, late_line)
    newest_late = schedule.last_before_us(edge + 1)
    missed = 0
    if newest_late is not None and newest_late > lower:
        keep = _catch_up(draft, lower, newest_late, upper > newest_late, late_line + options.grace + 1)
        begin = keep[0] - 1 if keep else newest_late
        missed = draft.stretch(Status.MISSED, lower, begin, LATE)
        if missed:
            draft.not_before = max(draft.not_before, _not_before(draft, begin))
        if keep and options.catch_up == "latest":
            admit(draft, keep[0] - 1, keep[0], Kind.LATE, missed)
        else:
            line_up(draft, keep, missed)
        lower = newest_late
    if lower < upper:
        admit(draft, lower, upper, missed=missed)


def _not_before(draft: Draft, until: Micros) -> Micros:
    """A time is missed only once the store's clock agrees that it is late."""
    spec = draft.state.spec
    last = spec.schedule.last_before_us(until + 1)
    return (last or 0) + spec.jitter + spec.options.grace


def _catch_up(draft: Draft, lower: Micros, newest: Micros, newer: bool, due: Micros) -> list[Micros]:
    """Choose which of the late times in (lower, newest] are still sent, oldest first."""
    options = draft.state.spec.options
    wanted = 0 if newer or options.catch_up == "none" else 1
    if options.catch_up == "all":
        wanted = min(options.max_catch_up, room_to_line_up(draft))
    if options.catch_up_within is not None:
        lower = max(lower, due - options.catch_up_within - 1)
    chosen: list[Micros] = []
    at: Micros | None = newest
    while at is not None and at > lower and len(chosen) < wanted:
        chosen.append(at)
        at = draft.state.spec.schedule.last_before_us(at)
    return chosen[::-1]


def ask(
    row: Row, key: str, payload: str | None, now: Micros, at: Micros | None = None
) -> tuple[str, Draft | None]:
    """Trigger by hand (`at` given: backfill that time); what became of it, as a word.

    The same key answers the same as last time, for the last hundred keys of a day.
    """
    state = _state(row)
    assert state is not None
    kind = Kind.MANUAL if at is None else Kind.BACKFILL
    key = f"{kind}:{key}"
    known = next((recent for recent in state.recent if recent.key == key), None)
    if known is not None and (known.outcome in PENDING or known.at > now - DAY):
        return known.outcome, None
    draft = Draft(row)
    trigger = Trigger(row.job, key, now if at is None else at, kind, state.spec.options, payload)
    return admit_by_hand(draft, trigger, now), draft


def pause(pauses: tuple[Pause, ...], now: Micros, until: Micros | None, note: str) -> tuple[Pause, ...]:
    """Begin a pause; one that already holds is replaced by it, from its own start."""
    running = [p for p in pauses if p.active(now)]
    start = min([now, *(p.start for p in running)])
    return (*(p for p in pauses if p not in running), Pause(start, until, note))


def resume(pauses: tuple[Pause, ...], now: Micros) -> tuple[Pause, ...]:
    """End every pause that holds; an instant is in it if it is before now."""
    return tuple(attrs.evolve(p, end=max(now, p.start)) if p.active(now) else p for p in pauses)


def pause_in_force(state: JobState, app: Row, now: Micros) -> Pause | None:
    """Find the pause that holds; of several the one that ends last."""
    active = [p for p in (*state.pauses, *_pauses(app)) if p.active(now)]
    return max(active, key=lambda p: inf if p.end is None else p.end, default=None)


def retire(row: Row, now: Micros, app: Row = NO_PAUSES) -> Draft | None:
    """Delete a job of which the bus holds nothing, leaving one line with the sums; `None` while it does.

    Raises:
        HeldUnknownError: the row was read without the keys that the bus holds.
    """
    state = _state(row)
    if state is None:
        return None
    if row.held is None:
        raise HeldUnknownError
    if row.held:
        return None
    draft = Draft(row)
    for trigger in draft.state.waiting:
        draft.refuse(trigger, Status.LOST, "the job was retired before it ran")
    draft.state.waiting = ()
    draft.drop_lost()
    upper = now if state.spec.until is None else min(now, state.spec.until)
    if (first := undecided(state)) is not None and first <= upper:
        lower = _settle_pauses(draft, app, first - 1, upper, now)
        draft.stretch(Status.MISSED, lower, upper, RETIRED)
    sums = ", ".join(f"{name} {number}" for name, number in sorted(draft.state.counters.items()))
    draft.runs.append(Run(row.job, now, Status.RETIRED, count=0, detail=sums or "it never ran"))
    return draft


def _state(row: Row) -> JobState | None:
    return row.data if isinstance(row.data, JobState) else None


def _pauses(app: Row) -> tuple[Pause, ...]:
    return app.data.pauses if isinstance(app.data, AppState) else ()


def unreadable(app: Row) -> bool:
    """Tell whether the app's row is of a later format: nobody here knows what is paused."""
    return app.data is not None and not isinstance(app.data, AppState)


def _paused_since(first: Micros, app: Row) -> bool:
    if app.data is None:
        return False
    return any(p.end is None or p.end > first for p in _pauses(app)) or unreadable(app)


def _pause_ends(state: JobState, app: Row, first: Micros, now: Micros) -> Micros:
    """Until when times are left undecided because a pause holds; 0 if none does."""
    if app.data is None and not state.pauses:
        return 0
    if unreadable(app):
        return now + 2 * PAUSE_LOOK
    ends = [p.end for p in (*state.pauses, *_pauses(app)) if p.active(now)]
    if not ends:
        return 0
    known = [end for end in ends if end is not None]
    end = max(known) if len(known) == len(ends) else first + PAUSE_CHUNK
    return min(end, first + PAUSE_CHUNK)


def _note(pauses: list[Pause], now: Micros) -> str:
    return next((p.note for p in pauses if p.active(now) and p.note), PAUSED)

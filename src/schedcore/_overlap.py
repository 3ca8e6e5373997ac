"""What overlap allows: what is sent, waits or is skipped while something is outstanding."""

from __future__ import annotations

from schedcore._draft import LIMIT, Draft, next_after
from schedcore._state import JobState
from schedcore.protocols import Kind, Micros, Status, Trigger

OVERLAP = "the previous run was still outstanding"
REPLACED = "a newer one took its place in the queue"
STAY = (Kind.LATE, Kind.BACKFILL)
"""What waits and is of these kinds is not replaced by anything newer."""


def admit(draft: Draft, lower: Micros, upper: Micros, kind: Kind = Kind.SCHEDULED, missed: int = 0) -> None:
    """Send, queue or skip the times in (lower, upper], as the overlap policy says."""
    state = draft.state
    at = _send(draft, lower, upper, kind, missed)
    if at is not None and len(state.outstanding) > len(draft.send):
        draft.drop_lost()
        at = _send(draft, at - 1, upper, kind, missed)
    if at is None:
        return
    spec = state.spec
    if spec.options.overlap == "queue_one":
        newest = spec.schedule.last_before_us(upper + 1) or at
        draft.stretch(Status.SKIPPED, at - 1, newest - 1, REPLACED)
        _enqueue(draft, draft.trigger(newest, kind, missed))
        return
    lower, following = at - 1, next_after(spec, at - 1)
    while spec.options.overlap == "queue_all" and following is not None and following <= upper:
        if len(state.waiting) >= LIMIT:
            break
        state.waiting += (draft.trigger(following, kind, missed),)
        lower, following = following, next_after(spec, following)
    draft.stretch(Status.SKIPPED, lower, upper, OVERLAP)


def _send(draft: Draft, lower: Micros, upper: Micros, kind: Kind, missed: int) -> Micros | None:
    """Send the times in (lower, upper] while there is room; the first that is not sent."""
    state = draft.state
    at = next_after(state.spec, lower)
    while at is not None and at <= upper:
        if room(state) <= 0:
            return at
        draft.dispatch(draft.trigger(at, kind, missed))
        at = next_after(state.spec, at)
    return None


def line_up(draft: Draft, times: list[Micros], missed: int) -> None:
    """Send late times one behind the other, whatever the overlap policy, except under `allow`."""
    for at in times:
        state = draft.state
        trigger = draft.trigger(at, Kind.LATE, missed)
        if not state.outstanding or state.spec.options.overlap == "allow":
            draft.dispatch(trigger)
        else:
            state.waiting += (trigger,)


def room_to_line_up(draft: Draft) -> int:
    """Tell how many late times may be lined up at most."""
    state = draft.state
    if state.outstanding:
        draft.drop_lost()
    return LIMIT - len(state.outstanding if state.spec.options.overlap == "allow" else state.waiting)


def admit_by_hand(draft: Draft, trigger: Trigger, now: Micros) -> str:
    """Send, queue or skip what was asked for by hand; which of these, as a word."""
    state = draft.state
    if state.outstanding and room(state) <= 0:
        draft.drop_lost()
    draft.learn(trigger.key, "sent", now)
    if room(state) > 0:
        draft.dispatch(trigger)
        return "sent"
    if not _enqueue(draft, trigger):
        return str(Status.SKIPPED)
    draft.remember(trigger.key, trigger.kind, "waiting")
    return "waiting"


def room(state: JobState) -> int:
    """Tell how many triggers the overlap policy lets through now."""
    if state.spec.options.overlap == "allow":
        return LIMIT - len(state.outstanding)
    return 0 if state.outstanding or state.waiting else 1


def _enqueue(draft: Draft, trigger: Trigger) -> bool:
    """Let a trigger wait if the policy allows, else skip it; whether it waits.

    Under `queue_one` it takes the place of what waits and is neither late nor a backfill; a backfill,
    which is no newer, takes nobody's.
    """
    state, overlap = draft.state, draft.state.spec.options.overlap
    if overlap == "queue_one" and trigger.kind is not Kind.BACKFILL:
        for other in state.waiting:
            if other.kind not in STAY:
                draft.refuse(other, Status.SKIPPED, REPLACED)
        state.waiting = tuple(other for other in state.waiting if other.kind in STAY)
    if overlap in ("queue_one", "queue_all") and len(state.waiting) < LIMIT:
        state.waiting += (trigger,)
        return True
    draft.refuse(trigger, Status.SKIPPED, OVERLAP)
    return False

"""Compares a job's schedule with its history, time by time; pure, as the rules are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

import attrs

from schedcore._found import UNACCOUNTED, UNKNOWN, UNSCHEDULED, Finder, Found, readable
from schedcore._state import JobState, Past, Pause, Spec
from schedcore._units import to_datetime
from schedcore.errors import ConfigurationError
from schedcore.protocols import Micros, Run
from schedcore.schedules import Schedule

MOST = 100_000
"""So many scheduled times of a job are audited at once."""

REMEMBERED = 16
"""A row with so many schedules of the past may have forgotten more."""


@attrs.frozen
class Audited:
    """A stretch of `count` successive scheduled times of which the same was found.

    Attributes:
        found: `ran once`, `ran again`, `backfilled`, `skipped`, `missed`, `paused`, `lost`, `dead`,
            `outstanding`, `undecided`, `unknown`, `unaccounted`, or `unscheduled`: a line of no such time.
        status: With which status they ran, or nothing.
        detail: Why, as far as the history tells.
    """

    first: datetime
    last: datetime
    count: int
    found: str
    status: str = ""
    detail: str = ""


@attrs.frozen
class Audit:
    """What was found of a job's scheduled times in (after, until].

    Attributes:
        notes: What cannot be known.
        contradictions: How lines contradict the schedule, or the job's counters: somebody changed the store.
    """

    job: str
    after: datetime
    until: datetime
    stretches: tuple[Audited, ...]
    notes: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many times there are of what was found."""
        counts: dict[str, int] = {}
        for stretch in self.stretches:
            counts[stretch.found] = counts.get(stretch.found, 0) + stretch.count
        return counts

    @property
    def unaccounted(self) -> int:
        """How many times ought to be in the history, and are nowhere."""
        return self.counts.get(UNACCOUNTED, 0)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is unaccounted for, no line is of a time that was none, and none contradicts."""
        return not self.contradictions and not {UNACCOUNTED, UNSCHEDULED} & self.counts.keys()


def audit(
    job: str,
    state: JobState,
    lines: Sequence[Run],
    pauses: Collection[Pause],
    after: Micros,
    until: Micros,
    now: Micros,
) -> Audit:
    """Compare the schedule in (after, until] with the lines of history, newest first.

    These are to be read after the row: what ended in between is in both. They are all that there are; or
    those behind `after`, and one success that was written before it, behind which nothing is missing.

    Raises:
        ConfigurationError: these are too many times.
    """
    until = min(until, now)
    its = [life for life in lives(state, now) if life.after < until and life.until > after]
    notes = list(_notes(state, its, after, until))
    find = Finder(state, lines, pauses, after, now)
    contradictions = [*find.surplus(_known_since(state)), *find.doubled(after, until)]
    stretches: list[Audited] = []
    if times(state, after, until) > MOST:
        raise ConfigurationError(
            f"job {job} has more than {MOST:,} scheduled times between the two: audit a shorter stretch"
        )
    for life in its:
        schedule = _schedule(life)
        if schedule is None:
            notes.append(
                f"the schedule {life.expression!r} in {life.tz} cannot be read here: another release "
                "declared it, or this machine's tzdata is another"
            )
            continue
        begin, end = max(after, life.after), min(until, life.until)
        contradictions += find.wrong_stretches(schedule, begin, end)
        strange = find.strange(schedule, begin, end)
        for at in _times(schedule, begin, end):
            while strange and strange[0] < at:
                _add(stretches, strange[0], find.told_of(strange.pop(0)))
            _add(stretches, at, find(at))
        for at in strange:
            _add(stretches, at, find.told_of(at))
    if any(stretch.found == UNKNOWN and not stretch.detail for stretch in stretches):
        notes.append(
            f"the history reaches back to {to_datetime(find.reaches).isoformat()}: older lines are trimmed"
        )
    return Audit(
        job, to_datetime(after), to_datetime(until), tuple(stretches), tuple(notes), tuple(contradictions)
    )


def lives(state: JobState, now: Micros) -> Iterator[Past]:
    """List the definitions that the job had, oldest first, each with the stretch whose times were its own."""
    yield from state.past
    spec = state.spec
    after = state.since if spec.start_at is None else max(state.since, spec.start_at - 1)
    until = now - spec.jitter if spec.until is None else min(now - spec.jitter, spec.until)
    if spec.enabled and after < until:
        yield Past(spec.expression, after, until, spec.tz, spec.key)


def times(state: JobState, after: Micros, until: Micros) -> int:
    """Count the scheduled times in (after, until], as far as their schedules can be read."""
    spans = [
        (_schedule(life), max(after, life.after), min(until, life.until)) for life in lives(state, until)
    ]
    return sum(
        schedule.count_us(begin, end)
        for schedule, begin, end in spans
        if schedule is not None and begin < end
    )


def _schedule(life: Past) -> Schedule | None:
    return readable(Spec(life.expression, life.tz, life.key))


def _times(schedule: Schedule, after: Micros, until: Micros) -> Iterator[Micros]:
    at = schedule.next_after_us(after)
    while at is not None and at <= until:
        yield at
        at = schedule.next_after_us(at)


def _known_since(state: JobState) -> Micros:
    return min([state.since, *(past.after for past in state.past)])


def _notes(state: JobState, lives: Sequence[Past], after: Micros, until: Micros) -> Iterator[str]:
    known = _known_since(state)
    if after < known:
        forgotten = len(state.past) >= REMEMBERED
        why = "its row remembers no older schedule" if forgotten else "the job was first declared then"
        yield f"nothing is known of the time before {to_datetime(known).isoformat()}: {why}"
    for earlier, later in pairwise(lives):
        yield f"the definition was edited at {to_datetime(later.after).isoformat()}"
        if earlier.until < later.after:
            begin, end = to_datetime(earlier.until).isoformat(), to_datetime(later.after).isoformat()
            yield f"between {begin} and {end} the job had no scheduled times"
    if not state.spec.enabled and state.since < until:
        yield f"since {to_datetime(state.since).isoformat()} the job is disabled"


def _add(stretches: list[Audited], at: Micros, found: Found) -> None:
    """Append a time, to the last stretch if the same was found of that."""
    when = to_datetime(at)
    last = stretches[-1] if stretches else None
    if last is not None and (last.found, last.status, last.detail) == (
        found.found,
        found.status,
        found.detail,
    ):
        stretches[-1] = Audited(last.first, when, last.count + 1, last.found, last.status, last.detail)
    else:
        stretches.append(Audited(when, when, 1, found.found, found.status, found.detail))

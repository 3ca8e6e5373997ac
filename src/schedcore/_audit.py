"""Compares a job's schedule with its history, time by time; pure, as the rules are."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

import attrs

from schedcore._state import JobState, Past, Pause, Spec
from schedcore._units import to_datetime
from schedcore.errors import ConfigurationError, ScheduleError
from schedcore.protocols import Kind, Micros, Run, Status
from schedcore.schedules import Schedule

MOST = 100_000
"""So many scheduled times of a job are audited at once."""

REMEMBERED = 16
"""A row with so many schedules of the past may have forgotten more."""

RAN = (Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT)
OPEN = ("outstanding", "undecided")
UNACCOUNTED = "unaccounted"
UNKNOWN = "unknown"
UNSCHEDULED = "unscheduled"


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
    """What was found of a job's scheduled times in (after, until], and what cannot be known, in `notes`."""

    job: str
    after: datetime
    until: datetime
    stretches: tuple[Audited, ...]
    notes: tuple[str, ...] = ()

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
        """Whether nothing is unaccounted for, and no line is of a time that was none."""
        return not {UNACCOUNTED, UNSCHEDULED} & self.counts.keys()


@attrs.frozen
class Found:
    """What there is of one scheduled time."""

    found: str
    status: str = ""
    detail: str = ""


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
    find = Finder(state, lines, pauses, now)
    stretches: list[Audited] = []
    left = MOST
    for life in its:
        schedule = _schedule(life)
        if schedule is None:
            notes.append(f"the schedule {life.expression!r} cannot be read with this machine's tzdata")
            continue
        begin, end = max(after, life.after), min(until, life.until)
        left -= schedule.count_us(begin, end)
        if left < 0:
            raise ConfigurationError(
                f"job {job} has more than {MOST:,} scheduled times between the two: audit a shorter stretch"
            )
        strange = find.strange(schedule, begin, end)
        for at in _times(schedule, begin, end):
            while strange and strange[0] < at:
                _add(stretches, strange[0], find.told_of(strange.pop(0)))
            _add(stretches, at, find(at))
        for at in strange:
            _add(stretches, at, find.told_of(at))
    if any(stretch.found == UNKNOWN for stretch in stretches):
        notes.append(
            f"the history reaches back to {to_datetime(find.reaches).isoformat()}: older lines are trimmed"
        )
    return Audit(job, to_datetime(after), to_datetime(until), tuple(stretches), tuple(notes))


def lives(state: JobState, now: Micros) -> Iterator[Past]:
    """List the definitions that the job had, oldest first, each with the stretch whose times were its own."""
    yield from state.past
    spec = state.spec
    after = state.since if spec.start_at is None else max(state.since, spec.start_at - 1)
    until = now - spec.jitter if spec.until is None else min(now - spec.jitter, spec.until)
    if spec.enabled and after < until:
        yield Past(spec.expression, after, until, spec.tz, spec.key)


def _schedule(life: Past) -> Schedule | None:
    try:
        return Spec(life.expression, life.tz, life.key).schedule
    except ScheduleError:
        return None


def _times(schedule: Schedule, after: Micros, until: Micros) -> Iterator[Micros]:
    at = schedule.next_after_us(after)
    while at is not None and at <= until:
        yield at
        at = schedule.next_after_us(at)


def _reaches(state: JobState, lines: Sequence[Run], now: Micros) -> Micros:
    """Tell since when every line is still there.

    Trimming drops the oldest lines, and keeps some older ones that were no successes: behind the oldest
    success nothing is missing. Nor is anything, but for its age, while a job has fewer lines than its
    definition lets it have.
    """
    keep = state.spec.options.keep
    successes = [written(line) for line in lines if line.status is Status.SUCCEEDED]
    reaches = min(successes or [written(line) for line in lines[: keep.lines][-1:]], default=now)
    if len(lines) < keep.lines:
        reaches = min(reaches, max(state.since, now - keep.age))
    return reaches


def written(line: Run) -> Micros:
    """Tell before when the scheduled times lie whose lines may be older than this one."""
    return max(line.ended_at or 0, line.last_at or line.scheduled_at)


def _notes(state: JobState, lives: Sequence[Past], after: Micros, until: Micros) -> Iterator[str]:
    known = [*(past.after for past in state.past), state.since]
    if after < min(known):
        forgotten = len(state.past) >= REMEMBERED
        why = "its row remembers no older schedule" if forgotten else "the job was first declared then"
        yield f"nothing is known of the time before {to_datetime(min(known)).isoformat()}: {why}"
    for earlier, later in pairwise(lives):
        yield f"the definition was edited at {to_datetime(later.after).isoformat()}"
        if earlier.until < later.after:
            begin, end = to_datetime(earlier.until).isoformat(), to_datetime(later.after).isoformat()
            yield f"between {begin} and {end} the job had no scheduled times"
    if not state.spec.enabled and state.since < until:
        yield f"since {to_datetime(state.since).isoformat()} the job is disabled"


class Finder:
    """Looks a scheduled time up."""

    def __init__(self, state: JobState, lines: Sequence[Run], pauses: Collection[Pause], now: Micros) -> None:
        """Sort the lines, which are as `audit` has them; `reaches` tells since when all of them are there."""
        self._state = state
        self._paused = any(pause.active(now) for pause in pauses)
        self.reaches = _reaches(state, lines, now)
        self._open = {*state.outstanding, *(trigger.key for trigger in state.waiting)}
        self._single: dict[Micros, list[Run]] = {}
        self._stretches: list[Run] = []
        self._backfilled: dict[Micros, Run] = {}
        for line in lines:
            if line.kind is Kind.BACKFILL and line.status in RAN:
                self._backfilled.setdefault(line.scheduled_at, line)
            elif line.kind in (Kind.SCHEDULED, Kind.LATE) and line.status is not Status.RETIRED:
                if line.last_at is None:
                    self._single.setdefault(line.scheduled_at, []).append(line)
                else:
                    self._stretches.append(line)
        self._stretches.sort(key=lambda line: line.scheduled_at)
        self._begins = [line.scheduled_at for line in self._stretches]

    def __call__(self, at: Micros) -> Found:
        """Tell what there is of it."""
        found, backfill = self._of_schedule(at), self._backfilled.get(at)
        return found if backfill is None else _with_backfill(found, backfill)

    def strange(self, schedule: Schedule, after: Micros, until: Micros) -> list[Micros]:
        """List instants in (after, until] that have lines, and are no times of the schedule."""
        instants = {*self._single, *self._begins}
        return sorted(at for at in instants if after < at <= until and schedule.last_before_us(at + 1) != at)

    def told_of(self, at: Micros) -> Found:
        """Tell what is said of a time that was none."""
        lines = self._single.get(at) or self._stretch(at)
        statuses = ", ".join(str(line.status) for line in lines)
        return Found(UNSCHEDULED, "", f"there was no such time, but a line: {statuses}")

    def _of_schedule(self, at: Micros) -> Found:
        lines = self._single.get(at) or self._stretch(at)
        if lines:
            return _of_lines(lines)
        if str(at) in self._open:
            return Found("outstanding")
        if at > self._state.mark:
            return (
                Found("paused") if self._paused else Found("undecided", "", "no replica has decided it yet")
            )
        return Found(UNKNOWN) if at <= self.reaches else Found(UNACCOUNTED)

    def _stretch(self, at: Micros) -> list[Run]:
        place = bisect_right(self._begins, at) - 1
        return [line for line in self._stretches[max(0, place) : place + 1] if at <= (line.last_at or 0)]


def _with_backfill(found: Found, line: Run) -> Found:
    """Tell that a time was run by a backfill as well, which accounts for nothing that has no line."""
    told = f"backfilled: {line.status}"
    if found.found in ("ran once", "ran again"):
        return Found("ran again", found.status, "; ".join(filter(None, (found.detail, told))))
    if found.found in (UNACCOUNTED, *OPEN):
        return Found(found.found, found.status, told)
    return Found("backfilled", str(line.status), ": ".join(filter(None, (found.found, found.detail))))


def _of_lines(lines: Sequence[Run]) -> Found:
    """Read the lines of one time, newest first: there is one, unless it was sent once more."""
    ran = [line for line in lines if line.status in RAN]
    line = ran[0] if ran else lines[0]
    if not ran:
        return Found(str(line.status), "", _last(line.detail))
    detail = "" if line.status is Status.SUCCEEDED else _last(line.detail)
    if len(lines) > 1:
        statuses = ", ".join(str(each.status) for each in reversed(lines))
        return Found("ran again", str(line.status), f"its lines: {statuses}")
    if line.delivery > 1:
        again = f"in delivery {line.delivery}, after its replica was gone"
        return Found("ran again", str(line.status), "; ".join(filter(None, (again, detail))))
    return Found("ran once", str(line.status), detail)


def _last(detail: str) -> str:
    return detail.strip().rpartition("\n")[2]


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

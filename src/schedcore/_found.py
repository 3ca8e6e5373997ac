"""Looks up in the lines of a job's history what became of a scheduled time; pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence

import attrs

from schedcore._state import JobState, Pause, Spec
from schedcore._units import to_datetime
from schedcore.errors import ScheduleError
from schedcore.protocols import Kind, Micros, Run, Status
from schedcore.schedules import Schedule

RAN = (Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT)
IN_STRETCHES = (Status.MISSED, Status.PAUSED)
"""Of these one line tells of many times."""

OPEN = ("outstanding", "undecided")
UNACCOUNTED = "unaccounted"
UNKNOWN = "unknown"
UNSCHEDULED = "unscheduled"


@attrs.frozen
class Found:
    """What there is of one scheduled time."""

    found: str
    status: str = ""
    detail: str = ""


class Finder:
    """Looks a scheduled time up."""

    def __init__(
        self, state: JobState, lines: Sequence[Run], pauses: Collection[Pause], after: Micros, now: Micros
    ) -> None:
        """Sort the lines, which are as `audit` has them; `reaches` tells since when all of them are there."""
        self._state = state
        self._lines = lines
        self._paused = any(pause.active(now) for pause in pauses)
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
        self.reaches = self._reaches(after, now)

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
        lines = self._single.get(at) or [line for line in self._stretches if line.scheduled_at == at]
        statuses = ", ".join(str(line.status) for line in lines)
        return Found(UNSCHEDULED, "", f"there was no such time, but a line: {statuses}")

    def doubled(self, after: Micros, until: Micros) -> Iterator[str]:
        """Tell of lines of times in (after, until] that are there more than once, word for word."""
        for at, lines in self._single.items():
            if after < at <= until and len(set(lines)) < len(lines):
                yield f"a line of {to_datetime(at).isoformat()} is there more than once: somebody added it"

    def wrong_stretches(self, schedule: Schedule, after: Micros, until: Micros) -> Iterator[str]:
        """Tell of lines within (after, until] that tell of more or fewer times than there are."""
        for line in self._stretches:
            first, last = line.scheduled_at, line.last_at or 0
            if after < first and last <= until and line.count != schedule.count_us(first - 1, last):
                begin, end = to_datetime(first).isoformat(), to_datetime(last).isoformat()
                yield (
                    f"a line tells of {line.count} times ({line.status}) from {begin} to {end}, where there "
                    f"are {schedule.count_us(first - 1, last)}: somebody changed it"
                )

    def surplus(self, since: Micros) -> Iterator[str]:
        """Tell of which status the lines of times behind `since` tell of more than the job's counters.

        What the row did not know yet is left out: the lines were read after it.
        """
        told: dict[str, int] = {}
        for line in (*self._stretches, *(line for lines in self._single.values() for line in lines)):
            last = line.last_at or line.scheduled_at
            if line.scheduled_at > since and last <= self._state.mark and line.key not in self._open:
                told[line.status] = told.get(line.status, 0) + line.count
        for status, count in sorted(told.items()):
            counted = self._state.counters.get(status, 0)
            if count > counted:
                yield (
                    f"its lines tell of {count} {status}, its counters of {counted}: somebody added or "
                    "changed a line, or the store lost data"
                )

    def _reaches(self, after: Micros, now: Micros) -> Micros:
        """Tell since when every line is still there, as far as that matters behind `after`.

        Trimming drops the oldest lines, and keeps some older ones that were no successes: behind the oldest
        success nothing is missing. While a job has fewer lines than its definition lets it have, nothing is
        missing but for its age if it never had more; and if it had, as many as it may have are.
        """
        state, lines, keep = self._state, self._lines, self._state.spec.options.keep
        successes = [written(line) for line in lines if line.status is Status.SUCCEEDED]
        reaches = min(successes or [written(line) for line in lines[: keep.lines][-1:]], default=now)
        lacking = keep.lines - len(lines)
        if lacking <= 0 or reaches <= after:
            return reaches
        begin = max(state.since, now - keep.age)
        singly = sum(count for status, count in state.counters.items() if status not in IN_STRETCHES)
        by_hand = sum(state.manual.values())
        if singly + by_hand <= keep.lines:
            return min(reaches, begin)
        lacking -= by_hand - sum(line.kind in (Kind.MANUAL, Kind.BACKFILL) for line in lines)
        return min(reaches, self._back(lacking, max(begin, after)))

    def _back(self, lacking: int, begin: Micros) -> Micros:
        """Go back from the mark until so many times have no line, or to `begin`; return what lies before."""
        place, schedule = self._state.mark, readable(self._state.spec)
        at = None if schedule is None else schedule.last_before_us(place + 1)
        while schedule is not None and at is not None and at > begin and lacking > 0:
            place = at - 1
            lacking -= not (at in self._single or self._stretch(at) or str(at) in self._open)
            at = schedule.last_before_us(at)
        return begin if lacking > 0 and schedule is not None else place

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
        for loss in self._state.losses:
            if loss.after < at <= loss.until:
                return Found(UNKNOWN, "", f"the store lost data at {to_datetime(loss.until).isoformat()}")
        return Found(UNKNOWN) if at <= self.reaches else Found(UNACCOUNTED)

    def _stretch(self, at: Micros) -> list[Run]:
        place = bisect_right(self._begins, at) - 1
        return [line for line in self._stretches[max(0, place) : place + 1] if at <= (line.last_at or 0)]


def readable(spec: Spec) -> Schedule | None:
    """Return the schedule, unless a later release declared it, or other tzdata is needed for it."""
    try:
        return spec.schedule
    except ScheduleError:
        return None


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
    from schedcore._telling import gist  # whoever imports the core needs no logging yet

    ran = [line for line in lines if line.status in RAN]
    line = ran[0] if ran else lines[0]
    if not ran:
        return Found(str(line.status), "", gist(line.detail))
    detail = "" if line.status is Status.SUCCEEDED else gist(line.detail)
    if len(lines) > 1:
        statuses = ", ".join(str(each.status) for each in reversed(lines))
        return Found("ran again", str(line.status), f"its lines: {statuses}")
    if line.delivery > 1:
        again = f"in delivery {line.delivery}, after its replica was gone"
        return Found("ran again", str(line.status), "; ".join(filter(None, (again, detail))))
    return Found("ran once", str(line.status), detail)


def written(line: Run) -> Micros:
    """Tell before when the scheduled times lie whose lines may be older than this one."""
    return max(line.ended_at or 0, line.last_at or line.scheduled_at)

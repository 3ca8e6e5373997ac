"""Audits that answer within a second, of as many jobs and times as that allows, unless told otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from schedcore import _audit, _auditing
from schedcore._audit import Audit
from schedcore._control import Control
from schedcore._found import readable
from schedcore._state import DAY, SECOND, JobState
from schedcore._units import to_datetime
from schedcore.errors import ConfigurationError
from schedcore.protocols import Micros, Row

HOUR: Micros = 3600 * SECOND
TIMES_OF_ONE, TIMES_OF_ALL = 1000, 100
PATIENCE = 0.4
"""Seconds after which no further jobs are looked at: the answer is to be there within one."""

AT_ONCE = 10_000
"""So many scheduled times are audited between two looks at the clock, and so many of one job at most."""

PAGE = 50

TOO_MANY = (
    f"has more scheduled times between the two than are audited within a second ({AT_ONCE:,}): give a later "
    f"--from or a sooner --to, or --complete, for up to {_audit.MOST:,}"
)


@attrs.frozen
class Span:
    """What is to be audited: times in (after, until], or the latest ones; all of them, if `complete`."""

    after: Micros | None = None
    until: Micros | None = None
    complete: bool = False


@attrs.frozen
class Bounded:
    """What was found, how far it looked, and the last of the jobs looked at if there may be more."""

    audits: tuple[Audit, ...]
    reach: str = ""
    goes_on: str = ""


Tell = Callable[[int, str], None]
"""Is told how many jobs were looked at, and the last of them."""


async def audit(control: Control, job: str | None, span: Span, after_job: str, tell: Tell) -> Bounded:
    """Audit a job, or all jobs in order of name, those behind `after_job`.

    Raises:
        UnknownJobError: the app has no such job.
        ConfigurationError: nothing was due between the two, or too much of that one job.
    """
    if job is None:
        return await _of_all(control, span, after_job, tell)
    await control.check(job)
    rows = await control.call(lambda store: store.rows([job]))
    now = await control.call(lambda store: store.now())
    begins = _begins(rows, span, now, DAY, TIMES_OF_ONE)
    found = await _of(control, rows, begins, span)
    for each in found:
        if each.notes[-1:] == (TOO_MANY,):
            raise ConfigurationError(f"job {job} {TOO_MANY}")
    reach = f"the last day, or its last {TIMES_OF_ONE:,} times if these are fewer"
    return Bounded(tuple(found), reach if span.after is None else "")


async def _of_all(control: Control, span: Span, after_job: str, tell: Tell) -> Bounded:
    reach = f"the last hour, or the last {TIMES_OF_ALL} times of a job if these are fewer"
    reach = reach if span.after is None else ""
    audits: list[Audit] = []
    end = time.monotonic() + PATIENCE
    while True:
        rows = await control.call(lambda store, after=after_job: store.rows(after=after, limit=PAGE))  # type: ignore[misc]
        now = await control.call(lambda store: store.now())
        begins = _begins(rows, span, now, HOUR, TIMES_OF_ALL)
        for some in _parts(rows, begins, now if span.until is None else span.until):
            audits += await _of(control, some, begins, span)
            after_job = some[-1].job
            if (
                time.monotonic() > end
                and not span.complete
                and not (len(rows) < PAGE and some[-1] is rows[-1])
            ):
                return Bounded(tuple(audits), reach, after_job)
        tell(len(audits), after_job)
        if len(rows) < PAGE:
            return Bounded(tuple(audits), reach)


def _begins(rows: Sequence[Row], span: Span, now: Micros, stretch: Micros, times: int) -> dict[str, Micros]:
    return {
        row.job: _begin(row.data, now, stretch, times) if span.after is None else span.after
        for row in rows
        if isinstance(row.data, JobState)
    }


def _parts(rows: Sequence[Row], begins: Mapping[str, Micros], until: Micros) -> Iterator[list[Row]]:
    """Cut the rows so that a part has not many more times than are audited at once."""
    part: list[Row] = []
    many = 0
    for row in rows:
        part.append(row)
        if isinstance(row.data, JobState):
            many += _audit.times(row.data, begins[row.job], until)
        if many > AT_ONCE:
            yield part
            part, many = [], 0
    if part:
        yield part


async def _of(control: Control, rows: Sequence[Row], begins: Mapping[str, Micros], span: Span) -> list[Audit]:
    """Audit these; of a job with too many times say just that."""
    now = await control.call(lambda store: store.now())
    until = now if span.until is None else min(now, span.until)
    most = _audit.MOST if span.complete else AT_ONCE
    states = {row.job: row.data for row in rows if isinstance(row.data, JobState)}
    few = [
        row
        for row in rows
        if row.job in states and _audit.times(states[row.job], begins[row.job], until) <= most
    ]
    after = min([begins[row.job] for row in few], default=now)
    now, app, lines = await control.call(lambda store: _auditing.read(store, few, after, span.until))
    found: list[Audit] = []
    for row in rows:
        begin = begins.get(row.job, now)
        if row.job in lines:
            found += _auditing.compare([row], app, lines, begin, until, now)
        elif row.job in states:
            found.append(Audit(row.job, to_datetime(begin), to_datetime(until), (), (TOO_MANY,)))
    return found


def _begin(state: JobState, now: Micros, stretch: Micros, times: int) -> Micros:
    """Tell when the last so many times of a job begin, if these are within the stretch."""
    at, schedule = now, readable(state.spec)
    for _ in range(times):
        before = None if schedule is None else schedule.last_before_us(at)
        if before is None or before <= now - stretch:
            return now - stretch
        at = before
    return at - 1

"""An audit of what was due lately, of as many jobs as there is time for."""

from __future__ import annotations

import time

import attrs

from schedcore import _auditing
from schedcore._audit import Audit
from schedcore._control import Control
from schedcore._state import DAY, SECOND, JobState
from schedcore.protocols import Micros, Row

HOUR: Micros = 3600 * SECOND
TIMES_OF_ONE, TIMES_OF_ALL = 1000, 100
PATIENCE = 0.4
"""Seconds after which no further jobs are looked at: the answer is to be there within one."""

PAGE = 50


@attrs.frozen
class Recent:
    """What was found, how far it looked, and the last of the jobs looked at if there may be more."""

    audits: tuple[Audit, ...]
    reach: str
    goes_on: str = ""


async def audit(control: Control, job: str | None, after_job: str = "") -> Recent:
    """Audit the latest times of a job, or of all jobs in order of name, those behind `after_job`.

    Raises:
        UnknownJobError: the app has no such job.
    """
    if job is not None:
        await control.check(job)
        rows = await control.call(lambda store: store.rows([job]))
        found = await _of(control, list(rows), DAY, TIMES_OF_ONE)
        return Recent(tuple(found), f"the last day, or its last {TIMES_OF_ONE:,} times if these are fewer")
    reach = f"the last hour, or the last {TIMES_OF_ALL} times of a job if these are fewer"
    audits: list[Audit] = []
    end = time.monotonic() + PATIENCE
    while True:
        rows = await control.call(lambda store, after=after_job: store.rows(after=after, limit=PAGE))  # type: ignore[misc]
        audits += await _of(control, list(rows), HOUR, TIMES_OF_ALL)
        if len(rows) < PAGE:
            return Recent(tuple(audits), reach)
        after_job = rows[-1].job
        if time.monotonic() > end:
            return Recent(tuple(audits), reach, after_job)


async def _of(control: Control, rows: list[Row], stretch: Micros, times: int) -> list[Audit]:
    now = await control.call(lambda store: store.now())
    begins = {
        row.job: _begin(row.data, now, stretch, times) for row in rows if isinstance(row.data, JobState)
    }
    if not begins:
        return []
    after = min(begins.values())
    now, app, lines = await control.call(lambda store: _auditing.read(store, rows, after))
    return [
        found
        for row in rows
        if row.job in begins
        for found in _auditing.compare([row], app, lines, begins[row.job], now, now)
    ]


def _begin(state: JobState, now: Micros, stretch: Micros, times: int) -> Micros:
    """Tell when the last so many times of a job begin, if these are within the stretch."""
    at = now
    for _ in range(times):
        before = state.spec.schedule.last_before_us(at)
        if before is None or before <= now - stretch:
            return now - stretch
        at = before
    return at - 1

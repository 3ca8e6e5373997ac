"""Reads what an audit compares."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from schedcore import _audit, _found
from schedcore._audit import Audit
from schedcore._state import AppState, JobState
from schedcore.errors import ConfigurationError
from schedcore.protocols import APP_ROW, Micros, Row, Run, Status, Store

AT_ONCE = 32
"""So many histories are read at once."""

ALL_LINES = 100_000_000
LONG = 1000
"""So many lines at least are not read at one instant."""


async def read(
    store: Store, rows: Sequence[Row], after: Micros, until: Micros | None = None
) -> tuple[Micros, Row, dict[str, Sequence[Run]]]:
    """Read the store's now, the app's row, and the lines of the jobs in `rows`: these after their rows."""
    now = await store.now()
    (app,) = await store.rows([APP_ROW])
    lines: dict[str, Sequence[Run]] = {}
    for start in range(0, len(rows), AT_ONCE):
        names = [row.job for row in rows[start : start + AT_ONCE]]
        pages = await asyncio.gather(*[_lines(store, name, after, until) for name in names])
        lines |= dict(zip(names, pages, strict=True))
    return now, app, lines


async def _lines(store: Store, job: str, after: Micros, until: Micros | None) -> Sequence[Run]:
    """Read what an audit needs: a long history is read neither before its first time nor after its last one.

    Behind a success that was written before the first time nothing is missing; without one, all that is
    there tells how far the history reaches.
    """
    older, _ = await store.runs(job, statuses=[Status.SUCCEEDED], until=after, limit=1)
    if older and _found.written(older[0]) <= after:
        lines, _ = await store.runs(job, after=after, until=until, limit=ALL_LINES)
        return [*lines, *older]
    lines, _ = await store.runs(job, limit=ALL_LINES)
    if len(lines) < LONG:
        return lines
    # A long history is read in several goes: newer lines have displaced what was to be read last.
    newer, _ = await store.runs(job, limit=LONG)
    return [*newer[: newer.index(lines[0]) if lines[0] in newer else 0], *lines]


def compare(
    rows: Sequence[Row],
    app: Row,
    lines: dict[str, Sequence[Run]],
    begin: Micros,
    until: Micros,
    now: Micros,
) -> list[Audit]:
    """Compare the schedules of the jobs in `rows` with their lines.

    Raises:
        ConfigurationError: there is no time between the two, or there are too many.
    """
    if min(until, now) <= begin:
        raise ConfigurationError("nothing was due between the two: give a stretch of the past")
    common = app.data.pauses if isinstance(app.data, AppState) else ()
    return [
        _audit.audit(row.job, row.data, lines[row.job], (*row.data.pauses, *common), begin, until, now)
        for row in rows
        if isinstance(row.data, JobState)
    ]

"""Looks at the store, at the app and, as far as its backend can, at the server."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from schedcore import _diagnosis
from schedcore._answers import RunInfo
from schedcore._control import Control
from schedcore._units import to_datetime
from schedcore.errors import StoreUnavailableError
from schedcore.protocols import Condition, Examining, Finding, Status

CALLS = 5
MOST_DEAD = 50
"""Of so many jobs at most the history is searched for what was given up."""


async def diagnose(control: Control) -> list[Finding]:
    """Look at everything; what cannot be looked at is a finding too."""
    found: list[Finding] = []
    looks: tuple[tuple[str, Callable[[Control], Awaitable[list[Finding]]]], ...] = (
        ("store", _store),
        ("server", _server),
        ("app", _app),
    )
    for name, look in looks:
        try:
            found += await look(control)
        except StoreUnavailableError as exc:
            found.append(unreachable(name, exc))
    return found


def unreachable(name: str, exc: StoreUnavailableError) -> Finding:
    """Tell that the store did not answer."""
    return Finding(name, Condition.FAIL, exc.problem, exc.remedy)


async def _store(control: Control) -> list[Finding]:
    took = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        await control.call(lambda store: store.now())
        took.append(time.perf_counter() - begin)
    return [_diagnosis.latency(took)]


async def _server(control: Control) -> list[Finding]:
    async def examine(store: Any) -> list[Finding]:
        if not hasattr(store, "examine"):
            return []
        examining: Examining = store
        return list(await examining.examine())

    return await control.call(examine)


async def _app(control: Control) -> list[Finding]:
    now = to_datetime(await control.call(lambda store: store.now()))
    replicas, jobs = await control.replicas(), await control.jobs()
    given_up = [job.name for job in jobs if Status.DEAD in job.counters or Status.DEAD in job.manual]
    lines: list[RunInfo] = []
    for name in given_up[:MOST_DEAD]:
        lines += await control.history(name, status=Status.DEAD, after=now - _diagnosis.RECENT * 2)
    return [
        *_diagnosis.replicas(replicas),
        *_diagnosis.jobs(jobs, {replica.id for replica in replicas}, now),
        _diagnosis.dead(lines, now),
    ]

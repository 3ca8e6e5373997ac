"""How a replica stops: runs may end, what is left is handed back, and the others are told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress

from schedcore._execute import STOPPING
from schedcore._reporter import Reporter
from schedcore._runner import Runner
from schedcore.protocols import Backend

log = logging.getLogger("schedcore")

STUBBORN = 6.0
"""How many seconds a stop waits for coroutines that it has cancelled: one may refuse to end."""


async def end_feeding(tasks: Collection[asyncio.Task[None]]) -> None:
    """Stop sending and receiving; what has just been received may have to be given back."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=1)


async def end_runs(runner: Runner, reporter: Reporter, drain: float) -> list[str]:
    """Let runs end for `drain` seconds, hand back the rest; the names of what runs on."""
    running = sorted({e.job.name for e in runner.held.values() if e.began and not e.over})
    if running and drain:
        log.warning(
            "stopping: waiting up to %g s for %s",
            drain,
            ", ".join(running[:10]) + (f" and {len(running) - 10} more" if len(running) > 10 else ""),
            extra={"event": "stop.draining"},
        )
    await runner.drain(drain)
    await runner.stop_coroutines(STUBBORN)
    try:
        await asyncio.wait_for(reporter.settled(), 5)
    except TimeoutError:
        log.warning(
            "the store is away: what ended last could not be recorded", extra={"event": "stop.unsettled"}
        )
    return [e.job.name for e in runner.held.values()]


async def give_up(runner: Runner, backend: Backend) -> None:
    """Give back what is still held."""
    runner.close()
    held = [e.delivery for e in runner.held.values() if e.may_run_again()]
    if held:
        with suppress(Exception):
            async with asyncio.timeout(2):
                await backend.bus.give_back(held)


async def leave(runner: Runner, backend: Backend, replica: str, facts: Mapping[str, object] | None) -> None:
    """Give back what is still held, say goodbye (unless nobody was greeted) and disconnect."""
    runner.close()
    for execution in runner.held.values():
        execution.ended_by = execution.ended_by or STOPPING
    try:
        async with asyncio.timeout(2):
            held = [e.delivery for e in runner.held.values() if e.may_run_again()]
            if held:
                await backend.bus.give_back(held)
            if facts is not None:
                await backend.store.beat(replica, facts, 0)
    except Exception as exc:  # noqa: BLE001  the leases will lapse
        log.warning(
            "the store is away: leases of %s are left to lapse (%s)",
            replica,
            exc,
            extra={"event": "stop.leases_left"},
        )
    await backend.close()

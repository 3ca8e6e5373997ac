"""One replica as a process of its own: `python worker.py CONFIGURATION`, as the cluster starts it.

Its jobs write what they do outside the store, one line per write, to a file of this process. The
configuration is JSON: app, backend, options, jobs, records, log, clock (by how many seconds the wall clock of
this process is ahead), drain.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from schedcore import RunContext, Scheduler

SLICE = 0.05


class Lines:
    """A file to which each line goes with one write, so that a kill leaves whole lines only."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, **facts: object) -> None:
        facts |= {"pid": os.getpid(), "t": time.monotonic_ns() // 1000}
        os.write(self._file, json.dumps(facts).encode() + b"\n")


class JsonLines(logging.Handler):
    """Writes each log record as a line."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info and self.formatter_or_plain().formatException(record.exc_info)
        facts = {"level": record.levelname, "event": getattr(record, "event", ""), "error": error or ""}
        self._lines.write(**facts, text=record.getMessage())

    def formatter_or_plain(self) -> logging.Formatter:
        return self.formatter or logging.Formatter()


def shift_clock(seconds: float) -> None:
    """Have this process's wall clock be wrong; the monotonic one stays as it is."""
    time_ns, ahead = time.time_ns, round(seconds * 1e9)
    time.time_ns = lambda: time_ns() + ahead
    time.time = lambda: (time_ns() + ahead) / 1e9


def pause(seconds: float) -> None:
    """Sleep; under libfaketime 0.9.10 Python's own `time.sleep` fails."""
    select.select((), (), (), seconds)


def facts_of(run: RunContext) -> dict[str, object]:
    return {
        "job": run.job,
        "key": run.key,
        "at": round(run.scheduled_at.timestamp() * 1_000_000),
        "kind": str(run.kind),
        "delivery": run.delivery,
        "attempt": run.attempt,
        "token": run.token,
    }


def coroutine(job: dict[str, Any], records: Lines) -> Callable[[RunContext], Awaitable[None]]:
    """Make a job that sleeps, or with `blocks` holds its loop for as long."""

    async def body(run: RunContext) -> None:
        facts = facts_of(run)
        records.write(event="start", **facts)
        crash(job, run, records)
        try:
            if job.get("blocks"):
                pause(job["seconds"])
            else:
                await asyncio.sleep(job["seconds"])
        except asyncio.CancelledError:
            records.write(event="cancelled", **facts)
            raise
        records.write(event="end", **facts)

    return body


def plain(job: dict[str, Any], records: Lines) -> Callable[[RunContext], None]:
    """Make a job that sleeps in its thread, and with `heeds` ends early when it is told to."""

    def body(run: RunContext) -> None:
        facts = facts_of(run)
        records.write(event="start", **facts)
        crash(job, run, records)
        until = time.monotonic() + job["seconds"]
        while (left := until - time.monotonic()) > 0:
            pause(min(left, SLICE))
            if job.get("heeds") and run.cancelled:
                records.write(event="cancelled", **facts)
                return
        records.write(event="end", **facts)

    return body


def crash(job: dict[str, Any], run: RunContext, records: Lines) -> None:
    """Kill this process, in the first deliveries that the job is configured to crash in."""
    if run.delivery <= job.get("crashes", 0):
        records.write(event="crash", **facts_of(run))
        os.kill(os.getpid(), signal.SIGKILL)


def declare(scheduler: Scheduler, jobs: list[dict[str, Any]], records: Lines) -> None:
    for job in jobs:
        make = plain if job["kind"] == "plain" else coroutine
        scheduler.add_job(job["name"], job["schedule"], make(job, records), **job["options"])


def say_when_ready(scheduler: Scheduler, records: Lines) -> None:
    while not scheduler.blocking.health().running:
        pause(SLICE)
    records.write(event="ready")


def main() -> None:
    configuration = json.loads(sys.argv[1])
    if configuration["clock"]:
        shift_clock(configuration["clock"])
    from schedcore import Scheduler

    records = Lines(configuration["records"])
    logging.getLogger().addHandler(JsonLines(Lines(configuration["log"])))
    logging.getLogger().setLevel(logging.INFO)
    scheduler = Scheduler(
        configuration["app"],
        backend=configuration["backend"],
        drain=configuration["drain"],
        **configuration["options"],
    )
    declare(scheduler, configuration["jobs"], records)
    threading.Thread(target=say_when_ready, args=(scheduler, records), daemon=True).start()
    scheduler.run()
    records.write(event="stopped")


if __name__ == "__main__":
    main()

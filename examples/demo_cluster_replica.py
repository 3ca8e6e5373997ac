"""One replica of the cluster that `make demo-cluster` shows: its dozen jobs, and the record of what ran.

An application has no use for the record: it is there so that the demonstration can compare what Redis tells
of the runs with what the functions themselves have written, to a file that Redis knows nothing of.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from schedcore import RunContext, Scheduler


class Record:
    """A file to which all replicas append, a line at a time."""

    def __init__(self, path: str, replica: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._replica = replica

    def write(self, what: str, **facts: Any) -> None:
        line = {"what": what, "replica": self._replica, "pid": os.getpid(), "when": time.time(), **facts}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    @contextlib.contextmanager
    def of(self, run: RunContext) -> Iterator[None]:
        """Write when a run begins, and when it ends, however it ends."""
        at = f"{run.scheduled_at:%Y-%m-%dT%H:%M:%S.%f}+00:00"
        facts = {"job": run.job, "at": at, "delivery": run.delivery, "token": run.token}
        self.write("begin", attempt=run.attempt, **facts)
        try:
            yield
        except BaseException as error:
            self.write("end", how=type(error).__name__, **facts)
            raise
        self.write("end", how="", **facts)


class RecordLog(logging.Handler):
    """Writes what schedcore says to the record."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def emit(self, record: logging.LogRecord) -> None:
        self._record.write("log", event=getattr(record, "event", ""), said=record.getMessage())


def declare(scheduler: Scheduler, record: Record, start: datetime, end: datetime) -> None:
    """Declare a dozen jobs that are due between start and end."""
    life: dict[str, Any] = {"start_at": start, "until": end}

    def waiting(seconds: float) -> Any:
        async def wait(run: RunContext) -> None:
            with record.of(run):
                await asyncio.sleep(seconds)

        return wait

    def sync_invoices(run: RunContext) -> None:
        with record.of(run):
            time.sleep(0.3)

    def convert_images(run: RunContext) -> None:
        with record.of(run):
            sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, 10_000))

    async def send_mails(run: RunContext) -> None:
        with record.of(run):
            if run.attempt == 1:
                raise ConnectionError("the mail server is busy")

    # Due three seconds after the start, and every ten from then on.
    nightly = f"{(start.second + 3) % 10}-59/10 * * * * *"
    add = scheduler.add_job
    add("heartbeat", "@every 1s", waiting(0.05), **life)
    add("poll-inbox", "*/2 * * * * *", waiting(0.1), **life)
    add("sync-invoices", "@every 3s", sync_invoices, **life)
    add("convert-images", "@every 2s", convert_images, **life)
    add("send-mails", "*/4 * * * * *", send_mails, retries=1, **life)
    add("import-rates", "*/5 * * * * *", waiting(1.0), overlap="allow", **life)
    add("rebuild-index", "@every 2s", waiting(2.5), **life)
    add("settle-accounts", "@every 3s", waiting(1.0), overlap="queue_all", **life)
    add("send-newsletter", "@every 6s", waiting(0.5), delivery="at_most_once", **life)
    add("clean-up", "*/6 * * * * *", waiting(0.2), jitter=0.5, **life)
    add("nightly-report", nightly, waiting(3.0), overlap="queue_one", **life)
    add("announce", (start + timedelta(seconds=2)).isoformat(), waiting(0.1))


def main() -> None:
    """Wait for the start, then run until standard input ends."""
    url, app, replica, path = sys.argv[1:]
    record = Record(path, replica)
    log = logging.getLogger("schedcore")
    log.addHandler(RecordLog(record))
    log.propagate = False
    scheduler = Scheduler(app, backend="redis", url=url)
    print("ready", flush=True)
    times = sys.stdin.readline().split()
    if len(times) != 2:
        return
    start, end = (datetime.fromtimestamp(float(each), UTC) for each in times)
    declare(scheduler, record, start, end)
    with scheduler:
        sys.stdin.read()


if __name__ == "__main__":
    main()

"""Five jobs for twenty seconds, and then the books: is every scheduled time of every job accounted for?

Run it with `make demo`; `make demo ARGS="--seconds 5"` is over sooner. No server is needed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from rich.box import HEAVY_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from schedcore import JobInfo, Kind, RunContext, RunInfo, Scheduler, Status, parse_schedule
from schedcore.crontab import add_crontab

CRONTAB = Path(__file__).with_name("demo.crontab")
PATIENCE = 20
PLAIN_COLUMNS = ("job", "schedule", "times", "ok", "failed", "skipped", "other", "open", "retried", "books")


# The jobs. They are ordinary functions: nothing in them knows how often they run, or where.


async def pulse() -> None:
    """A coroutine, every second."""
    await asyncio.sleep(0.1)


def primes(run: RunContext) -> None:
    """A plain function: it gets a thread of its own, and may block."""
    found = sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, 20_000))
    run.progress(note=f"{found} primes")


async def flaky(run: RunContext) -> None:
    """One that fails, and is tried again a second later; every fourth time in vain."""
    in_vain = int(run.scheduled_at.timestamp()) // 4 % 4 == 0
    if run.attempt == 1 or in_vain:
        raise ConnectionError("nobody there")
    run.progress(note=f"attempt {run.attempt}")


async def slow(run: RunContext) -> None:
    """One that takes longer than its period: a time that falls into a run is skipped, which is recorded."""
    await asyncio.sleep(2.5)
    run.progress(note="2.5 s of work")


def declare(scheduler: Scheduler, start: datetime, end: datetime) -> None:
    """Declare all five for the time of the show."""
    scheduler.add_job("pulse", "@every 1s", pulse, start_at=start, until=end)
    scheduler.add_job("primes", "*/2 * * * * *", primes, start_at=start, until=end)
    scheduler.add_job("flaky", "@every 4s", flaky, retries=1, start_at=start, until=end)
    scheduler.add_job("slow", "@every 2s", slow, start_at=start, until=end)
    add_crontab(scheduler, CRONTAB, start_at=start, until=end)


# The books: what the schedules say must have happened, against what the scheduler says did happen.


class Account(NamedTuple):
    """One job's books: how many times ended how, and what is wrong with them."""

    info: JobInfo
    expected: int
    ended: Counter[str]
    retried: int
    open: int
    wrong: list[str]


def account(info: JobInfo, runs: Sequence[RunInfo], start: datetime, end: datetime) -> Account:
    """Look for each scheduled time in (start, end]; it has to be in exactly one place.

    The times come from the schedule alone, so whatever the scheduler forgot is missed here.
    """
    expected = times_between(info, start, end)
    recorded: Counter[datetime] = Counter()
    ended: Counter[str] = Counter()
    retried = 0
    for run in runs:
        if run.kind is not Kind.MANUAL:
            times = times_of(info, run)
            recorded.update(times)
            ended[str(run.status)] += run.count
            retried += run.attempt > 1
    still_open = [
        datetime.fromtimestamp(int(key) / 1_000_000, UTC) for key in (*info.outstanding, *info.waiting)
    ]
    found = recorded + Counter(still_open)
    wrong = [f"{shown(at)} is nowhere" for at in expected if not found[at]]
    wrong += [f"{shown(at)} is recorded {number} times" for at, number in found.items() if number > 1]
    wrong += [f"{shown(at)} is no time of its schedule" for at in sorted(set(found) - set(expected))]
    counted = sum(info.counters.values()) + len(still_open)
    if counted != len(expected) or info.counters != dict(ended):
        told = f"{info.counters} and {len(still_open)} open"
        wrong.append(f"the counters say {told}, the history {dict(ended)}, the schedule {len(expected)}")
    return Account(info, len(expected), ended, retried, len(still_open), wrong)


def times_between(info: JobInfo, start: datetime, end: datetime) -> list[datetime]:
    """List the times of the job's schedule in (start, end]."""
    schedule = parse_schedule(info.schedule, tz=info.tz, key=info.name)
    return schedule.upcoming(start, schedule.count(start, end))


def times_of(info: JobInfo, run: RunInfo) -> list[datetime]:
    """List the scheduled times that a line of history stands for: one, or a stretch of skipped ones."""
    last = run.last_at or run.scheduled_at
    times = times_between(info, run.scheduled_at - timedelta(microseconds=1), last) or [run.scheduled_at]
    if len(times) != run.count:
        raise SystemExit(
            f"{info.name}: a line says that it stands for {run.count} times, and there are {len(times)}"
        )
    return times


def shown(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone():%H:%M:%S}"


# What is to be seen meanwhile.


class Events(logging.Handler):
    """Keeps what schedcore logs, and every run's end, to be shown in order."""

    def __init__(self) -> None:
        super().__init__()
        self.fresh: deque[str] = deque()
        self.seen: set[tuple[str, datetime]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", "") in {"run.retry", "backend.notice"}:
            self.say(record.getMessage())

    def say(self, text: str) -> None:
        self.fresh.append(f"{shown(datetime.now(UTC))}  {text}")

    def look(self, name: str, runs: Iterable[RunInfo]) -> None:
        """Tell of the lines of history that are new, oldest first."""
        for run in reversed(list(runs)):
            if (name, run.scheduled_at) not in self.seen:
                self.seen.add((name, run.scheduled_at))
                more = f" (and {run.count - 1} more)" if run.count > 1 else ""
                self.say(
                    f"{name:<14.14} {shown(run.scheduled_at)}{more}  {run.status}: {told(run)}".rstrip(": ")
                )

    def take(self) -> Iterator[str]:
        while self.fresh:
            yield self.fresh.popleft()


def told(run: RunInfo) -> str:
    """Tell the last line of what a run said or died of."""
    return run.detail.strip().rpartition("\n")[2]


class Show:
    """A live table in a terminal, a line per event elsewhere."""

    def __init__(self, console: Console, end: datetime) -> None:
        self.console = console
        self.end = end
        self.recent: deque[str] = deque(maxlen=8)
        self.live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Show:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()

    def update(self, jobs: list[JobInfo], last: dict[str, RunInfo], events: Events) -> None:
        if self.live is None:
            for line in events.take():
                print(line, flush=True)
            return
        self.recent.extend(events.take())
        table = table_for(self.console, f"schedcore: {self.remaining()}")
        for column in ("job", "schedule", "state", "ok", "failed", "skipped", "last", "next"):
            table.add_column(
                column, no_wrap=True, justify="right" if column in {"ok", "failed", "skipped"} else "left"
            )
        for job in jobs:
            table.add_row(*self.row(job, last.get(job.name)))
        below = Text("\n".join(self.recent), style="dim", no_wrap=True, overflow="ellipsis")
        self.live.update(Group(table, below), refresh=True)

    def row(self, job: JobInfo, last: RunInfo | None) -> list[Text]:
        running, counts = bool(job.outstanding), job.counters
        state = Text("running" if running else job.state, style="bold yellow" if running else "dim")
        colours = {Status.SUCCEEDED: "green", Status.FAILED: "red"}
        status = "ok" if last and last.status is Status.SUCCEEDED else last.status if last else ""
        said = f"{shown(last.scheduled_at)} {status}" if last else ""
        return [
            Text(job.name, style="bold"),
            Text(job.schedule),
            state,
            Text(str(counts.get(Status.SUCCEEDED, 0)), style="green"),
            Text(str(counts.get(Status.FAILED, 0)), style="red"),
            Text(str(counts.get(Status.SKIPPED, 0)), style="cyan"),
            Text(said, style=colours.get(last.status, "cyan") if last else ""),
            Text(shown(job.next_at) or "-"),
        ]

    def remaining(self) -> str:
        left = (self.end - datetime.now(UTC)).total_seconds()
        return f"{left:.0f} s to go" if left > 0 else "the last runs come to their end"


def watch(scheduler: Scheduler, show: Show, events: Events) -> None:
    """Show what happens until every job has had its last time and nothing runs any more."""
    give_up = show.end + timedelta(seconds=PATIENCE)
    while datetime.now(UTC) < give_up:
        jobs = scheduler.blocking.jobs()
        last = {}
        for job in jobs:
            runs = scheduler.blocking.history(job.name, limit=5) if job.counters else []
            events.look(job.name, runs)
            last.update({job.name: runs[0]} if runs else {})
        show.update(jobs, last, events)
        if all(job.next_at is None and not job.outstanding and not job.waiting for job in jobs):
            return
        time.sleep(0.2)


def table_for(console: Console, title: str) -> Table:
    box = HEAVY_HEAD if console.width >= 100 else None
    return Table(title=title, title_justify="left", box=box, padding=(0, 1), collapse_padding=True)


def report(console: Console, accounts: list[Account]) -> int:
    """Print the books; 0 if they balance."""
    rows = [row_of(one) for one in accounts]
    print()
    if console.is_terminal:
        table = table_for(console, "Every scheduled time, from the history")
        for column in PLAIN_COLUMNS:
            table.add_column(column, justify="left" if column in {"job", "schedule", "books"} else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    else:
        widths = [max(map(len, column)) for column in zip(PLAIN_COLUMNS, *rows, strict=True)]
        for line in (PLAIN_COLUMNS, *rows):
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    wrong = [f"{one.info.name}: {what}" for one in accounts for what in one.wrong]
    for what in wrong:
        print(f"NOT ACCOUNTED FOR  {what}")
    total = sum(one.expected for one in accounts)
    if not wrong:
        print(f"All {total} scheduled times of {len(accounts)} jobs are accounted for, each exactly once.")
    return 1 if wrong or not total else 0


def row_of(one: Account) -> tuple[str, ...]:
    ok, failed, skipped = (one.ended[status] for status in (Status.SUCCEEDED, Status.FAILED, Status.SKIPPED))
    other = one.ended.total() - ok - failed - skipped
    numbers = (one.expected, ok, failed, skipped, other, one.open, one.retried)
    return (one.info.name, one.info.schedule, *map(str, numbers), "wrong" if one.wrong else "balance")


def main() -> int:
    """Run the show."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=18, help="how long jobs are due (default: 18)")
    seconds = parser.parse_args().seconds
    if not 1 <= seconds <= 150:
        parser.error("--seconds must be from 1 to 150")
    events, console = Events(), Console(no_color=True if os.environ.get("NO_COLOR") else None)
    log = logging.getLogger("schedcore")
    log.addHandler(events)
    log.setLevel(logging.INFO)
    log.propagate = False
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    end = start + timedelta(seconds=seconds)
    scheduler = Scheduler("demo", backend="ram")
    declare(scheduler, start + timedelta(microseconds=1), end)
    with scheduler:
        with contextlib.suppress(KeyboardInterrupt), Show(console, end) as show:
            watch(scheduler, show, events)
        jobs = scheduler.blocking.jobs()
        accounts = [
            account(job, scheduler.blocking.history(job.name, limit=1000), start, min(end, job.decided_until))
            if datetime.now(UTC) < end
            else account(job, scheduler.blocking.history(job.name, limit=1000), start, end)
            for job in jobs
        ]
    return report(console, accounts)


if __name__ == "__main__":
    sys.exit(main())

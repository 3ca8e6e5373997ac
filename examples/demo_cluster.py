"""Redis, three replicas and a dozen jobs; one replica is killed with -9 in the middle of a run.

Run it with `make demo-cluster`; `make demo-cluster ARGS="--seconds 15"` is over sooner. The Redis is one of
its own, from the path or from the development tools, or the one that SCHEDCORE_TEST_REDIS_URL names.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from demo_cluster_books import Account, Killed, account, pieces_of, shown
from demo_cluster_processes import REPLICAS, VICTIM, Cluster, Program, a_redis
from rich.box import HEAVY_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from schedcore import JobInfo, Scheduler

PATIENCE = 25
COLUMNS = ("job", "schedule", "times", "ran once", "ran again", "skipped", "missed", "lost", "open", "books")


class Show:
    """A live table in a terminal, a line per event elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.recent: deque[str] = deque(maxlen=8)
        self.live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def say(self, text: str, when: float | None = None) -> None:
        line = f"{shown(when or time.time())}  {text}"
        self.recent.append(line)
        if self.live is None:
            print(line, flush=True)

    def tell(self, news: list[dict[str, Any]]) -> None:
        """Tell of the long job, and of what the replicas warn of."""
        for record in news:
            who, what, job = record["replica"], record["what"], record.get("job")
            if what == "log":
                self.say(f"{who}: {record['said']}", record["when"])
            elif job == VICTIM:
                again = f", delivery {record['delivery']}" if record["delivery"] > 1 else ""
                verb = {"begin": "begins", "end": "ends"}[what]
                at = shown(datetime.fromisoformat(record["at"]))
                self.say(f"{who} {verb} {job} of {at}{again}", record["when"])

    def update(self, jobs: list[JobInfo], cluster: Cluster, end: datetime) -> None:
        if self.live is None:
            return
        left = (end - datetime.now(UTC)).total_seconds()
        title = f"{left:.0f} s to go" if left > 0 else "the last runs come to their end"
        table = table_for(self.console, f"schedcore: {title}")
        for column in ("job", "schedule", "ok", "skipped", "waiting", "next", "runs on"):
            table.add_column(column, no_wrap=True)
        running = cluster.running()
        for job in jobs:
            on = ", ".join(sorted({piece.replica for piece in running if piece.job == job.name}))
            table.add_row(
                Text(job.name, style="bold"),
                job.schedule,
                Text(str(job.counters.get("succeeded", 0)), style="green"),
                Text(str(job.counters.get("skipped", 0)), style="cyan"),
                str(len(job.waiting)),
                shown(job.next_at) if job.next_at else "-",
                Text(on, style="yellow"),
            )
        who = [self.line_of(name, program, cluster) for name, program in cluster.replicas.items()]
        below = Text("\n".join(self.recent), style="dim", no_wrap=True, overflow="ellipsis")
        self.live.update(Group(table, *who, below), refresh=True)

    def line_of(self, name: str, program: Program, cluster: Cluster) -> Text:
        pid = program.process.pid
        begun = sum(1 for each in cluster.records if each["what"] == "begin" and each["pid"] == pid)
        state = "killed with -9" if pid == cluster.killed.pid else "alive"
        return Text(f"{name}, pid {pid}: {begun} runs, {state}", style="red" if "kill" in state else "green")


def watch(scheduler: Scheduler, cluster: Cluster, show: Show, end: datetime, *, kill: bool) -> None:
    """Show what happens until every job has had its last time and nothing runs any more."""
    give_up = end + timedelta(seconds=PATIENCE)
    while datetime.now(UTC) < give_up:
        show.tell(cluster.news())
        if kill and not cluster.killed.pid and (piece := cluster.kill_in_the_middle()):
            show.say(f"kill -9 {piece.pid}: {piece.replica} was in the middle of {VICTIM}")
        jobs = scheduler.blocking.jobs()
        show.update(jobs, cluster, end)
        is_over = datetime.now(UTC) > end and jobs
        if is_over and all(j.next_at is None and not j.outstanding and not j.waiting for j in jobs):
            return
        time.sleep(0.2)


def table_for(console: Console, title: str) -> Table:
    box = HEAVY_HEAD if console.width >= 100 else None
    return Table(title=title, title_justify="left", box=box, padding=(0, 1), collapse_padding=True)


def report(console: Console, accounts: list[Account], cluster: Cluster, *, kill: bool) -> int:
    """Print the books; 0 if they balance, and if what was to be shown was seen."""
    print_table(console, [row_of(one) for one in accounts])
    print()
    reasons = sum((one.reasons for one in accounts), Counter())
    for (status, why), number in sorted(reasons.items()):
        print(f"{number:4} {status}: {why}")
    print_who(cluster)
    wrong = [f"{one.info.name}: {what}" for one in accounts for what in one.wrong]
    told = list(take_overs(accounts, cluster.killed))
    if kill and not any(VICTIM in line for line in told):
        wrong.append(f"{VICTIM}: no replica was killed in it and had it taken over")
    print()
    for line in told:
        print(line)
    for what in wrong:
        print(f"NOT ACCOUNTED FOR  {what}")
    total = sum(one.times for one in accounts)
    if not wrong:
        only = (
            ", and none ran twice but what the killed replica had begun" if kill else ", and none ran twice"
        )
        print(f"All {total} scheduled times of {len(accounts)} jobs are accounted for{only}.")
    return 1 if wrong or not total else 0


def row_of(one: Account) -> tuple[str, ...]:
    ended, again = one.ended, len({later.at for _, later in one.again})
    once = ended["succeeded"] + ended["failed"] + ended["timed_out"] - again
    numbers = (one.times, once, again, ended["skipped"], ended["missed"], ended["lost"], one.open)
    schedule = one.info.schedule.replace("T", " ").partition("+")[0]
    return (one.info.name, schedule, *map(str, numbers), "wrong" if one.wrong else "balance")


def print_table(console: Console, rows: list[tuple[str, ...]]) -> None:
    print()
    if console.is_terminal:
        table = table_for(
            console, "Every scheduled time: the schedule, Redis and the record against each other"
        )
        for column in COLUMNS:
            table.add_column(column, justify="left" if column in {"job", "schedule", "books"} else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for line in (COLUMNS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_who(cluster: Cluster) -> None:
    pieces = [piece for of_time in pieces_of(cluster.records).values() for piece in of_time]
    for name in cluster.replicas:
        mine = [piece for piece in pieces if piece.replica == name]
        cut = sum(piece.ended is None for piece in mine)
        state = (
            f", killed at {shown(cluster.killed.when)}, {cut} cut short"
            if name == cluster.killed.replica
            else ""
        )
        print(f"{name} ran {len(mine)} times of {len({piece.job for piece in mine})} jobs{state}")


def take_overs(accounts: list[Account], killed: Killed) -> Iterator[str]:
    for one in accounts:
        for cut, again in one.again:
            when = "in the middle of" if cut.ended is None else "before it could report"
            after = again.begun - killed.when
            yield (
                f"{cut.replica} was killed with -9 {when} {cut.job} of {shown(cut.at)}; "
                f"{again.replica} took it over after {after:.1f} s"
            )
        for cut, _ in one.lost:
            yield (
                f"{cut.replica} was killed with -9 in {cut.job} of {shown(cut.at)}, "
                "which may run at most once: it is recorded as lost"
            )


def demonstrate(arguments: argparse.Namespace, record: Path, console: Console) -> int:
    app = f"demo-cluster-{secrets.token_hex(4)}"
    with a_redis(app) as url, contextlib.closing(Cluster(url, app, record)) as cluster:
        start, end = cluster.start(arguments.seconds)
        show = Show(console)
        show.say(f"{REPLICAS} replicas share {url}; jobs are due from {shown(start)} to {shown(end)} UTC")
        scheduler = Scheduler(app, backend="redis", url=url)  # never started: it only asks
        with show.live or contextlib.nullcontext():
            watch(scheduler, cluster, show, end, kill=arguments.kill)
        cluster.news()
        pieces = pieces_of(cluster.records)
        accounts = [
            account(job, scheduler.blocking.history(job.name, limit=1000), pieces, cluster.killed, start, end)
            for job in scheduler.blocking.jobs()
        ]
        return report(console, accounts, cluster, kill=arguments.kill)


def main() -> int:
    """Run the show."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=24, help="how long jobs are due (default: 24)")
    parser.add_argument("--record", type=Path, help="keep what the functions write, in this file")
    parser.add_argument("--no-kill", dest="kill", action="store_false", help="let all replicas live")
    arguments = parser.parse_args()
    if not 3 <= arguments.seconds <= 120:
        parser.error("--seconds must be from 3 to 120")
    logging.getLogger("schedcore").addHandler(logging.NullHandler())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(no_color=True if os.environ.get("NO_COLOR") else None)
    try:
        with tempfile.TemporaryDirectory(prefix="schedcore-demo-") as directory:
            return demonstrate(arguments, arguments.record or Path(directory, "record"), console)
    except KeyboardInterrupt:
        print("\nInterrupted: all that was started is stopped, and there are no books.")
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""The books of the cluster: each scheduled time, what Redis tells of it, and what the replicas wrote.

Nothing here asks the scheduler what should have happened: the times come from the schedule alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from schedcore import JobInfo, RunInfo, Status, parse_schedule

RAN = {Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT}
REPORTING = 2.0
"""Seconds before the kill in which a run may have ended without anybody having heard of it."""


@dataclass
class Piece:
    """One delivery of one scheduled time, as the function that ran it wrote it down."""

    job: str
    at: datetime
    delivery: int
    token: int
    replica: str
    pid: int
    begun: float
    ended: float | None = None
    attempts: list[int] = field(default_factory=list)


@dataclass
class Killed:
    """The replica that was killed, and when."""

    replica: str = ""
    pid: int = 0
    when: float = 0.0

    def excuses(self, piece: Piece) -> bool:
        """Whether it was cut short by the kill, or had ended and could not say so any more."""
        unheard = piece.ended is None or piece.ended > self.when - REPORTING
        return piece.pid == self.pid and piece.begun <= self.when and unheard


@dataclass
class Account:
    """One job's books."""

    info: JobInfo
    times: int
    ended: Counter[str] = field(default_factory=Counter)
    again: list[tuple[Piece, Piece]] = field(default_factory=list)
    lost: list[tuple[Piece, RunInfo]] = field(default_factory=list)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    open: int = 0
    wrong: list[str] = field(default_factory=list)


def pieces_of(records: Iterable[Mapping[str, Any]]) -> dict[tuple[str, datetime], list[Piece]]:
    """Put begins and ends together: per job and time the deliveries, in the order in which they began."""
    found: dict[tuple[str, datetime], dict[tuple[int, int], Piece]] = defaultdict(dict)
    for record in records:
        if record["what"] not in {"begin", "end"}:
            continue
        at, who = datetime.fromisoformat(record["at"]), (record["pid"], record["token"])
        of_time = found[record["job"], at]
        if record["what"] == "begin":
            piece = of_time.setdefault(
                who,
                Piece(
                    record["job"], at, record["delivery"], record["token"], record["replica"], record["pid"],
                    record["when"],
                ),
            )  # fmt: skip
            piece.attempts.append(record["attempt"])
            piece.ended = None
        elif who in of_time:
            of_time[who].ended = record["when"]
    return {time: sorted(each.values(), key=lambda piece: piece.begun) for time, each in found.items()}


def account(
    info: JobInfo,
    runs: Sequence[RunInfo],
    pieces: Mapping[tuple[str, datetime], Sequence[Piece]],
    killed: Killed,
    start: datetime,
    end: datetime,
) -> Account:
    """Look for each scheduled time from start to end; it must be in one place, and have run as that says."""
    expected = times_between(info, start, end)
    books = Account(info, len(expected))
    lines: dict[datetime, list[RunInfo | None]] = defaultdict(list)
    for run in runs:
        for at in times_of(info, run):
            lines[at].append(run)
            books.ended[str(run.status)] += 1
            if run.status not in RAN:
                books.reasons[str(run.status), run.detail.strip().rpartition("\n")[2]] += 1
    for key in (*info.outstanding, *info.waiting):
        lines[datetime.fromtimestamp(int(key) / 1_000_000, UTC)].append(None)
        books.open += 1
    ran = {at for job, at in pieces if job == info.name}
    for at in sorted({*expected, *lines, *ran}):
        mine = pieces.get((info.name, at), ())
        if at not in expected:
            books.wrong.append(f"{shown(at)} is no time of its schedule")
        elif len(lines[at]) != 1:
            number = len(lines[at])
            books.wrong.append(
                f"{shown(at)} is recorded {number} times" if number else f"{shown(at)} is nowhere"
            )
        elif lines[at][0] is None:
            books.wrong.append(f"{shown(at)} is not finished")
        else:
            judge(books, at, lines[at][0], mine, killed)
    if info.counters != dict(books.ended):
        books.wrong.append(f"the counters say {info.counters}, the history {dict(books.ended)}")
    return books


def judge(books: Account, at: datetime, run: RunInfo, pieces: Sequence[Piece], killed: Killed) -> None:
    """Compare what Redis tells of one scheduled time with what its functions wrote."""
    say = books.wrong.append
    for earlier, later in pairwise(pieces):
        if not killed.excuses(earlier):
            say(f"{shown(at)} ran again on {later.replica}, and {earlier.replica} had not been killed in it")
        elif (later.delivery, later.token) <= (earlier.delivery, earlier.token):
            say(f"{shown(at)} ran again under an older number or token")
        else:
            books.again.append((earlier, later))
    for piece in pieces:
        if len(set(piece.attempts)) < len(piece.attempts):
            say(f"{shown(at)} began twice on {piece.replica}")
    if run.status in RAN:
        if not pieces or pieces[-1].ended is None:
            say(f"{shown(at)} is recorded {run.status}, and nobody ran it to its end")
    elif run.status is Status.LOST and pieces and killed.excuses(pieces[-1]):
        books.lost.append((pieces[-1], run))
    elif pieces:
        say(f"{shown(at)} is recorded {run.status}, and {pieces[-1].replica} ran it")


def times_between(info: JobInfo, start: datetime, end: datetime) -> list[datetime]:
    """List the times of the job's schedule from start to end."""
    schedule = parse_schedule(info.schedule, tz=info.tz, key=info.name)
    before = start - timedelta(microseconds=1)
    return schedule.upcoming(before, schedule.count(before, end))


def times_of(info: JobInfo, run: RunInfo) -> list[datetime]:
    """List the scheduled times that a line of history stands for: one, or a stretch."""
    if run.last_at is None:
        return [run.scheduled_at]
    return times_between(info, run.scheduled_at, run.last_at)


def shown(at: datetime | float) -> str:
    return f"{at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC):%H:%M:%S}"

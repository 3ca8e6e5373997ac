"""Decides what became of every scheduled time, from what the jobs wrote themselves and from the history.

It knows nothing of the engine. What it is given: the records of all processes, what happened to these
processes, the jobs as they were declared, and what the store says of each job.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from schedcore import parse_schedule
from schedcore.protocols import Kind, Micros, Run

SECOND: Micros = 1_000_000

PLANNED = (Kind.SCHEDULED, Kind.LATE)
LEASE: Micros = 10 * SECOND
COMMIT: Micros = 2 * SECOND
"""Within this time after its end, the result of a run is on its way: who dies then may lose it."""

SHORTEST: Micros = 6 * SECOND
"""A replica that was away for less than this has lost no lease: 10 s, renewed every 3."""

GOODBYE: Micros = 2 * SECOND
"""For so long a process that was told to stop may still be there after it gave its functions back."""


@attrs.frozen
class Record:
    """One line of a job: `t` is the machine's monotonic clock."""

    event: str
    job: str
    key: str
    at: Micros
    kind: str
    delivery: int
    attempt: int
    token: int
    pid: int
    t: Micros


@attrs.define
class Life:
    """One process: when it was alive, and when it could not be relied on."""

    name: str
    pid: int
    born: Micros
    died: Micros | None = None
    asked: bool = False
    status: int | None = None
    told_to_stop: Micros | None = None
    impaired: list[tuple[Micros, Micros]] = attrs.Factory(list)

    def was_impaired(self, since: Micros, until: Micros) -> bool:
        """Tell whether it was frozen or cut off between, for so long that its leases may have run out."""
        return any(begin < until and end > since for begin, end in self.impaired if end - begin >= SHORTEST)


@attrs.frozen
class Segment:
    """A stretch of a job's life under one schedule: its times are those in (since, until]."""

    schedule: str
    since: Micros
    until: Micros

    def times(self, name: str) -> Iterator[Micros]:
        from schedcore._units import to_datetime, to_micros

        schedule = parse_schedule(self.schedule, key=name)
        at = schedule.next_after(to_datetime(self.since))
        while at is not None and to_micros(at) <= self.until:
            yield to_micros(at)
            at = schedule.next_after(at)


@attrs.frozen
class JobFacts:
    """What was declared of a job, and what the store says of it in the end."""

    name: str
    segments: tuple[Segment, ...]
    lines: tuple[Run, ...]
    counters: dict[str, int]
    open: tuple[str, ...]
    overlap: str = "skip"
    delivery: str = "at_least_once"
    allowed: frozenset[str] = frozenset({"succeeded", "skipped"})


@attrs.define
class Fate:
    """What became of one scheduled time."""

    job: str
    at: Micros
    lines: list[Run] = attrs.Factory(list)
    starts: list[Record] = attrs.Factory(list)
    ends: list[Record] = attrs.Factory(list)
    open: bool = False
    retaken: int = 0
    fenced: int = 0
    faults: list[str] = attrs.Factory(list)

    @property
    def status(self) -> str:
        return "+".join(str(line.status) for line in self.lines) or ("open" if self.open else "nothing")


@attrs.define
class Verdict:
    """The sum of it: each list says, in words, what should not be."""

    fates: dict[tuple[str, Micros], Fate] = attrs.Factory(dict)
    lost: list[str] = attrs.Factory(list)
    doubled: list[str] = attrs.Factory(list)
    overlapped: list[str] = attrs.Factory(list)
    unaccounted: list[str] = attrs.Factory(list)
    early: list[str] = attrs.Factory(list)
    exits: list[str] = attrs.Factory(list)
    excused: list[str] = attrs.Factory(list)
    lags: list[Micros] = attrs.Factory(list)
    takeovers: list[Micros] = attrs.Factory(list)

    KINDS = ("lost", "doubled", "overlapped", "unaccounted", "early", "exits")

    def of(self, job: str) -> list[Fate]:
        """List what became of a job's times, oldest first."""
        return [fate for (name, _), fate in sorted(self.fates.items()) if name == job]

    def statuses(self, job: str) -> Counter[str]:
        """Count a job's times by what became of them."""
        return Counter(fate.status for fate in self.of(job))

    def table(self) -> str:
        """Tell it in a few lines: one per job, and what should not be."""
        rows = [f"{'job':<20}{'times':>6}{'started':>8}{'ended':>6}{'retaken':>8}{'fenced':>7}  statuses"]
        for job in sorted({name for name, _ in self.fates}):
            fates = self.of(job)
            numbers = (
                f"{len(fates):>6}{sum(len(f.starts) for f in fates):>8}{sum(len(f.ends) for f in fates):>6}"
                f"{sum(f.retaken for f in fates):>8}{sum(f.fenced for f in fates):>7}"
            )
            rows.append(f"{job:<20}{numbers}  {dict(self.statuses(job))}")
        rows.append("  ".join(f"{kind} {len(getattr(self, kind))}" for kind in self.KINDS) + self._lag())
        rows += [f"  {kind}: {what}" for kind in self.KINDS for what in getattr(self, kind)[:12]]
        rows += [f"  excused: {what}" for what in self.excused[:12]]
        return "\n".join(rows)

    def _lag(self) -> str:
        lags, said = sorted(self.lags), ""
        if lags:
            said += f"  lag ms p50 {lags[len(lags) // 2] / 1000:.0f} max {lags[-1] / 1000:.0f}"
        if self.takeovers:
            said += f"  taken over within s {max(self.takeovers) / SECOND:.1f}"
        return said

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled, overlapped, unaccounted for or early, and nobody died."""
        return not any(getattr(self, kind) for kind in self.KINDS)

    def assert_good(self) -> None:
        """Fail with the whole table unless all is well; print it otherwise."""
        print(self.table())  # noqa: T201  the test's report
        assert self.good, f"\n{self.table()}"


def read_lines(file: Path) -> list[dict[str, Any]]:
    """Read the whole lines of a file that somebody may still write to."""
    whole, _, _ = file.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def read_records(files: Iterable[Path]) -> list[Record]:
    """Read what the jobs wrote, in order of time."""
    wanted = {field.name for field in attrs.fields(Record)}
    lines: list[dict[str, Any]] = [line for file in files for line in read_lines(file)]
    records = [
        Record(**{name: value for name, value in line.items() if name in wanted})
        for line in lines
        if "job" in line
    ]
    return sorted(records, key=lambda record: record.t)


class Checker:
    """Compares the records with the jobs' schedules and the history.

    `monotonic_at_epoch` turns a scheduled time into the machine's monotonic clock. Scheduled times up to
    `lossy_until` are told of, but excused: the store lost its data then.
    """

    def __init__(
        self,
        jobs: Sequence[JobFacts],
        records: Sequence[Record],
        lives: Sequence[Life],
        *,
        monotonic_at_epoch: Micros | None = None,
        lossy_until: Micros = 0,
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._records = [record for record in records if record.kind in PLANNED]
        self._lives = {life.pid: life for life in lives}
        self._monotonic_at_epoch = monotonic_at_epoch
        self._lossy_until = lossy_until
        self._verdict = Verdict()

    def check(self) -> Verdict:
        """Say what became of everything."""
        for job in self._jobs.values():
            for segment in job.segments:
                for at in segment.times(job.name):
                    self._verdict.fates[job.name, at] = Fate(job.name, at, open=str(at) in job.open)
        self._place_records()
        for job in self._jobs.values():
            self._place_lines(job)
        for fate in self._verdict.fates.values():
            self._judge(fate)
        for job in self._jobs.values():
            self._count(job)
            if job.overlap != "allow":
                self._find_overlaps(job)
        self._find_exits()
        return self._verdict

    def _say(self, kind: str, at: Micros, what: str) -> None:
        if at <= self._lossy_until:
            self._verdict.excused.append(f"{kind}: {what}")
        else:
            getattr(self._verdict, kind).append(what)

    def _place_records(self) -> None:
        for record in self._records:
            fate = self._verdict.fates.get((record.job, record.at))
            if fate is None:
                self._say("unaccounted", record.at, f"{record.job} {record.at} was run, and is no time of it")
            elif record.event == "start":
                fate.starts.append(record)
                self._check_instant(record)
            elif record.event == "end":
                fate.ends.append(record)

    def _check_instant(self, record: Record) -> None:
        if self._monotonic_at_epoch is None:
            return
        late = record.t - (record.at + self._monotonic_at_epoch)
        if late < -20_000:
            self._say("early", record.at, f"{record.job} {record.at} started {-late} us before its time")
        elif record.delivery == 1:
            self._verdict.lags.append(late)

    def _place_lines(self, job: JobFacts) -> None:
        for line in job.lines:
            if line.kind not in PLANNED or not line.count:
                continue
            last = line.scheduled_at if line.last_at is None else line.last_at
            covered = [f for f in self._verdict.of(job.name) if line.scheduled_at <= f.at <= last]
            for fate in covered:
                fate.lines.append(line)
            if len(covered) != line.count:
                what = f"{job.name} {line.scheduled_at}: a line of {line.count} covers {len(covered)} times"
                self._say("unaccounted", line.scheduled_at, what)

    def _judge(self, fate: Fate) -> None:
        job, name = self._jobs[fate.job], f"{fate.job} {fate.at}"
        if not fate.lines and not fate.open:
            self._say("lost", fate.at, f"{name} is neither in the history nor outstanding")
        if len(fate.lines) > 1 or (fate.lines and fate.open):
            self._say("doubled", fate.at, f"{name} has {len(fate.lines)} lines ({fate.status})")
        for line in fate.lines:
            self._judge_line(job, fate, line)
        for first, second in zip(fate.starts, fate.starts[1:], strict=False):
            self._judge_restart(job, fate, first, second)

    def _judge_line(self, job: JobFacts, fate: Fate, line: Run) -> None:
        name, status = f"{fate.job} {fate.at}", str(line.status)
        if status == "succeeded" and not any(end.delivery == line.delivery for end in fate.ends):
            self._say("lost", fate.at, f"{name} is said to have succeeded, and nobody finished it")
        if status in ("skipped", "missed", "paused") and fate.starts:
            self._say("unaccounted", fate.at, f"{name} was run, and is said to be {status}")
        if status not in job.allowed:
            kind = "lost" if status == "lost" else "unaccounted"
            self._say(kind, fate.at, f"{name} is {status}: {line.detail[-200:]}")

    def _judge_restart(self, job: JobFacts, fate: Fate, first: Record, second: Record) -> None:
        """A second start is right only if the first was given back, or its process failed in between."""
        name = f"{fate.job} {fate.at} (pid {first.pid}, then {second.pid})"
        if second.token == first.token:
            self._say("doubled", fate.at, f"{name}: started twice under token {second.token}")
        elif second.token < first.token:  # the older delivery began later: only who was away may do that
            if self._lives[second.pid].was_impaired(first.t - LEASE, second.t):
                fate.fenced += 1
            else:
                self._say("doubled", fate.at, f"{name}: token {second.token} came after {first.token}")
        elif job.delivery == "at_most_once":
            self._say("doubled", fate.at, f"{name} was started twice under at most once")
        elif self._gave_back(first, second) or self._died(first, second):
            fate.retaken += 1
            died = self._lives[first.pid].died
            if second.delivery == 2 and died is not None and self._lives[first.pid].told_to_stop is None:
                self._verdict.takeovers.append(second.t - died)
        elif self._lives[first.pid].was_impaired(first.t, second.t):
            fate.fenced += 1
        else:
            after = (second.t - first.t) / SECOND
            self._say("doubled", fate.at, f"{name} was started again after {after:.1f} s")

    def _gave_back(self, first: Record, second: Record) -> bool:
        return any(
            record.event == "cancelled" and record.token == first.token and record.t <= second.t
            for record in self._records
            if record.job == first.job
        )

    def _died(self, first: Record, second: Record) -> bool:
        life = self._lives[first.pid]
        if life.died is None:
            return False
        end = self._end_of(first)
        if end is not None and end + COMMIT < life.died and not life.was_impaired(end, life.died):
            return False  # it had all the time in the world to record its end
        leaving = GOODBYE if life.told_to_stop is not None else 0
        return life.died <= second.t + leaving

    def _end_of(self, start: Record) -> Micros | None:
        for record in self._records:
            if record.event in ("end", "cancelled") and (record.job, record.token) == (
                start.job,
                start.token,
            ):
                return record.t
        return None

    def _count(self, job: JobFacts) -> None:
        times = len(self._verdict.of(job.name))
        still_open = [key for key in job.open if key.isdecimal()]
        counted = sum(job.counters.values()) + len(still_open)
        if counted != times:
            self._verdict.unaccounted.append(
                f"{job.name} had {times} scheduled times; counters {job.counters} and {len(still_open)} "
                f"outstanding make {counted}"
            )

    def _find_overlaps(self, job: JobFacts) -> None:
        latest: tuple[Micros, Record] | None = None
        for start in self._records:
            if start.job != job.name or start.event != "start":
                continue
            life = self._lives[start.pid]
            alive_until = life.died if life.died is not None else start.t + 3600 * SECOND
            end = min(self._end_of(start) or alive_until, alive_until)
            if latest is not None and latest[0] > start.t:
                self._judge_overlap(job, latest, start)
            if latest is None or end > latest[0]:
                latest = (end, start)

    def _judge_overlap(self, job: JobFacts, before: tuple[Micros, Record], start: Record) -> None:
        end, first = before
        other, life = self._lives[first.pid], self._lives[start.pid]
        if other.was_impaired(first.t, start.t) or life.was_impaired(first.t, start.t):
            return  # a frozen or cut-off replica runs on: the tokens tell which of them counts
        if other.told_to_stop is not None and other.died is not None and other.died <= start.t + GOODBYE:
            return
        what = f"{job.name}: {first.at} (pid {first.pid}) and {start.at} (pid {start.pid})"
        self._say("overlapped", start.at, f"{what} ran at once for {(end - start.t) / SECOND:.2f} s")

    def _find_exits(self) -> None:
        for life in self._lives.values():
            if life.died is not None and not life.asked:
                self._verdict.exits.append(f"{life.name} (pid {life.pid}) exited with {life.status}")

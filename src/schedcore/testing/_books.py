"""What a checker is given: what functions wrote down, what befell processes, what became of each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from operator import itemgetter

import attrs

from schedcore.protocols import Kind, Micros, Run
from schedcore.schedules import parse_schedule

SECOND: Micros = 1_000_000

PLANNED = (Kind.SCHEDULED, Kind.LATE)

SHORTEST: Micros = 6 * SECOND
"""A replica that was away for less than this has lost no lease: 10 s, renewed every 3."""


@attrs.frozen
class Broken:
    """An invariant that does not hold, by its name, and how it was seen."""

    invariant: str
    what: str

    def __str__(self) -> str:
        """Tell it."""
        return f"{self.invariant}: {self.what}"


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

    def impaired_since(self, at: Micros) -> Micros:
        """Tell since when it was frozen or cut off again and again, up to an instant."""
        for begin, end in sorted(self.impaired, key=itemgetter(1), reverse=True):
            if begin < at <= end + SHORTEST:
                at = begin
        return at


@attrs.frozen
class Segment:
    """A stretch of a job's life under one schedule: its times are those in (since, until]."""

    schedule: str
    since: Micros
    until: Micros
    tz: str = "UTC"

    def times(self, name: str) -> Iterator[Micros]:
        """List its times, by the schedule alone."""
        schedule = parse_schedule(self.schedule, tz=self.tz, key=name)
        at = schedule.next_after_us(self.since)
        while at is not None and at <= self.until:
            yield at
            at = schedule.next_after_us(at)


@attrs.frozen
class JobFacts:
    """What was declared of a job, and what the store says of it in the end.

    `asked` are triggers by hand that were accepted, (key, when), if that is known. `counters` is `None`
    where they cannot be compared: the store has lost some.
    """

    name: str
    segments: tuple[Segment, ...]
    lines: tuple[Run, ...]
    counters: dict[str, int] | None
    open: tuple[str, ...]
    overlap: str = "skip"
    delivery: str = "at_least_once"
    allowed: frozenset[str] | None = frozenset({"succeeded", "skipped"})
    asked: tuple[tuple[str, Micros], ...] | None = None
    retries: int = 0


@attrs.define
class Fate:
    """What became of one scheduled time, or of what was asked for by hand."""

    job: str
    at: Micros
    key: str = ""
    lines: list[Run] = attrs.Factory(list)
    starts: list[Record] = attrs.Factory(list)
    ends: list[Record] = attrs.Factory(list)
    open: bool = False
    retaken: int = 0
    fenced: int = 0

    @property
    def status(self) -> str:
        """Tell it in a word."""
        return "+".join(str(line.status) for line in self.lines) or ("open" if self.open else "nothing")

    @property
    def name(self) -> str:
        """Name it."""
        return f"{self.job} {self.at}" if self.key.isdecimal() else f"{self.job} {self.key}"


@attrs.define
class Verdict:
    """The sum of it: each list says, in words, what should not be; `broken` says it by invariant."""

    fates: dict[tuple[str, str], Fate] = attrs.Factory(dict)
    broken: list[Broken] = attrs.Factory(list)
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
        """List what became of a job's scheduled times, oldest first."""
        fates = [fate for fate in self.fates.values() if fate.job == job and fate.key.isdecimal()]
        return sorted(fates, key=lambda fate: fate.at)

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

"""Decides what became of every trigger, from what the jobs wrote themselves and from the history.

It knows nothing of the engine. What it is given: the records of all processes, what happened to these
processes, the jobs as they were declared, and what the store says of each job. Simulated clusters and the
fault tests with real processes have the same one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from schedcore.protocols import Micros, Run
from schedcore.testing._books import PLANNED, SECOND, Broken, Fate, JobFacts, Life, Record, Verdict

LEASE: Micros = 10 * SECOND
COMMIT: Micros = 2 * SECOND
"""Within this time after its end, the result of a run is on its way: who dies then may lose it."""

GOODBYE: Micros = 2 * SECOND
"""For so long a process that was told to stop may still be there after it gave its functions back."""

LISTS = {
    "place": "lost",
    "done": "lost",
    "once": "doubled",
    "again": "doubled",
    "at most once": "doubled",
    "tokens": "doubled",
    "overlap": "overlapped",
    "ghost": "unaccounted",
    "denied": "unaccounted",
    "counters": "unaccounted",
    "early": "early",
    "exits": "exits",
}
"""The invariants, and where a `Verdict` lists what breaks them."""

Logged = Callable[[str, Micros, Micros], bool]


class Checker:
    """Compares the records with the jobs' schedules and the history.

    `monotonic_at_epoch` turns a scheduled time into the machine's monotonic clock. Scheduled times up to
    `lossy_until` are told of, but excused: the store lost its data then. While the store was `away` no end
    could be recorded. `logged` tells whether a job's take-over was announced in some stretch of time.
    """

    def __init__(
        self,
        jobs: Sequence[JobFacts],
        records: Sequence[Record],
        lives: Sequence[Life],
        *,
        monotonic_at_epoch: Micros | None = None,
        lossy_until: Micros = 0,
        away: Iterable[tuple[Micros, Micros]] = (),
        logged: Logged = lambda job, since, until: True,
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._records = [record for record in records if record.job in self._jobs]
        self._lives = {life.pid: life for life in lives}
        self._monotonic_at_epoch = monotonic_at_epoch
        self._lossy_until = lossy_until
        self._away = list(away)
        self._logged = logged
        self._verdict = Verdict()
        self._ends: dict[tuple[str, int], Micros] = {}
        self._returned: dict[tuple[str, int], Micros] = {}
        self._to_be_retried: set[tuple[str, int]] = set()

    def check(self) -> Verdict:
        """Say what became of everything."""
        for job in self._jobs.values():
            for key, at in (
                *((str(at), at) for segment in job.segments for at in segment.times(job.name)),
                *(job.asked or ()),
            ):
                self._verdict.fates[job.name, key] = Fate(job.name, at, key, open=key in job.open)
        self._place_records()
        for job in self._jobs.values():
            self._place_lines(job)
        for fate in self._verdict.fates.values():
            self._judge(fate)
        for job in self._jobs.values():
            if job.counters is not None:
                self._count(job, job.counters)
            if job.overlap != "allow":
                self._find_overlaps(job)
        self._find_exits()
        return self._verdict

    def _say(self, invariant: str, at: Micros, what: str) -> None:
        if at <= self._lossy_until:
            self._verdict.excused.append(f"{LISTS[invariant]}: {what}")
        else:
            getattr(self._verdict, LISTS[invariant]).append(what)
            self._verdict.broken.append(Broken(invariant, what))

    def _place_records(self) -> None:
        for record in self._records:
            delivery = record.job, record.token
            if record.event in ("end", "raised", "cancelled"):
                self._ends[delivery] = record.t
            elif record.event == "start":
                self._ends.pop(delivery, None)  # another attempt
                self._to_be_retried.discard(delivery)
            if record.event == "cancelled":
                self._returned.setdefault(delivery, record.t)
            if record.event == "raised" and record.attempt <= self._jobs[record.job].retries:
                self._to_be_retried.add(delivery)
            fate = self._verdict.fates.get((record.job, record.key))
            if fate is None:
                if record.kind in PLANNED or self._jobs[record.job].asked is not None:
                    self._say("ghost", record.at, f"{record.job} {record.key} was run, and is no time of it")
            elif record.event == "start":
                fate.starts.append(record)
                self._check_instant(record)
            elif record.event == "end":
                fate.ends.append(record)

    def _check_instant(self, record: Record) -> None:
        if self._monotonic_at_epoch is None or record.kind not in PLANNED:
            return
        late = record.t - (record.at + self._monotonic_at_epoch)
        if late < -20_000:
            self._say("early", record.at, f"{record.job} {record.at} started {-late} us before its time")
        elif record.delivery == 1:
            self._verdict.lags.append(late)

    def _place_lines(self, job: JobFacts) -> None:
        fates = self._verdict.of(job.name)
        times = [fate.at for fate in fates]
        for line in job.lines:
            if line.kind not in PLANNED:
                fate = self._verdict.fates.get((job.name, line.key))
                if fate is not None:
                    fate.lines.append(line)
                continue
            if not line.count:
                continue
            last = line.scheduled_at if line.last_at is None else line.last_at
            covered = fates[bisect_left(times, line.scheduled_at) : bisect_right(times, last)]
            for fate in covered:
                fate.lines.append(line)
            if len(covered) != line.count:
                what = f"{job.name} {line.scheduled_at}: a line of {line.count} covers {len(covered)} times"
                self._say("denied", line.scheduled_at, what)

    def _judge(self, fate: Fate) -> None:
        job, name = self._jobs[fate.job], fate.name
        planned = fate.key.isdecimal()
        if not fate.lines and not fate.open:
            self._say(
                "place" if planned else "done", fate.at, f"{name} is neither in the history nor outstanding"
            )
        if len(fate.lines) > 1 or (fate.lines and fate.open):
            self._say("once", fate.at, f"{name} has {len(fate.lines)} lines ({fate.status})")
        for line in fate.lines:
            self._judge_line(job, fate, line)
        for first, second in pairwise(fate.starts):
            self._judge_restart(job, fate, first, second)

    def _judge_line(self, job: JobFacts, fate: Fate, line: Run) -> None:
        name, status = fate.name, str(line.status)
        if status == "succeeded" and not any(end.delivery == line.delivery for end in fate.ends):
            self._say("done", fate.at, f"{name} is said to have succeeded, and nobody finished it")
        if status in ("skipped", "missed", "paused") and fate.starts:
            self._say("denied", fate.at, f"{name} was run, and is said to be {status}")
        if job.allowed is not None and status not in job.allowed:
            self._say(
                "done" if status == "lost" else "denied", fate.at, f"{name} is {status}: {line.detail[-200:]}"
            )

    def _judge_restart(self, job: JobFacts, fate: Fate, first: Record, second: Record) -> None:
        """A second start is right only if the first was given back, or its process failed in between."""
        name = f"{fate.name} (pid {first.pid}, then {second.pid})"
        if second.token == first.token:
            if second.attempt <= first.attempt or second.pid != first.pid:
                self._say("tokens", fate.at, f"{name}: started twice under token {second.token}")
        elif second.token < first.token:  # the older delivery began later: who was away may only try it again
            if second.attempt > 1 and self._hindered(self._lives[second.pid], first.t - LEASE, second.t):
                fate.fenced += 1
            else:
                self._say("tokens", fate.at, f"{name}: token {second.token} came after {first.token}")
        elif second.attempt > 1:
            return  # its delivery had begun before, which was judged then
        elif job.delivery == "at_most_once":
            self._say("at most once", fate.at, f"{name} was started twice under at most once")
        elif self._gave_back(first, second) or self._died(first, second):
            fate.retaken += 1
            died = self._lives[first.pid].died
            if second.delivery == 2 and died is not None and self._lives[first.pid].told_to_stop is None:
                self._verdict.takeovers.append(second.t - died)
        elif self._lives[first.pid].was_impaired(first.t, second.t):
            fate.fenced += 1
        else:
            after = (second.t - first.t) / SECOND
            self._say("again", fate.at, f"{name} was started again after {after:.1f} s")

    def _gave_back(self, first: Record, second: Record) -> bool:
        returned = self._returned.get((first.job, first.token))
        return returned is not None and returned <= second.t

    def _died(self, first: Record, second: Record) -> bool:
        life = self._lives[first.pid]
        if life.died is None:
            return False
        delivery = first.job, first.token
        end = None if delivery in self._to_be_retried else self._ends.get(delivery)
        heard = [until for since, until in life.impaired if since < life.died]
        had_time = end is not None and max([end, *heard]) + COMMIT < life.died
        if end is not None and had_time and not self._hindered(life, end, life.died):
            return False  # it had all the time in the world to record its end
        leaving = GOODBYE if life.told_to_stop is not None else 0
        return life.died <= second.t + leaving

    def _hindered(self, life: Life, since: Micros, until: Micros) -> bool:
        return life.was_impaired(since, until) or any(b < until and e > since for b, e in self._away)

    def _count(self, job: JobFacts, counters: dict[str, int]) -> None:
        times = len(self._verdict.of(job.name))
        still_open = [key for key in job.open if key.isdecimal()]
        counted = sum(counters.values()) + len(still_open)
        if counted != times:
            what = (
                f"{job.name} had {times} scheduled times; counters {counters} and {len(still_open)} "
                f"outstanding make {counted}"
            )
            self._say("counters", self._lossy_until + 1, what)

    def _find_overlaps(self, job: JobFacts) -> None:
        latest: tuple[Micros, Record] | None = None
        for start in self._records:
            if start.job != job.name or start.event != "start":
                continue
            life = self._lives[start.pid]
            alive_until = life.died if life.died is not None else start.t + 3600 * SECOND
            end = min(self._ends.get((start.job, start.token), alive_until), alive_until)
            if latest is not None and latest[0] > start.t and latest[1].token != start.token:
                self._judge_overlap(job, latest, start)
            if latest is None or end > latest[0]:
                latest = (end, start)

    def _judge_overlap(self, job: JobFacts, before: tuple[Micros, Record], start: Record) -> None:
        end, first = before
        other, life = self._lives[first.pid], self._lives[start.pid]
        if other.was_impaired(first.t, start.t) or life.was_impaired(first.t, start.t):
            since = min(each.impaired_since(first.t) for each in (other, life))
            if self._logged(job.name, since, start.t):
                return  # a frozen or cut-off replica runs on: the tokens tell which of them counts
        elif other.told_to_stop is not None and other.died is not None and other.died <= start.t + GOODBYE:
            return
        what = f"{job.name}: {first.at} (pid {first.pid}) and {start.at} (pid {start.pid})"
        older = min(first.at, start.at)  # what a loss of data repeats may meet what is newer
        self._say("overlap", older, f"{what} ran at once for {(end - start.t) / SECOND:.2f} s")

    def _find_exits(self) -> None:
        for life in self._lives.values():
            if life.died is not None and not life.asked:
                what = f"{life.name} (pid {life.pid}) exited with {life.status}"
                self._say("exits", self._lossy_until + 1, what)

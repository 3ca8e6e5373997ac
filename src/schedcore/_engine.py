"""One replica: ticker, executor, reporter and beat, kept alive; an ordinary coroutine on any loop."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from random import Random

from schedcore import _definitions, _leaving
from schedcore._answers import Health, job_info
from schedcore._clock import Clock, StoreClock
from schedcore._commit import Committer
from schedcore._definitions import Declarer
from schedcore._draft import Draft
from schedcore._housekeeping import Housekeeper
from schedcore._jobs import Job
from schedcore._launch import Launcher
from schedcore._link import Link
from schedcore._observers import Observers
from schedcore._pulse import Pulse
from schedcore._recovery import MERGE, put_back, say_lost, say_moved, start_taken
from schedcore._reporter import Reporter
from schedcore._runner import Runner
from schedcore._state import SECOND, JobState
from schedcore._ticker import Ticker
from schedcore._watchdog import Watchdog
from schedcore.logs import belongs_to
from schedcore.protocols import Backend, Delivery, Micros, Row, Step, Verdict
from schedcore.watching import JobGlance

log = logging.getLogger("schedcore")

LONGEST_RESTART = 30.0

MANY_JOBS = 10_000
DECIDED = (Verdict.DONE, Verdict.EARLY)


class Engine:
    """Runs one replica of an app until it is stopped.

    Clock, randomness and what runs functions are injected, so that a simulation can run many of these
    on one loop in virtual time.
    """

    def __init__(
        self,
        app: str,
        replica: str,
        backend: Backend,
        jobs: dict[str, Job],
        *,
        clock: Clock,
        random: Random,
        concurrency: int = 100,
        threads: int = 16,
        facts: Mapping[str, object] | None = None,
        observers: Observers | None = None,
    ) -> None:
        """Prepare it; nothing connects before `run`."""
        self.app = app
        self.replica = replica
        self.backend = backend
        self.jobs = jobs
        self.clock = StoreClock(clock)
        self.link = Link(app, random)
        observers = observers or Observers()
        self.committer = Committer(backend, self.link, replica, observers=observers)
        runner = self.runner = Runner(
            jobs, self.clock.now, random, concurrency=concurrency, threads=threads, observers=observers
        )
        self.ticker = Ticker(self.committer, self.clock, random, runner.burst.begin)
        self.pulse = Pulse(backend, replica, self.clock, self.committer, runner, self._facts, random)
        self.reporter = Reporter(
            self.committer, replica, self._give_back, runner.forget, self.ticker.caught_up, runner.burst.over
        )
        self.runner.report = self.reporter.report
        self.runner.hurry = self.pulse.hurry
        self.runner.sure = self.pulse.sure
        self.committer.fell_back = self.pulse.hurry
        self.committer.is_own = self.jobs.__contains__
        self.ready = asyncio.Event()
        self.losses = 0
        self._working = False
        self._failures = 0
        self.started_at: Micros = 0
        self._plain_facts = dict(facts or {})
        self.ticker.has = has = self.jobs.__contains__
        self.watchdog = Watchdog(backend.store, self.committer, self.clock, self.link, self.ticker, has)
        self.housekeeper = Housekeeper(
            backend, jobs, self.link, self.committer, self.pulse, self.reporter, replica
        )
        self._feeding: list[asyncio.Task[None]] = []
        self._undeclared: set[str] = set()
        self.housekeeper.declare = self.declare

    async def run(self, launcher: Launcher) -> None:
        """Connect and work until cancelled; whatever fails inside is said, and begun again."""
        belongs_to(self.app, self.replica)
        self.runner.launcher = launcher
        while True:
            try:
                await self._connect()
                self._working = True
                async with asyncio.TaskGroup() as group:
                    self._feeding = [
                        group.create_task(self.ticker.run()),
                        group.create_task(self._serve()),
                    ]
                    group.create_task(self.reporter.run())
                    group.create_task(self.pulse.watch())
                    await self._beat_for_ever()
            except Exception as exc:
                self._failures += 1
                self._working = False
                self.link.ever_failed.set()
                pause = min(LONGEST_RESTART, 0.5 * 2.0 ** min(self._failures, 10))
                log.exception(
                    "the engine of app %s failed and starts again in %.1f s: %s",
                    self.app,
                    pause,
                    exc,
                    extra={"event": "engine.failed", "error": type(exc).__name__},
                )
                await asyncio.sleep(pause)

    async def _connect(self) -> None:
        await self.link.call(lambda: self.backend.open(self.replica))
        await self.link.call(self.pulse.beat)
        await self.link.call(self.pulse.renew)
        self.started_at = self.started_at or self.clock.now()
        self.runner.renamed()
        await self.committer.read(())
        self._spare_collector()
        await self.declare(self.jobs)
        self._spare_collector()
        self.ready.set()

    def _spare_collector(self) -> None:
        """With many jobs, have the garbage collector no longer walk through what exists by now."""
        if len(self.jobs) >= MANY_JOBS:
            gc.freeze()

    async def _serve(self) -> None:
        serve = self.backend.executor.serve
        await self.link.call(lambda: serve(self.backend.bus, self.runner.wanted, self.runner))

    async def _beat_for_ever(self) -> None:
        while True:
            await self.pulse.wait()
            lost, gone = await self.link.call(self.pulse.beat)
            self.ticker.wake(self.pulse.stepped)
            if lost or self.pulse.moved:
                await self._merge(lost)
            was_away = not self.pulse.sure()
            await self.link.call(self.pulse.renew)
            taken = await self.link.call(self.pulse.sweep)
            start_taken(taken, self.runner, self.reporter, self.pulse.said)
            self.runner.nudge()
            if anew := gone or was_away or self.pulse.stepped:  # or the others may have taken us for gone
                await self.committer.read(self.jobs)
            if anew or self._undeclared:
                await self.declare(self.jobs if anew else sorted(self._undeclared))
            await self.housekeeper.look(self.clock.now())
            self._failures = 0

    async def stop(self, drain: float) -> list[str]:
        """Stop taking, let runs end for `drain` seconds, hand back the rest; the names of what runs on."""
        belongs_to(self.app, self.replica)
        self._working = False
        await _leaving.end_feeding(self._feeding)
        return await _leaving.end_runs(self.runner, self.reporter, drain)

    async def give_up(self) -> None:
        """Give back what is still held."""
        await _leaving.give_up(self.runner, self.backend)

    async def leave(self) -> None:
        """Give back what is still held, say goodbye and disconnect."""
        facts = self._facts() if self.pulse.epoch else None
        await _leaving.leave(self.runner, self.backend, self.replica, facts)

    async def declare(self, jobs: Iterable[str]) -> None:
        """Declare these jobs, and tick them by whatever definition holds; what is held waits for a beat."""
        names = list(jobs)
        self._undeclared.difference_update(names)
        left, now = names, None
        while left:
            answers = await self.committer.apply(left, partial(self._declaration, now))
            left = [job for job, answer in answers.items() if answer.verdict is Verdict.EARLY]
            now = min((answers[job].now for job in left), default=None)  # the store's clock is behind
            if later := {job for job, answer in answers.items() if answer.verdict not in DECIDED}:
                self._undeclared |= later
                self.pulse.hurry()
        self.ticker.schedule(names)

    def _declaration(self, now: Micros | None, row: Row, app: Row) -> Draft | Step | None:
        job = self.jobs.get(row.job)
        if job is None:
            return None
        self.housekeeper.compare(row, job)
        now, by = self.clock.now() if now is None else now, Declarer(self.replica, self.started_at)
        return _definitions.declare(row, app, job.spec, by, self.pulse.alive, now)

    async def add(self, job: Job) -> None:
        """Take on a job while running."""
        self.jobs[job.name] = job
        await self.added(job)

    async def added(self, job: Job) -> None:
        """Declare what was added to `jobs`, unless it was removed again before this had its turn."""
        if self.jobs.get(job.name) is not job:
            return
        self.runner.renamed()
        await self.declare([job.name])

    def is_declaring(self, job: str) -> bool:
        """Tell whether this replica has the job, and its declaration is not committed yet."""
        row = self.committer.rows.get(job)
        return self._working and job in self.jobs and not (row and isinstance(row.data, JobState))

    async def remove(self, job: Job) -> None:
        """Let go of a job while running; a run of it that has begun goes on."""
        self.runner.renamed()
        if job.name not in self.jobs:
            self.ticker.drop(job.name)
            self.committer.rows.pop(job.name, None)

    async def _merge(self, lost: bool) -> None:
        """The store lost data, or may have: say so, put back what is remembered, send nothing meanwhile."""
        self.ticker.hold_until = self.clock.now() + MERGE
        if not lost:
            say_moved(self.app)
        if await put_back(self.committer, self.clock.now()) or lost:
            self.losses += 1
            say_lost(self.app)
        await self.declare(self.jobs)

    async def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        await self.link.call(lambda: self.backend.bus.give_back(deliveries))

    def _facts(self) -> Mapping[str, object]:
        return {
            **self._plain_facts,
            "started_at": self.started_at,
            **self.housekeeper.facts(),
            "runs": self.runner.running,
            "in_threads": sum(not e.job.is_coroutine for e in self.runner.held.values()),
            "loop_blocked": self.runner.blocked,
            "offset_us": self.clock.skew,
        }

    def health(self) -> Health:
        """Tell how this replica is; from any thread, and also while the engine is stuck."""
        now, last = self.clock.now(), self.pulse.last_beat
        overdue = self.watchdog.overdue()
        first = min(overdue, key=overdue.__getitem__, default=None)
        return Health(
            replica=self.replica,
            running=self._working and self.ready.is_set(),
            connected=self.link.connected and bool(last),
            last_beat=(self.clock.clock.monotonic() - last) / SECOND if last else None,
            lag=0.0 if first is None else (now - overdue[first]) / SECOND,
            overdue=first,
            offset=self.clock.skew / SECOND,
            epoch=self.pulse.epoch,
            jobs=len(self.jobs),
            runs=self.runner.running,
            losses=self.losses,
            late=self.watchdog.late,
            stuck=self.watchdog.stuck,
        )

    def glance(self) -> tuple[JobGlance, ...]:
        """Tell how the jobs are, as last seen; from any thread."""
        now, app = self.clock.now(), self.committer.app
        rows = [self.committer.rows.get(job) for job in list(self.jobs)]
        overdue = self.watchdog.overdue()
        return tuple(
            _glance(row, app, now, overdue) for row in rows if row and isinstance(row.data, JobState)
        )


def _glance(row: Row, app: Row, now: Micros, overdue: Mapping[str, Micros]) -> JobGlance:
    info = job_info(row, app, now)
    return JobGlance(
        info.name,
        None if info.state == "paused" else info.next_at,
        info.last_success,
        len(info.outstanding),
        len(info.waiting),
        (now - overdue[row.job]) / SECOND if row.job in overdue else 0.0,
    )

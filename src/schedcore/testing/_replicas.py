"""The replicas of a simulated cluster: processes that are started, killed, frozen and cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING

import attrs

from schedcore._engine import Engine
from schedcore._execute import call_plain
from schedcore._jobs import Job
from schedcore._launch import InLoop
from schedcore.context import RunContext
from schedcore.protocols import Micros
from schedcore.schedules import parse_schedule
from schedcore.testing._books import Life, Record
from schedcore.testing._events import SECOND, Deployed, Noise
from schedcore.testing._machines import Machine, Machines
from schedcore.testing._server import Line

if TYPE_CHECKING:
    from schedcore.testing._cluster import Cluster


class MachineClock:
    """The clocks of a machine, whose wall clock is off by `skew_us`."""

    rounding = 0

    def __init__(self, time: Machines, skew_us: Micros) -> None:
        """Belong to a time."""
        self.skew_us = skew_us
        self._time = time

    def monotonic(self) -> Micros:
        """Tell the time."""
        return self._time.now

    def wall(self) -> Micros:
        """Tell the time as this machine sees it."""
        return self._time.now + self.skew_us


class Process:
    """One start of a replica, up to its death."""

    def __init__(self, node: Node, name: str, pid: int) -> None:
        """Start it."""
        cluster = node.cluster
        self.node = node
        self.name = name
        self.dead = False
        self.machine: Machine = cluster.time.add()
        self.life = Life(name, pid, cluster.time.now, impaired=node.impaired)
        self._crash: tuple[str, bool, Micros] | None = None
        random = Random(f"{cluster.story.seed}:{name}")
        line = Line(cluster.server, self, cluster.server.store.make_backend(), random)
        self.engine = Engine("app", name, line, self._jobs(), clock=node.clock, random=random)
        self._launcher = InLoop(self.engine.runner.ended)
        self._running = self.machine.spawn(self.engine.run(self._launcher))

    def _jobs(self) -> dict[str, Job]:
        return {name: self.recorded(job) for name, job in self.node.jobs.items()}

    def die_in(self, call: str, down: Micros, *, heard: bool) -> None:
        """Die in the next call of that name, when the store has heard of it, or before."""
        self._crash = (call, heard, down)

    def dies_in(self, call: str, *, heard: bool) -> bool:
        """Die, if this is where it should."""
        if self._crash is None or self._crash[:2] != (call, heard):
            return False
        down = self._crash[2]
        self.node.kill(down)
        return True

    def die(self) -> None:
        """Be gone, wherever it is; what runs in it records nothing any more."""
        self.dead = True
        self.life.died, self.life.asked = self.node.cluster.time.now, True
        self.machine.frozen = True  # until it is buried, which its own loop cannot do

    def bury(self) -> None:
        """Let go of what ran in it."""
        if not self.machine.gone:
            self.machine.end()

    async def leave(self, drain: float) -> None:
        """End as SIGTERM has it end."""
        self.life.told_to_stop = self.node.cluster.time.now
        await self.engine.stop(drain)
        self._running.cancel()
        await asyncio.wait([self._running])
        await self.engine.leave()

    def recorded(self, job: Job) -> Job:
        """The same job, whose function records its starts and ends."""
        books, time, pid = self.node.cluster.books, self.node.cluster.time, self.life.pid

        def note(event: str, run: RunContext) -> None:
            if not self.dead:
                scheduled_at = run._delivery.trigger.scheduled_at
                kind = str(run.kind)
                books.append(
                    Record(
                        event,
                        run.job,
                        run.key,
                        scheduled_at,
                        kind,
                        run.delivery,
                        run.attempt,
                        run.token,
                        pid,
                        time.now,
                    )
                )

        async def work(run: RunContext) -> None:
            note("start", run)
            try:
                await _call(job, run)
            except asyncio.CancelledError:
                note("cancelled", run)
                raise
            except BaseException:
                note("raised", run)
                raise
            note("end", run)

        return attrs.evolve(job, function=work, is_coroutine=True, wants_context=True)


async def _call(job: Job, run: RunContext) -> None:
    if not job.is_coroutine:
        call_plain(job, run)
        return
    function: Callable[..., Awaitable[object]] = job.function  # type: ignore[assignment]
    await (function(run) if job.wants_context else function())


class Node:
    """A replica's place: one process after the other, with the jobs that it has now."""

    def __init__(self, cluster: Cluster, name: str, skew: Micros) -> None:
        """Make it, not started."""
        self.cluster = cluster
        self.name = name
        self.clock = MachineClock(cluster.time, skew)
        self.jobs: dict[str, Job] = dict(cluster.jobs)
        self.process: Process | None = None
        self.silent = False
        self.noise: Noise | None = None
        self._starts = 0
        self._cut_off_until: Micros = 0
        self.impaired: list[tuple[Micros, Micros]] = []

    def start(self) -> None:
        """Start a new process, unless one runs."""
        if self.process is None and not self.cluster.over:
            self._starts += 1
            pid = len(self.cluster.lives) + 1
            self.process = Process(self, f"{self.name}.{self._starts}", pid)
            self.cluster.lives.append(self.process.life)

    @property
    def is_cut_off(self) -> bool:
        """Whether its calls do not reach the store."""
        return self.cluster.time.now < self._cut_off_until

    def kill(self, down: Micros | None = None) -> None:
        """Kill the process, and start another one later, if it is told when."""
        if self.process is not None:
            process, self.process = self.process, None
            process.die()
            self.cluster.server.disconnect(lambda other: other is process)
            self.cluster.later(0, process.bury)
        if down is not None:
            self.cluster.later(down, self.start)

    def kill_in_call(self, call: str, down: Micros, *, heard: bool) -> None:
        """Kill it when it next makes this call."""
        if self.process is not None:
            self.process.die_in(call, down, heard=heard)

    def stop(self, drain: float, down: Micros) -> None:
        """Stop the process, and start another one so long after its end."""
        process = self.process
        if process is None:
            return

        async def stop() -> None:
            await process.leave(drain)
            self.cluster.later(0, gone)

        def gone() -> None:
            if self.process is process:
                self.kill(down)

        if process.life.told_to_stop is None:
            process.machine.spawn(stop())

    def freeze(self, lasts: Micros) -> None:
        """Have the process stand still."""
        process = self.process
        if process is None or process.machine.frozen:
            return
        process.machine.freeze()
        self._impair(lasts)

        def thaw() -> None:
            if not process.dead:
                process.machine.thaw()

        self.cluster.later(lasts, thaw)

    def cut_off(self, lasts: Micros, *, silent: bool) -> None:
        """Have no call reach the store."""
        now = self.cluster.time.now
        self._cut_off_until, self.silent = now + lasts, silent
        self._impair(lasts + 5 * SECOND * silent)
        if not silent:
            self.cluster.server.disconnect(lambda process: process.node is self)

    def disturb(self, noise: Noise) -> None:
        """Have calls lost and delayed for a while."""
        self.noise = noise
        self._impair(noise.lasts + round(2 * noise.delay * SECOND))  # the last calls take their time

        def quiet() -> None:
            if self.noise is noise:
                self.noise = None

        self.cluster.later(noise.lasts, quiet)

    def _impair(self, lasts: Micros) -> None:
        now = self.cluster.time.now
        self.impaired.append((now, now + lasts))

    def heal(self) -> None:
        """End what is wrong with it, and have it run with the jobs of the story."""
        self.noise, self._cut_off_until = None, 0
        if self.process is not None:
            self.process.machine.thaw()
        self.start()

    def change(self, deploy: Deployed) -> None:
        """Have another definition of a job, or none, or the first one again."""
        first = self.cluster.jobs.get(deploy.job)
        if first is None:
            return
        if deploy.change == "remove":
            self.jobs.pop(deploy.job, None)
        elif deploy.change == "add":
            self.jobs[deploy.job] = first
        else:
            self.jobs[deploy.job] = rescheduled(self.jobs.get(deploy.job, first), deploy.schedule)
        if deploy.restart:
            self.kill(SECOND // 2)
        elif self.process is not None and not self.process.dead:
            self.process.machine.spawn(self._change_running(self.process, deploy.job))

    async def _change_running(self, process: Process, name: str) -> None:
        engine = process.engine
        had = engine.jobs.pop(name, None)
        if had is not None:
            await engine.remove(had)
        if name in self.jobs:
            await engine.add(process.recorded(self.jobs[name]))


def rescheduled(job: Job, schedule: str) -> Job:
    """The same job, due at other times."""
    parsed = parse_schedule(schedule, key=job.name)
    spec = attrs.evolve(
        job.spec, expression=parsed.expression, tz=parsed.tz, key=job.name if parsed.hashed else "", jitter=0
    )
    return attrs.evolve(job, spec=spec)

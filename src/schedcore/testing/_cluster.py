"""A simulated cluster: replicas with an event loop each, in one virtual time, over one store."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, cast

from schedcore._answers import Triggered
from schedcore._control import Control
from schedcore._jobs import Job
from schedcore._units import to_datetime
from schedcore.errors import SchedcoreError, StoreUnavailableError
from schedcore.protocols import Micros
from schedcore.testing._books import SECOND, Broken, Life, Record
from schedcore.testing._machines import Machine, Machines
from schedcore.testing._replicas import Node, Process
from schedcore.testing._server import Line, Server
from schedcore.testing._stores import RamStore, SimulatedStore
from schedcore.testing._story import Story

REST: Micros = 30 * SECOND
"""So long everything is well before it comes to rest: leases lapse, outages are over, declarations hold."""

LONGEST_REST: Micros = 4 * 3600 * SECOND
NOTHING_MORE: Micros = 300 * SECOND
"""When nothing was committed for so long, nothing will be."""

QUIET: Micros = 45 * SECOND
"""So long after the last trouble everything is in order."""

MakeStore = Callable[[Callable[[], Micros]], SimulatedStore]


class _Log(logging.Handler):
    """Keeps what the replicas say of leases, and lets nobody else hear of anything."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._cluster = cluster

    def handle(self, record: logging.LogRecord) -> bool:
        event = getattr(record, "event", "")
        if event in ("run.taken_over", "lease.lost", "run.refused"):
            self._cluster.told[getattr(record, "job", "")].append(self._cluster.time.now)
        elif event == "engine.failed":
            error = record.args[2] if isinstance(record.args, tuple) else ""
            self._cluster.fail("engine", f"an engine failed and began again: {error!r}")
        return True


class Desk:
    """Where somebody asks the store without being a replica."""

    noise = None
    dead = is_cut_off = silent = False

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.node = self

    def dies_in(self, call: str, *, heard: bool) -> bool:
        """Never."""
        return False


class Cluster:
    """Plays one story; `violations` in the end says what of the promise did not hold."""

    def __init__(self, story: Story, jobs: Mapping[str, Job], store: MakeStore = RamStore) -> None:
        """Prepare the replicas of a story, which all have these jobs; nothing runs yet."""
        self.story = story
        self.jobs = dict(jobs)
        self.time = Machines(story.seed, story.start, self._raised)
        self.server = Server(self.time, store)
        self.books: list[Record] = []
        self.lives: list[Life] = []
        self.told: dict[str, list[Micros]] = defaultdict(list)
        self.answers: list[Triggered] = []
        self.broken: list[Broken] = []
        self.over = False
        self.rested = False
        self.remains: list[str] = []
        self._desk = self.time.add()
        self._agenda: list[tuple[Micros, int, Callable[[], object]]] = []
        self._number = 0
        pairs = zip(story.replicas, story.skews, strict=True)
        self.nodes = [Node(self, name, skew) for name, skew in pairs]
        desk = Line(self.server, cast(Process, Desk(self._desk)), self.server.store.make_backend(), Random(0))
        self._open_desk = desk.open
        self._control = Control(desk, "desk")

    def node(self, name: str) -> Node:
        """Find a replica."""
        return next(node for node in self.nodes if node.name == name)

    def fail(self, invariant: str, what: str) -> None:
        """Note that something is not as it must be."""
        self.broken.append(Broken(invariant, what))

    def _raised(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something failed where nobody awaits it; of the dead the collector tells."""
        if context.get("exception") is not None:
            self.fail("engine", f"{context.get('message')}: {context['exception']!r}")

    # What happens.

    def later(self, by: Micros, act: Callable[[], object]) -> None:
        """Have something happen so long from now, between any two steps of the machines."""
        self._number += 1
        heapq.heappush(self._agenda, (self.time.now + by, self._number, act))

    def run(self, lasts: Micros, over: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, and what is on the agenda happen; until `over()` at most."""
        until, server = self.time.now + lasts, self.server

        def stop() -> bool:
            return bool(server.spinning) or over()

        while not stop():
            following = self._agenda[0][0] if self._agenda else until + 1
            if following > until:
                self.time.run_until(until, stop)
                break
            self.time.run_until(following, partial(self._is_earlier, following, stop))
            while self._agenda and self._agenda[0][0] <= self.time.now:
                heapq.heappop(self._agenda)[2]()

    def _is_earlier(self, than: Micros, stop: Callable[[], bool]) -> bool:
        """Something has come on the agenda that happens before."""
        return stop() or bool(self._agenda and self._agenda[0][0] < than)

    def play(self) -> None:
        """Play the story to its end, and let everything come to rest."""
        log = logging.getLogger("schedcore")
        handler, kept = _Log(self), (log.handlers, log.propagate, log.level, log.disabled)
        log.handlers, log.propagate, log.disabled = [handler], False, False
        log.setLevel(logging.WARNING)
        try:
            self._play()
        finally:
            self.close()
            log.handlers, log.propagate, log.disabled = kept[0], kept[1], kept[3]
            log.setLevel(kept[2])

    def _play(self) -> None:
        self._ask(self._open_desk("desk"))
        for node in self.nodes:
            self.later((node is not self.nodes[0]) * SECOND // 5, node.start)
        for event in self.story.events:
            older = getattr(event, "older", 0)
            if older:
                self.later(max(0, event.at - older), self.server.save)
            self.later(event.at, lambda event=event: event.act(self))  # type: ignore[misc]
        self.run(self.story.length)
        if not self.server.spinning:
            self._check_definitions()
            self._come_to_rest()

    def _come_to_rest(self) -> None:
        """End what is wrong, have every replica run with all jobs, and then send nothing more."""
        self.server.away_until = 0
        for node in self.nodes:
            node.heal()
            node.jobs = dict(self.jobs)
        self.run(SECOND)
        for node in self.nodes:
            node.kill()
            node.start()
        self.run(REST)
        self._ask(self._resume_all())
        self.run(5 * SECOND)
        self._ask(self._control.pause(None))
        self.run(5 * SECOND)
        end, steps, witness = self.time.now + LONGEST_REST, 0, self.server.witness
        latest = self.time.now
        while self.time.now < min(end, latest + NOTHING_MORE) and not (self.rested or self.server.spinning):
            if witness.steps > steps:
                steps, latest = witness.steps, self.time.now
            self.run(10 * SECOND)
            self._ask(self._look())
            self.run(SECOND // 100)
        self.over = True

    async def _resume_all(self) -> None:
        for job in (None, *sorted(self.jobs)):
            with suppress(SchedcoreError):
                await self._control.resume(job)

    async def _look(self) -> None:
        infos = await self._control.jobs()
        self.rested = not any(info.outstanding or info.waiting for info in infos)
        if self.rested:
            store = self._control._store
            held = [f"{h.delivery.trigger.job} {h.delivery.trigger.key} is held" for h in await store.held()]
            rows = await store.rows(sorted(self.jobs))
            kept = [f"the bus holds {sorted(row.held)} of {row.job}" for row in rows if row.held]
            self.remains = [*held, *kept]
            self.rested = not self.remains
            if self.rested:
                await self._compare()

    async def _compare(self) -> None:
        """See that the store tells what was committed."""
        store, witness = self._control._store, self.server.witness
        for job in sorted(self.jobs):
            (row,) = await store.rows([job])
            if row.data != witness.state(job):
                self.fail("kept", f"the row of {job} is not what was committed last")
            if self.server.losses:
                continue  # nobody puts back lines
            lines, _ = await store.runs(job, limit=100)
            committed = [run for run in witness.ended if run.job == job]
            if list(lines)[:100] != committed[: -len(lines) - 1 : -1]:
                self.fail("kept", f"the history of {job} is not what was committed")

    def _check_definitions(self) -> None:
        """After a while in which nothing happened, each job's definition is that of who started last."""
        last = max((at for _, at in self.spans_of_trouble()), default=0)
        if self.time.now - last < QUIET:
            return
        engines = [node.process.engine for node in self.nodes if node.process is not None]
        for job in sorted(self.jobs):
            having = [engine for engine in engines if job in engine.jobs]
            state = self.server.witness.state(job)
            if not having or state is None:
                continue
            newest = max(having, key=lambda engine: (engine.started_at, engine.replica))
            if state.spec != newest.jobs[job].spec:
                self.fail(
                    "definition",
                    f"{job} is due {state.spec.expression}, and {newest.replica} declares another",
                )

    def spans_of_trouble(self) -> list[tuple[Micros, Micros]]:
        """List when something was wrong, by the story's events."""
        start = self.story.start
        harmless = ("Asked", "ClockJumped")
        return [
            (start + event.at, start + event.at + getattr(event, "lasts", 0))
            for event in self.story.events
            if type(event).__name__ not in harmless
        ]

    def _ask(self, question: Coroutine[Any, Any, None]) -> None:
        self._desk.spawn(question)

    def pause(self, job: str | None, lasts: Micros, *, ends: bool) -> None:
        """Pause as somebody at a desk does; nothing comes of it while the store is away."""

        async def pause() -> None:
            if not ends:
                self.later(lasts, lambda: self._ask(resume()))
            until = to_datetime(self.server.clock() + lasts) if ends else None
            with suppress(SchedcoreError):  # nobody has declared it, or the store is away
                await self._control.pause(job, until=until)

        async def resume() -> None:
            try:
                await self._control.resume(job)
            except StoreUnavailableError:
                self.later(SECOND, lambda: self._ask(resume()))
            except SchedcoreError:
                return

        self._ask(pause())

    def ask(self, job: str, key: str, payload: object) -> None:
        """Trigger as somebody at a desk does."""

        async def trigger() -> None:
            with suppress(SchedcoreError):
                self.answers.append(await self._control.trigger(job, key=key, payload=payload))

        self._ask(trigger())

    def close(self) -> None:
        """End every process."""
        self.over = True
        for node in self.nodes:
            node.kill()
        self.time.close()
        self.server.close()

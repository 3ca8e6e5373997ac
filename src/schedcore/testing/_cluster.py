"""A simulated cluster: replicas with an event loop each, in one virtual time, over one store."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from schedcore._engine import Engine
from schedcore._jobs import Job
from schedcore.protocols import Keep, Micros, Run, Status
from schedcore.testing._books import SECOND, Broken, Life, Record
from schedcore.testing._desk import Desk
from schedcore.testing._events import Event
from schedcore.testing._growth import HOUR, Size, measure
from schedcore.testing._machines import Machines
from schedcore.testing._replicas import Node, Process
from schedcore.testing._server import Server
from schedcore.testing._stores import RamStore, SimulatedStore
from schedcore.testing._story import Story

REST: Micros = 30 * SECOND
"""So long everything is well before it comes to rest: leases lapse, outages are over, declarations hold."""

LONGEST_REST: Micros = 8 * 3600 * SECOND
NOTHING_MORE: Micros = 300 * SECOND
"""When nothing was committed for so long, nothing will be."""

LULL: Micros = SECOND // 2
"""So long before each full hour, when many jobs are due, it is looked at how much is remembered."""

QUIET: Micros = 45 * SECOND
"""So long after the last trouble everything is in order."""

MakeStore = Callable[[Callable[[], Micros]], SimulatedStore]


def is_harmless(event: Event) -> bool:
    """Tell whether replicas and store are as well after it as before."""
    return type(event).__name__ in ("Asked", "Cancelled", "ClockJumped")


def kept(runs: Sequence[Run], keep: Keep) -> list[Run]:
    """Tell which lines a history has by its own rule, newest first."""
    lines, failures = [], 0
    for number, run in enumerate(reversed(runs)):
        failed = run.status is not Status.SUCCEEDED
        failures += failed
        if number < keep.lines or (failed and failures <= keep.failures):
            lines.append(run)
    return lines


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
        self.broken: list[Broken] = []
        self.over = False
        self.rested = False
        self.remains: list[str] = []
        self.sizes: list[Size] = []
        self.desk = Desk(self)
        self._agenda: list[tuple[Micros, int, Callable[[], object]]] = []
        self._number = 0
        self._concerned: list[Process] = []
        pairs = zip(story.replicas, story.skews, strict=True)
        self.nodes = [Node(self, name, skew) for name, skew in pairs]

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
            following = min(self._agenda[0][0], until + 1) if self._agenda else until + 1
            interrupted = partial(self._is_earlier, following, stop)
            self.time.run_until(min(following, until), interrupted)
            if following > until and not interrupted():
                break
            while self._agenda and self._agenda[0][0] <= self.time.now:
                heapq.heappop(self._agenda)[2]()

    def _is_earlier(self, than: Micros, stop: Callable[[], bool]) -> bool:
        """Something has come on the agenda that happens before."""
        return stop() or bool(self._agenda and self._agenda[0][0] < than)

    def lose(self) -> None:
        """Have the store lose everything; whoever is connected has to notice."""
        processes = [node.process for node in self.nodes if node.process is not None]
        self._concerned += [process for process in processes if process.engine.pulse.epoch]
        self.server.lose()

    def play(self) -> None:
        """Play the story to its end, and let everything come to rest."""
        log = logging.getLogger("schedcore")
        handler, kept = _Log(self), (log.handlers, log.propagate, log.level, log.disabled)
        log.handlers, log.propagate, log.disabled = [handler], False, False
        log.setLevel(logging.WARNING)
        try:
            with closing(self):
                self._play()
        finally:
            log.handlers, log.propagate, log.disabled = kept[0], kept[1], kept[3]
            log.setLevel(kept[2])

    def _play(self) -> None:
        self.desk.open()
        for node in self.nodes:
            self.later((node is not self.nodes[0]) * SECOND // 5, node.start)
        for at in range(HOUR, self.story.length + 1, HOUR):
            self.later(at - LULL, self._measure)
        for event in self.story.events:
            older = getattr(event, "older", 0)
            if older:
                self.later(max(0, event.at - older), self.server.save)
            self.later(event.at, lambda event=event: event.act(self))  # type: ignore[misc]
        self.run(self.story.length)
        if not self.server.spinning:
            self._check_order()
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
        self.desk.resume_all()
        self.run(5 * SECOND)
        self.desk.pause_all()
        self.run(5 * SECOND)
        end, steps, witness = self.time.now + LONGEST_REST, 0, self.server.witness
        latest = self.time.now
        while self.time.now < min(end, latest + NOTHING_MORE) and not (self.rested or self.server.spinning):
            if witness.steps > steps:
                steps, latest = witness.steps, self.time.now
            self.run(10 * SECOND)
            self.desk.do(self._look())
            self.run(SECOND // 100)
        self.over = True

    async def _look(self) -> None:
        infos = await self.desk.control.jobs()
        self.rested = not any(info.outstanding or info.waiting for info in infos)
        if self.rested:
            store = self.desk.store
            held = [f"{h.delivery.trigger.job} {h.delivery.trigger.key} is held" for h in await store.held()]
            rows = await store.rows(sorted(self.jobs))
            kept = [f"the bus holds {sorted(row.held)} of {row.job}" for row in rows if row.held]
            self.remains = [*held, *kept]
            self.rested = not self.remains
            if self.rested:
                await self._compare()

    async def _compare(self) -> None:
        """See that the store tells what was committed."""
        store, witness = self.desk.store, self.server.witness
        for job in sorted(self.jobs):
            (row,) = await store.rows([job])
            if row.data != witness.state(job):
                self.fail("kept", f"the row of {job} is not what was committed last")
            if self.server.losses:
                continue  # nobody puts back lines
            lines, _ = await store.runs(job, limit=100)
            ended = [run for run in witness.ended if run.job == job]
            committed = kept(ended, self.jobs[job].spec.options.keep)
            if list(lines) != committed[:100]:
                self.fail("kept", f"the history of {job} is not what was committed")

    def _check_order(self) -> None:
        """After a while in which nothing happened, everything is as it has to be."""
        last = max((at for _, at in self.spans_of_trouble()), default=0)
        if self.time.now - last >= QUIET:
            engines = [node.process.engine for node in self.nodes if node.process is not None]
            self._check_holders(engines)
            self._check_definitions(engines)
            for process in self._concerned:
                if not process.dead and not process.engine.losses:
                    self.fail("noticed", f"{process.name} has not noticed that the store lost its data")

    def _measure(self) -> None:
        """Weigh everything, if nothing was wrong for a while."""
        now = self.time.now
        if not any(begin <= now and end + QUIET > now for begin, end in self.spans_of_trouble()):
            self.sizes.append(measure(self))

    def _check_holders(self, engines: Sequence[Engine]) -> None:
        """Who holds something by the store's word knows of it."""
        known = {token for engine in engines for token in engine.runner.held}
        for name, token in self.server.witness.holding():
            if token not in known:
                self.fail("held", f"{' '.join(name)} is held under token {token}, and nobody runs it")

    def _check_definitions(self, engines: Sequence[Engine]) -> None:
        """Each job's definition is that of who started last."""
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
        return [
            (start + event.at, start + event.at + getattr(event, "lasts", 0))
            for event in self.story.events
            if not is_harmless(event)
        ]

    def close(self) -> None:
        """End every process."""
        self.over = True
        for node in self.nodes:
            node.kill()
        self.time.close()
        self.server.close()

"""A simulated cluster: engines on one loop in virtual time over one RAM backend, and what befalls them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import attrs

from sched_ram import Memory, RamBackend
from schedcore._control import Control
from schedcore._engine import Engine
from schedcore._jobs import JobOptions, make_job
from schedcore._launch import InLoop
from schedcore._state import AppState, JobState, Spec
from schedcore.context import RunContext
from schedcore.protocols import APP_ROW, Answer, Kind, Run, Step, Trigger, Verdict

from .virtual import VirtualClock, now_us


@attrs.define
class Faults:
    """How likely each misfortune is, per call, and how long delays are, in seconds."""

    lose_request: float = 0.0
    lose_reply: float = 0.0
    delay: float = 0.0


@attrs.define
class Started:
    """One start of a job's function, as the function itself records it, outside the store."""

    job: str
    key: str
    replica: str
    token: int
    delivery: int
    at: int
    scheduled_at: int
    ended: int | None = None
    doubted: bool = False


@attrs.define
class Segment:
    """A definition's stretch of a job's life, which began at `since`."""

    spec: Spec
    since: int

    def times(self, until: int) -> int:
        """Count its scheduled times up to `until`, by the schedule alone."""
        spec = self.spec
        if not spec.enabled:
            return 0
        lower = self.since if spec.start_at is None else max(self.since, spec.start_at - 1)
        upper = until if spec.until is None else min(until, spec.until)
        return spec.schedule.count_us(lower, upper) if upper > lower else 0


class Recorder(Memory):
    """A memory that remembers each trigger it ever accepted, and each definition a job has had."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.accepted: list[tuple[int, Trigger]] = []
        self.segments: dict[str, list[Segment]] = {}
        self.ended: list[Run] = []
        self.broken: list[str] = []
        super().__init__(clock)

    def clear(self) -> None:
        self.segments.clear()
        super().clear()

    def _append(self, trigger: Trigger) -> None:
        self.accepted.append((self.clock(), trigger))
        super()._append(trigger)

    def _apply(self, step: Step, now: int) -> None:
        self._watch_pause(step, now)
        super()._apply(step, now)
        self.ended.extend(run for run in step.runs if run.key)
        if step.data is None:
            self.segments.pop(step.job, None)
        elif isinstance(step.data, JobState):
            segments = self.segments.setdefault(step.job, [])
            if not segments or (segments[-1].spec, segments[-1].since) != (step.data.spec, step.data.since):
                segments.append(Segment(step.data.spec, step.data.since))

    def _watch_pause(self, step: Step, now: int) -> None:
        """Nothing planned is sent while all jobs are paused, but what was waiting already."""
        app, row = self.row(APP_ROW).data, self.row(step.job).data
        if not isinstance(app, AppState) or not any(p.end is None or now < p.end for p in app.pauses):
            return
        waiting = {t.key for t in row.waiting} if isinstance(row, JobState) else set()
        for trigger in step.send:
            if trigger.kind in (Kind.SCHEDULED, Kind.LATE) and trigger.key not in waiting:
                self.broken.append(f"paused: {trigger.job} {trigger.key} was sent during a pause of all")

    def life(self, job: str) -> int:
        """Count the scheduled times of a job's life up to its mark."""
        state = self.rows[job].data
        assert isinstance(state, JobState)
        segments = self.segments[job]
        ends = [*(segment.since for segment in segments[1:]), state.mark]
        return sum(segment.times(end) for segment, end in zip(segments, ends, strict=True))


class Node:
    """A replica that can be frozen, cut off, killed and started again."""

    def __init__(self, world: World, name: str, skew_us: int = 0) -> None:
        self.world = world
        self.name = name
        self.starts = 0
        self.clock = VirtualClock(skew_us)
        self.jobs: dict[str, Any] = {}
        self.engine: Engine | None = None
        self.backend: Faulty | None = None
        self.open = asyncio.Event()
        self.open.set()
        self._task: asyncio.Task[None] | None = None
        self._launcher: InLoop | None = None

    @property
    def alive(self) -> bool:
        return self._task is not None

    def start(self) -> None:
        """Start a new process of this replica."""
        self.starts += 1
        replica = f"{self.name}.{self.starts}"
        backend = self.backend = Faulty(RamBackend("app", memory=self.world.memory), self, replica)
        random = Random(f"{self.world.seed}:{replica}")
        engine = Engine("app", replica, backend, dict(self.jobs), clock=self.clock, random=random)
        self.engine = engine
        self._launcher = InLoop(engine.runner.ended)
        self._task = asyncio.create_task(engine.run(self._launcher))

    def declare(self, name: str, schedule: str, seconds: float, **options: Any) -> None:
        """Have a job that takes `seconds`, now or from the next start on."""
        job = make_job(name, schedule, self.world.function(self, seconds), JobOptions(**options))
        self.jobs[name] = job
        if self.engine is not None and self.alive:
            self.engine.jobs.pop(name, None)
            self.world.spawn(self.engine.add(job))

    async def kill(self) -> None:
        """End the process at whatever await it is: nothing that it holds is told anybody."""
        if self._task is None:
            return
        task, self._task = self._task, None
        assert self._launcher is not None
        assert self.backend is not None
        self.engine = None
        self.backend.dead = True
        self._launcher.kill()
        task.cancel()
        await asyncio.wait([task])
        self.open.set()

    async def stop(self, drain: float = 20) -> None:
        """End the process as SIGTERM does."""
        if self._task is None or self.engine is None:
            return
        task, engine = self._task, self.engine
        await engine.stop(drain)
        self._task, self.engine = None, None
        task.cancel()
        await asyncio.wait([task])
        await engine.leave()

    def freeze(self) -> None:
        """Stop it from hearing, saying and doing anything."""
        self.open.clear()

    def thaw(self) -> None:
        """Let it go on."""
        self.open.set()


class World:
    """The cluster, its store, and the records that job functions leave outside of it."""

    def __init__(self, seed: int, memory: Callable[[Callable[[], int]], Recorder] = Recorder) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.faults = Faults()
        self.store_up = True
        self.store_offset_us = 0
        self.memory = memory(lambda: now_us() + self.store_offset_us)
        self.nodes: list[Node] = []
        self.started: list[Started] = []
        self.by_key: dict[tuple[str, str], list[Started]] = defaultdict(list)
        self._tasks: set[asyncio.Task[Any]] = set()

    def node(self, skew_us: int = 0) -> Node:
        """Make one more replica, not started."""
        node = Node(self, f"n{len(self.nodes)}", skew_us)
        self.nodes.append(node)
        return node

    def state(self, job: str) -> JobState:
        """Return what the job's row holds."""
        data = self.memory.rows[job].data
        assert isinstance(data, JobState)
        return data

    def spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def control(self) -> Control:
        """Ask as another process would that is no replica."""
        return Control(RamBackend("app", memory=self.memory), "shell")

    def function(self, node: Node, seconds: float) -> Callable[[RunContext], Awaitable[None]]:
        """Make a job's function: it records its start and end, and takes as long as it is told."""

        async def work(run: RunContext) -> None:
            delivery = run._delivery
            record = Started(
                run.job,
                run.key,
                node.name,
                run.token,
                run.delivery,
                self.memory.clock(),
                delivery.trigger.scheduled_at,
            )
            self.started.append(record)
            self.by_key[run.job, run.key].append(record)
            try:
                await asyncio.sleep(seconds)
                await node.open.wait()
                if run.payload == "fail":
                    raise ValueError("as the payload asked")
            finally:
                record.ended = self.memory.clock()
                record.doubted = bool(run.in_doubt) or bool(run.cancelled)

        return work

    async def quiet(self, seconds: float = 120) -> None:
        """End every misfortune, and let all come to rest."""
        self.faults = Faults()
        self.store_up = True
        for node in self.nodes:
            node.thaw()
        await asyncio.sleep(seconds)

    async def end(self) -> None:
        """Kill what is left."""
        for node in self.nodes:
            await node.kill()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


class Faulty:
    """A backend whose every call may be late, lost before the store or lost on the way back."""

    notice = ""
    name = "faulty"

    def __init__(self, inner: RamBackend, node: Node, replica: str) -> None:
        self._inner = inner
        self._node = node
        self.replica = replica
        self.dead = False
        self.locker = inner.locker
        self.executor = inner.executor
        self.bus: Any = _Calls(inner.bus, self)
        self.store: Any = _Calls(inner.store, self)

    async def open(self, replica: str) -> None:
        await self._inner.open(replica)

    async def close(self) -> None:
        await self._inner.close()

    async def call(self, method: Callable[..., Awaitable[Any]], args: Any, kwargs: Any) -> Any:
        world, node = self._node.world, self._node
        faults, random = world.faults, world.random
        epoch = world.memory.epoch
        await self._travel(faults, random)
        if not world.store_up or random.random() < faults.lose_request:
            raise ConnectionError("the request was lost")
        if self.dead:
            await asyncio.Event().wait()
        answer = await method(*args, **kwargs)
        if method.__name__ == "commit" and epoch != world.memory.epoch:
            self._watch_old_steps(args[0], answer)
        lost = random.random() < faults.lose_reply
        await self._travel(faults, random)
        if not node.open.is_set():
            await node.open.wait()
        if lost:
            raise ConnectionError("the reply was lost")
        return answer

    def _watch_old_steps(self, steps: Sequence[Step], answers: Sequence[Answer]) -> None:
        """A step from before a loss of data changes nothing, unless it expected nothing."""
        for step, answer in zip(steps, answers, strict=True):
            if answer.verdict is Verdict.DONE and step.expects[0][1]:
                self._node.world.memory.broken.append(
                    f"old: a step of {step.job} from before the loss was committed"
                )

    async def _travel(self, faults: Faults, random: Random) -> None:
        if faults.delay:
            await asyncio.sleep(random.random() * faults.delay)
        await self._node.open.wait()


class _Calls:
    def __init__(self, target: Any, backend: Faulty) -> None:
        self._target = target
        self._backend = backend

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._target, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._backend.call(method, args, kwargs)

        return call

"""Bus, store, executor and locker over a `Memory`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from sched_ram._memory import LEASE, Memory, wall_clock
from sched_ram._neighbours import no_longer, others_run
from schedcore.errors import ConfigurationError
from schedcore.protocols import (
    Answer,
    Beat,
    Delivery,
    Holding,
    Locker,
    Micros,
    Places,
    Renewal,
    Replica,
    Row,
    Run,
    Status,
    Step,
    TriggerBus,
    Verdict,
)

log = logging.getLogger("schedcore")

LOCK: Micros = 2_000_000
NOTICE = (
    "the RAM backend keeps everything in this process: nothing survives a restart, and every process "
    "that runs this app fires for itself; one run across processes needs a backend with a shared store"
)


class NoLocker:
    """Grants everything: within one process the rows' versions are enough."""

    async def acquire(self, name: str, owner: str, ttl: Micros) -> bool:
        """Grant it."""
        return True

    async def release(self, name: str, owner: str) -> bool:
        """Accept it."""
        return True


class RamBus:
    """Hands triggers over directly."""

    def __init__(self, memory: Memory) -> None:
        """Carry triggers within `memory`."""
        self.replica = ""
        self._memory = memory

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        """Commit each step by itself; a foreign locker is asked first for those that send."""
        if isinstance(locker, NoLocker):
            with self._memory.lock:
                return [self._memory.commit(step, self.replica) for step in steps]
        return [await self._commit_locked(step, locker) for step in steps]

    async def _commit_locked(self, step: Step, locker: Locker) -> Answer:
        if not step.send or self._memory.committed(step.id):
            return self._commit(step)
        name = f"{step.job}/{step.send[0].key}"
        if not await locker.acquire(name, self.replica, LOCK):
            with self._memory.lock:
                rows = tuple(self._memory.row(job) for job, _ in step.expects)
            return Answer(Verdict.HELD, rows, self._memory.clock())
        try:
            return self._commit(step)
        finally:
            await locker.release(name, self.replica)

    def _commit(self, step: Step) -> Answer:
        with self._memory.lock:
            return self._memory.commit(step, self.replica)

    async def receive(self, jobs: frozenset[str], limit: int, wait: Micros) -> Sequence[Delivery]:
        """Take what waits; sleep until something arrives, `wait` at most."""
        memory, arrived = self._memory, asyncio.Event()
        with memory.lock:
            taken = memory.take(jobs, limit, self.replica)
            if taken or wait <= 0:
                return taken
            memory.changed[arrived] = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(wait / 1_000_000):
                await arrived.wait()
        except TimeoutError:
            return []
        finally:
            with memory.lock:
                memory.changed.pop(arrived, None)
        with memory.lock:
            return memory.take(jobs, limit, self.replica)

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        """Renew what is still this replica's."""
        with self._memory.lock:
            mine, cancel = set(), set()
            deadline = self._memory.clock() + LEASE
            for delivery in held:
                item = self._memory.owned(delivery, self.replica)
                if item is None:
                    continue
                name = (delivery.trigger.job, delivery.trigger.key)
                item.deadline = deadline
                item.note = notes.get(name, item.note)
                mine.add(delivery)
                if item.cancel:
                    cancel.add(name)
            return Renewal(frozenset(mine), frozenset(cancel))

    async def give_back(self, held: Collection[Delivery]) -> None:
        """Let these wait again."""
        with self._memory.lock:
            for delivery in held:
                item = self._memory.owned(delivery, self.replica)
                if item is not None:
                    self._memory.offer(item)

    async def lapsed(self, jobs: frozenset[str], limit: int) -> Sequence[Delivery]:
        """List what was not renewed in time, unless there was an outage."""
        with self._memory.lock:
            memory = self._memory
            memory.look_again(jobs)
            if not memory.may_take_over():
                return []
            now = memory.clock()
            late = [item.delivery() for item in memory.delivered(jobs) if item.deadline <= now]
            return late[:limit]

    async def take_over(self, seen: Collection[Delivery]) -> Sequence[Delivery]:
        """Take what is still as it was seen, and still late."""
        with self._memory.lock:
            memory = self._memory
            if not memory.may_take_over():
                return []
            taken, now = [], memory.clock()
            for delivery in seen:
                item = memory.items.get(delivery.trigger.job, {}).get(delivery.trigger.key)
                if (
                    item is not None
                    and item.token == delivery.token
                    and item.replica
                    and item.deadline <= now
                ):
                    item.number += 1
                    taken.append(memory.give(item, self.replica))
            return taken

    async def cancel(self, job: str, key: str) -> bool:
        """Leave word for the holder's next renewal."""
        with self._memory.lock:
            item = self._memory.items.get(job, {}).get(key)
            if item is None or not item.replica:
                return False
            item.cancel = True
            return True


class RamStore:
    """Reads a `Memory`."""

    def __init__(self, memory: Memory, app: str) -> None:
        """Read `memory`, which is that of `app`."""
        self._memory = memory
        self._app = app
        self._warned = False

    async def now(self) -> Micros:
        """Tell the memory's clock."""
        return self._memory.clock()

    async def rows(
        self, jobs: Collection[str] | None = None, *, after: str = "", limit: int = 1000
    ) -> Sequence[Row]:
        """Read rows as they are, with what is held of them."""
        with self._memory.lock:
            if jobs is None:
                jobs = sorted(job for job in self._memory.rows if job > after)[:limit]
            return [self._memory.row(job, held=True) for job in jobs]

    async def runs(
        self,
        job: str,
        *,
        statuses: Collection[Status] | None = None,
        after: Micros | None = None,
        until: Micros | None = None,
        limit: int = 50,
        cursor: str = "",
    ) -> tuple[Sequence[Run], str]:
        """Read a page of history."""
        with self._memory.lock:
            return self._memory.history.read(job, statuses, after, until, limit, cursor)

    async def held(self, jobs: Collection[str] | None = None) -> Sequence[Holding]:
        """List what is delivered."""
        with self._memory.lock:
            return [
                Holding(item.delivery(), item.replica, item.since, item.note)
                for item in self._memory.delivered(jobs)
            ]

    async def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Beat:
        """Note who lives; warn if another process has a replica of this app."""
        self._look_around(leaving=not ttl)
        memory = self._memory
        with memory.lock:
            gap = memory.beat(replica, facts, ttl)
            return Beat(memory.clock(), memory.epoch, memory.newest, gap, frozenset(memory.replicas))

    def _look_around(self, *, leaving: bool) -> None:
        if self._memory.clock is not wall_clock:  # in another time than this machine's there is nobody else
            return
        if leaving:
            no_longer(self._app)
            self._warned = False
        elif not self._warned and others_run(self._app):
            self._warned = True
            log.warning(
                "another process runs the app %s on RAM too: each of them fires every scheduled time; "
                "run one process, or give them different app names",
                self._app,
                extra={"event": "ram.several_processes"},
            )

    async def replicas(self) -> Sequence[Replica]:
        """List who lives."""
        with self._memory.lock:
            now = self._memory.clock()
            return [replica for replica, until in self._memory.replicas.values() if until > now]


class DirectExecutor:
    """Takes as many deliveries as there are places, as soon as they are there."""

    WAIT: Micros = 60_000_000

    async def serve(self, bus: TriggerBus, jobs: Callable[[], frozenset[str]], places: Places) -> None:
        """Take and start, until cancelled."""
        while True:
            limit = await places.free()
            places.start(await bus.receive(jobs(), limit, self.WAIT))
            await asyncio.sleep(0)


class RamBackend:
    """One app in one process. Give two of them the same `memory` to have two replicas of an app."""

    name = "ram"
    notice = NOTICE
    shared = False

    def __init__(self, app: str, *, memory: Memory | None = None, **unknown: object) -> None:
        """Make the app's store.

        Raises:
            ConfigurationError: an option is not known.
        """
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ConfigurationError(f"the ram backend has no option {names}; its only option is memory")
        self.app = app
        self.memory = Memory() if memory is None else memory
        self.locker = NoLocker()
        self.bus = RamBus(self.memory)
        self.executor = DirectExecutor()
        self.store = RamStore(self.memory, app)

    def __repr__(self) -> str:
        """Tell the app and how much it holds."""
        return f"<RamBackend {self.app}: {len(self.memory.rows) - 1} jobs>"

    async def open(self, replica: str) -> None:
        """Become `replica`."""
        self.bus.replica = replica

    async def close(self) -> None:
        """Keep the memory: a scheduler that is started again goes on with it."""

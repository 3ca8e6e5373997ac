"""Buses, stores, executors and lockers that are wrong: each is one of `sched_ram`'s, with one mistake."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import attrs
from tests.contracts.ram import OneLocker

from sched_ram import DirectExecutor
from sched_ram._backend import RamBus, RamStore
from sched_ram._memory import LEASE
from schedcore.protocols import (
    Answer,
    Delivery,
    Locker,
    Micros,
    Places,
    Renewal,
    Row,
    Step,
    TriggerBus,
    Verdict,
)


class RenewalStealsBack(RamBus):
    """Who renews, has it: a thawed replica takes its run back."""

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        with self._memory.lock:
            for delivery in held:
                item = self._memory.items.get(delivery.trigger.job, {}).get(delivery.trigger.key)
                if item is not None and item.replica:
                    item.replica, item.token = self.replica, delivery.token
        return await super().renew(held, notes)


class RenewalDoesNothing(RamBus):
    """It answers, and moves no deadline."""

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        with self._memory.lock:
            mine = [d for d in held if self._memory.owned(d, self.replica)]
            return Renewal(frozenset(mine))


class LapsedIsLost(RamBus):
    """An owner that comes back a second too late is refused, though nobody has taken over."""

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        with self._memory.lock:
            now, items = self._memory.clock(), self._memory.items
            held = [d for d in held if items[d.trigger.job][d.trigger.key].deadline > now]
        return await super().renew(held, notes)


class NotesAreDropped(RamBus):
    """What a run says of itself is not kept."""

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        return await super().renew(held, {})


class CancelForgotten(RamBus):
    """The request is told once, and gone if that reply was lost."""

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        renewal = await super().renew(held, notes)
        for job, key in renewal.cancel:
            self._memory.items[job][key].cancel = False
        return renewal


class CancelOfAnything(RamBus):
    """Cancel says that it was heard, whether anybody holds the run or not."""

    async def cancel(self, job: str, key: str) -> bool:
        await super().cancel(job, key)
        return True


class ExpiryIgnored(RamBus):
    """A delivery is its first owner's for ever."""

    async def lapsed(self, jobs: frozenset[str], limit: int) -> Sequence[Delivery]:
        return []


class LapsedIgnoresNames(RamBus):
    """Lapsed deliveries are listed for anybody."""

    async def lapsed(self, jobs: frozenset[str], limit: int) -> Sequence[Delivery]:
        return await super().lapsed(frozenset(self._memory.items), limit)


class LapsedIgnoresLimit(RamBus):
    """All that lapsed is listed."""

    async def lapsed(self, jobs: frozenset[str], limit: int) -> Sequence[Delivery]:
        return await super().lapsed(jobs, 10**6)


class TakeOverWithoutTokenCheck(RamBus):
    """What is late is taken, whatever was seen."""

    async def take_over(self, seen: Collection[Delivery]) -> Sequence[Delivery]:
        items = self._memory.items
        now = [items.get(d.trigger.job, {}).get(d.trigger.key) for d in seen]
        return await super().take_over([item.delivery() for item in now if item is not None])


class TakeOverWithoutLease(RamBus):
    """The new owner has the deadline of the old one."""

    async def take_over(self, seen: Collection[Delivery]) -> Sequence[Delivery]:
        taken = await super().take_over(seen)
        for d in taken:
            self._memory.items[d.trigger.job][d.trigger.key].deadline -= LEASE
        return taken


class NumberNotCounted(RamBus):
    """A take-over is delivered as the first attempt."""

    async def take_over(self, seen: Collection[Delivery]) -> Sequence[Delivery]:
        taken = await super().take_over(seen)
        for d in taken:
            self._memory.items[d.trigger.job][d.trigger.key].number = 1
        return [attrs.evolve(d, number=1) for d in taken]


class AppIgnored(RamBus):
    """All apps are one: the world gives a neighbour the same store."""


class WaitingLapses(RamBus):
    """What waits counts as lapsed, and can be received all the same once it was taken over."""

    async def lapsed(self, jobs: frozenset[str], limit: int) -> Sequence[Delivery]:
        late = await super().lapsed(jobs, limit)
        waiting = [item.delivery() for item in self._memory.waiting if item.trigger.job in jobs]
        return [*late, *waiting][:limit]

    async def take_over(self, seen: Collection[Delivery]) -> Sequence[Delivery]:
        return [d if d.token else attrs.evolve(d, token=self._memory.next_version(1)) for d in seen]


class TornTakeOver(RamBus):
    """Looking at the token and writing the new one are two calls."""

    async def take_over(self, seen: Collection[Delivery]) -> Sequence[Delivery]:
        memory = self._memory
        if not memory.may_take_over():
            return []
        found = [memory.items.get(d.trigger.job, {}).get(d.trigger.key) for d in seen]
        late = [
            item
            for item, d in zip(found, seen, strict=True)
            if item is not None and item.token == d.token and item.deadline <= memory.clock()
        ]
        await asyncio.sleep(0)
        for item in late:
            item.number += 1
        return [memory.give(item, self.replica) for item in late]


class TornReceive(RamBus):
    """Reading what waits and claiming it are two calls."""

    async def receive(self, jobs: frozenset[str], limit: int, wait: Micros) -> Sequence[Delivery]:
        memory = self._memory
        found = [item for item in memory.waiting if item.trigger.job in jobs][:limit]
        await asyncio.sleep(0)
        if not found:
            return await super().receive(jobs, limit, wait)
        for item in found:
            if item in memory.waiting:
                memory.waiting.remove(item)
        return [memory.give(item, self.replica) for item in found]


class TornCommit(RamBus):
    """Comparing versions and writing rows are two calls."""

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        answers = []
        for step in steps:
            now = self._memory.clock()
            verdict, refused = self._memory._check(step, self.replica, now)
            await asyncio.sleep(0)
            if verdict is Verdict.DONE and not self._memory.committed(step.id):
                self._memory._apply(step, now)
            rows = tuple(self._memory.row(job) for job, _ in step.expects)
            answers.append(Answer(verdict, rows, now, refused))
        return answers


class LockIgnored(RamBus):
    """The locker that it is given is not asked."""

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        return [self._commit(step) for step in steps]


class AllOrNothingOfACall(RamBus):
    """One refused step takes the others of its call with it."""

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        for step in steps:
            verdict, refused = self._memory._check(step, self.replica, self._memory.clock())
            if verdict is not Verdict.DONE:
                return [Answer(verdict, (), self._memory.clock(), refused) for _ in steps]
        return await super().commit(steps, locker)


class SilentRefusal(RamBus):
    """An answer has no rows, so that the rule has to read them again."""

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        answers = await super().commit(steps, locker)
        return [a if a.verdict is Verdict.DONE else attrs.evolve(a, rows=()) for a in answers]


class GiveBackByAnybody(RamBus):
    """Whoever says so gives back; also what somebody else has received meanwhile."""

    async def give_back(self, held: Collection[Delivery]) -> None:
        with self._memory.lock:
            for d in held:
                item = self._memory.items.get(d.trigger.job, {}).get(d.trigger.key)
                if item is not None:
                    self._memory.offer(item)


class GiveBackLapses(RamBus):
    """What is given back is left to lapse."""

    async def give_back(self, held: Collection[Delivery]) -> None:
        return


class WakesNobody(RamBus):
    """Who waits looks again when its time is up."""

    async def receive(self, jobs: frozenset[str], limit: int, wait: Micros) -> Sequence[Delivery]:
        taken = await super().receive(jobs, limit, 0)
        if taken or not wait:
            return taken
        await asyncio.sleep(wait / 1_000_000)
        return await super().receive(jobs, limit, 0)


class NeverWaits(RamBus):
    """Receive answers at once, always."""

    async def receive(self, jobs: frozenset[str], limit: int, wait: Micros) -> Sequence[Delivery]:
        return await super().receive(jobs, limit, 0)


class ClockOfItsOwn(RamStore):
    """Each replica tells the time of its own machine."""

    machines = 0

    async def now(self) -> Micros:
        if not hasattr(self, "ahead"):
            ClockOfItsOwn.machines += 1
            self.ahead = -60_000_000 * ClockOfItsOwn.machines
        return await super().now() + self.ahead


class RowsThatExist(RamStore):
    """Absent rows are left out."""

    async def rows(
        self, jobs: Collection[str] | None = None, *, after: str = "", limit: int = 1000
    ) -> Sequence[Row]:
        rows = await super().rows(jobs, after=after, limit=limit)
        return [row for row in rows if row.version]


class EmptyMeansAll(RamStore):
    """No names are taken for all names."""

    async def rows(
        self, jobs: Collection[str] | None = None, *, after: str = "", limit: int = 1000
    ) -> Sequence[Row]:
        return await super().rows(jobs or None, after=after, limit=limit)


class InNoOrder(RamStore):
    """All rows come in the order of a dictionary of words."""

    async def rows(
        self, jobs: Collection[str] | None = None, *, after: str = "", limit: int = 1000
    ) -> Sequence[Row]:
        rows = await super().rows(jobs, after=after, limit=limit)
        return rows if jobs is not None else sorted(rows, key=lambda row: row.job.lower())


class HeldOfWaitingOnly(RamStore):
    """A trigger that is delivered counts as gone from the bus."""

    async def rows(
        self, jobs: Collection[str] | None = None, *, after: str = "", limit: int = 1000
    ) -> Sequence[Row]:
        def held(job: str) -> frozenset[str]:
            return frozenset(key for key, item in self._memory.items.get(job, {}).items() if not item.replica)

        rows = await super().rows(jobs, after=after, limit=limit)
        return [attrs.evolve(row, held=held(row.job)) for row in rows]


class TakesMoreThanFits(DirectExecutor):
    """A hundred at a time, whatever is free."""

    async def serve(self, bus: TriggerBus, jobs: Callable[[], frozenset[str]], places: Places) -> None:
        while True:
            await places.free()
            places.start(await bus.receive(jobs(), 100, self.WAIT))
            await asyncio.sleep(0)


class KnowsItsJobsFromTheStart(DirectExecutor):
    """The jobs are asked for once."""

    async def serve(self, bus: TriggerBus, jobs: Callable[[], frozenset[str]], places: Places) -> None:
        known = jobs()
        await super().serve(bus, lambda: known, places)


class SwallowsErrors(DirectExecutor):
    """What the bus raises is nobody's business."""

    async def serve(self, bus: TriggerBus, jobs: Callable[[], frozenset[str]], places: Places) -> None:
        while True:
            try:
                await super().serve(bus, jobs, places)
            except ConnectionError:
                await asyncio.sleep(0.01)


class AcknowledgesAtOnce(DirectExecutor):
    """What was started is no longer held."""

    async def serve(self, bus: Any, jobs: Callable[[], frozenset[str]], places: Places) -> None:
        while True:
            taken = await bus.receive(jobs(), await places.free(), self.WAIT)
            places.start(taken)
            for delivery in taken:
                bus._memory.remove(delivery.trigger)


class NoExpiry(OneLocker):
    """A name is its owner's until that releases it."""

    async def acquire(self, name: str, owner: str, ttl: Micros) -> bool:
        return await super().acquire(name, owner, 1 << 61)


class ReleaseByAnybody(OneLocker):
    """Whoever releases, frees."""

    async def release(self, name: str, owner: str) -> bool:
        return self._names.pop(name, None) is not None


class NotForItsOwner(OneLocker):
    """Asking again is refused, to the owner too."""

    async def acquire(self, name: str, owner: str, ttl: Micros) -> bool:
        free = name not in self._names or self._names[name][1] <= self._world.now
        return free and await super().acquire(name, owner, ttl)


class TornLock(OneLocker):
    """Looking and setting are two calls."""

    async def acquire(self, name: str, owner: str, ttl: Micros) -> bool:
        other, until = self._names.get(name, (owner, 0))
        await asyncio.sleep(0)
        if other != owner and until > self._world.now:
            return False
        self._names[name] = owner, self._world.now + ttl
        return True

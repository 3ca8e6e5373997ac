"""Buses, stores, executors and lockers that are wrong: each is one of `sched_ram`'s, with one mistake."""

import asyncio
import time
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
    Holding,
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


class RenewsAllOfItsOwner(RamBus):
    """One renewal is for everything that the replica has."""

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        renewal = await super().renew(held, notes)
        for item in self._memory.delivered():
            if item.replica == self.replica:
                item.deadline = self._memory.clock() + LEASE
        return renewal


class RenewalsAddUp(RamBus):
    """Ten seconds more each time."""

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        before = [(item, item.deadline) for item in self._memory.delivered()]
        renewal = await super().renew(held, notes)
        for item, deadline in before:
            item.deadline = deadline + LEASE
        return renewal


class CancelByKeyAlone(RamBus):
    """Whoever has a run of that key is told, whatever its job."""

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        renewal = await super().renew(held, notes)
        keys = {key for _, key in renewal.cancel}
        named = [(d.trigger.job, d.trigger.key) for d in renewal.mine]
        return attrs.evolve(renewal, cancel=frozenset(name for name in named if name[1] in keys))


class LapsedCountsBeforeItChooses(RamBus):
    """The limit is the query's, and the jobs are chosen from what that brings."""

    async def lapsed(self, jobs: frozenset[str], limit: int) -> Sequence[Delivery]:
        found = await super().lapsed(frozenset(self._memory.items), 10**6)
        first = sorted(found, key=lambda d: d.token)[:limit]
        return [d for d in first if d.trigger.job in jobs]


class LapsedOfNoneIsAll(RamBus):
    """No names are taken for all names, in a sweep."""

    async def lapsed(self, jobs: frozenset[str], limit: int) -> Sequence[Delivery]:
        return await super().lapsed(jobs or frozenset(self._memory.items), limit)


class ReceiveOfNoneIsAll(RamBus):
    """No names are taken for all names, in a receive."""

    async def receive(self, jobs: frozenset[str], limit: int, wait: Micros) -> Sequence[Delivery]:
        return await super().receive(jobs or frozenset(self._memory.items), limit, wait)


class TakeOverOfAllOrNone(RamBus):
    """One that is no longer lapsed spoils the others."""

    async def take_over(self, seen: Collection[Delivery]) -> Sequence[Delivery]:
        memory, now = self._memory, self._memory.clock()
        found = [memory.items.get(d.trigger.job, {}).get(d.trigger.key) for d in seen]
        if any(item is None or item.deadline > now for item in found):
            return []
        return await super().take_over(seen)


class GivesBackAsNumber1(RamBus):
    """What is given back begins anew."""

    async def give_back(self, held: Collection[Delivery]) -> None:
        for d in held:
            if item := self._memory.owned(d, self.replica):
                item.number = 1
        await super().give_back(held)


class CallOfStepsReadsOnce(RamBus):
    """The rows of all steps of a call are read before the first of them is committed."""

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        now = self._memory.clock()
        checked = [self._memory._check(step, self.replica, now) for step in steps]
        answers = []
        for step, (verdict, refused) in zip(steps, checked, strict=True):
            if verdict is Verdict.DONE and not self._memory.committed(step.id):
                self._memory._apply(step, now)
            rows = tuple(self._memory.row(job) for job, _ in step.expects)
            answers.append(Answer(verdict, rows, now, refused))
        return answers


class RemembersWhatTheLockerRefused(RamBus):
    """A step whose name somebody else had counts as committed."""

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        answers = await super().commit(steps, locker)
        for step, answer in zip(steps, answers, strict=True):
            if answer.verdict is Verdict.HELD:
                self._memory._committed.add(step.id)
        return answers


class AnswersByItsOwnClock(RamBus):
    """An answer's now is the replica's machine's, which agreed with the store's in the beginning."""

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        if not hasattr(self, "began"):
            self.began = self._memory.clock(), time.monotonic_ns()
        answers = await super().commit(steps, locker)
        store, machine = self.began
        now = max(store + 5, store + (time.monotonic_ns() - machine) // 1000_000_000)
        return [attrs.evolve(answer, now=now) for answer in answers]


class HeldOfNoneIsAll(RamStore):
    """No names are taken for all names, of what is held."""

    async def held(self, jobs: Collection[str] | None = None) -> Sequence[Holding]:
        return await super().held(jobs or None)


class LapsedIsNotHeld(RamStore):
    """Whose lease has run out has nothing."""

    async def held(self, jobs: Collection[str] | None = None) -> Sequence[Holding]:
        now, items = self._memory.clock(), self._memory.items
        found = await super().held(jobs)
        triggers = [holding.delivery.trigger for holding in found]
        late = [items[t.job][t.key].deadline <= now for t in triggers]
        return [holding for holding, is_late in zip(found, late, strict=True) if not is_late]


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

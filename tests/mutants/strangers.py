"""Mistakes that a stranger has made in a backend of his own, and the suite let pass at first."""

import asyncio
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import attrs

from sched_ram import Memory
from sched_ram._backend import RamBus, RamStore
from sched_ram._history import History
from sched_ram._memory import Item
from schedcore.codec import Unknown
from schedcore.protocols import Answer, Delivery, Keep, Locker, Micros, Row, Step, Trigger, Verdict


class GoodbyeGivesBack(Memory):
    """Who leaves has nothing any more."""

    def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Micros:
        for item in [] if ttl else self.delivered():
            if item.replica == replica:
                self.offer(item)
        return super().beat(replica, facts, ttl)


class BeatsAsItself(Memory):
    """A beat is of whoever was opened first, whatever name it is for."""

    def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Micros:
        return super().beat("r0", facts, ttl)


class NewerTokensToo(Memory):
    """Any token is good that is not older."""

    def owned(self, delivery: Delivery, replica: str) -> Item | None:
        item = self.items.get(delivery.trigger.job, {}).get(delivery.trigger.key)
        return item if item and item.replica == replica and item.token <= delivery.token else None


class HistoryGoesWithItsRow(Memory):
    """Deleting a job deletes all of it."""

    def _apply(self, step: Step, now: Micros) -> None:
        super()._apply(step, now)
        if step.data is None:
            self.history._lines.pop(step.job, None)
            self.history._failures.pop(step.job, None)


class AHundredSteps(Memory):
    """The last hundred ids are remembered."""

    def _apply(self, step: Step, now: Micros) -> None:
        super()._apply(step, now)
        last = self.__dict__.setdefault("last", deque(maxlen=100))
        last.append(step.id)
        self._committed = set(last)


class NumbersFollowTheClock(Memory):
    """A number is the store's now."""

    def next_version(self, now: Micros) -> int:
        self.newest = self.clock()
        return self.newest


class StepsOfAllApps(Memory):
    """A step is known by its id, in whichever app."""

    ids: ClassVar[set[str]] = set()

    def _apply(self, step: Step, now: Micros) -> None:
        super()._apply(step, now)
        self.ids.add(step.id)

    def committed(self, step_id: str) -> bool:
        return step_id in self.ids or super().committed(step_id)


class FinishedStays(Memory):
    """What is finished is put on a list."""

    def remove(self, trigger: Trigger) -> None:
        self.__dict__.setdefault("finished", []).append(trigger)
        super().remove(trigger)


class EverybodyStays(Memory):
    """Who was alive once is remembered for ever."""

    def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Micros:
        self.__dict__.setdefault("known", set()).add(replica)
        return super().beat(replica, facts, ttl)


class UntidyHistory(History):
    """Age is looked at when something is written, and only then."""

    def tidy(self, now: Micros) -> None:
        return


class ByTimeHistory(History):
    """Newest is what is about the latest time."""

    def append(self, runs: Sequence[Any], keep: Keep, now: Micros) -> None:
        for run in runs:
            self._number = run.scheduled_at - 1
            super().append([run], keep, now)
        self._number = 1 << 60


class NoneIsAllHistory(History):
    """No statuses are taken for all."""

    def read(self, job: str, statuses: Any, *which: Any) -> Any:
        return super().read(job, statuses or None, *which)


class ZeroIsNoneHistory(History):
    """0 is taken for no instant."""

    def read(self, job: str, statuses: Any, after: Any, until: Any, *which: Any) -> Any:
        return super().read(job, statuses, after or None, until or None, *which)


class LooksAtTheFirstFew(RamBus):
    """Of what waits the first two hundred are looked at for what was asked for."""

    async def receive(self, jobs: frozenset[str], limit: int, wait: Micros) -> Sequence[Delivery]:
        waiting = [item for items in self._memory.items.values() for item in items.values()]
        first = {item.trigger.job for item in waiting[: 100 * limit] if not item.replica}
        if not jobs & first:
            await asyncio.sleep(wait / 1_000_000)
            return []
        return await super().receive(jobs & first, limit, wait)


class SleepsOnTheLoop(RamBus):
    """It looks again every tenth of a second, and lets nobody else in meanwhile."""

    async def receive(self, jobs: frozenset[str], limit: int, wait: Micros) -> Sequence[Delivery]:
        until = time.monotonic() + wait / 1_000_000
        while not (taken := await super().receive(jobs, limit, 0)) and time.monotonic() < until:
            time.sleep(0.1)  # noqa: ASYNC251  the mistake
            await asyncio.sleep(0)
        return taken


class TornGiveBack(RamBus):
    """Whose it is, is looked at in another call."""

    async def give_back(self, held: Collection[Delivery]) -> None:
        found = [self._memory.owned(delivery, self.replica) for delivery in held]
        await asyncio.sleep(0)
        for item in found:
            if item is not None:
                self._memory.offer(item)


class SendsAfterwards(RamBus):
    """A step is committed, and then its triggers are sent."""

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        answers = await super().commit([attrs.evolve(step, send=()) for step in steps], locker)
        await asyncio.sleep(0)
        for step, answer in zip(steps, answers, strict=True):
            for trigger in step.send if answer.verdict is Verdict.DONE else ():
                self._memory._append(trigger)
        return answers


class WritesLinesAfterwards(RamBus):
    """History is of no importance: it is written when there is time."""

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        answers = await super().commit([attrs.evolve(step, runs=()) for step in steps], locker)
        await asyncio.sleep(0)
        for step, answer in zip(steps, answers, strict=True):
            if answer.verdict is Verdict.DONE:
                self._memory.history.append(step.runs, step.keep, answer.now)
        return answers


class HeldBeforeTheRow(RamStore):
    """What is held is read first, and then the row."""

    between = 0.005

    async def rows(
        self, jobs: Collection[str] | None = None, *, after: str = "", limit: int = 1000
    ) -> Sequence[Row]:
        before = {row.job: row.held for row in await super().rows(jobs, after=after, limit=limit)}
        await asyncio.sleep(self.between)
        rows = await super().rows(jobs, after=after, limit=limit)
        return [attrs.evolve(row, held=before.get(row.job, frozenset())) for row in rows]


class UnknownIsNothing(RamStore):
    """What cannot be read is not there."""

    async def rows(
        self, jobs: Collection[str] | None = None, *, after: str = "", limit: int = 1000
    ) -> Sequence[Row]:
        rows = await super().rows(jobs, after=after, limit=limit)
        return [attrs.evolve(row, data=None) if isinstance(row.data, Unknown) else row for row in rows]

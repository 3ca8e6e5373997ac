"""Mistakes of a database that finds alike what is not the same, and others of those who ask one."""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Collection, Mapping, Sequence

import attrs

from sched_ram import Memory
from sched_ram._backend import RamBus, RamStore
from sched_ram._history import History
from schedcore import codec
from schedcore.protocols import (
    Answer,
    Delivery,
    Keep,
    Locker,
    Micros,
    Renewal,
    Replica,
    Row,
    Run,
    Status,
    Step,
    Trigger,
    Verdict,
)


def newer(memory: Memory, held: Collection[Delivery]) -> list[Delivery]:
    """Find the deliveries that these triggers have by now."""
    items = [memory.items.get(d.trigger.job, {}).get(d.trigger.key) for d in held]
    return [item.delivery() for item in items if item is not None]


class Alike(Memory):
    """A key is another one's if they are alike."""

    def alike(self, key: str) -> str:
        return key.casefold()

    def _append(self, trigger: Trigger) -> None:
        if self.alike(trigger.key) not in map(self.alike, self.items.get(trigger.job, {})):
            super()._append(trigger)


class BlanksAtTheEnd(Alike):
    """Texts are filled up with blanks."""

    def alike(self, key: str) -> str:
        return key.rstrip(" ")


class Accents(Alike):
    """An accent is as good as another."""

    def alike(self, key: str) -> str:
        return unicodedata.normalize("NFKD", key)


class NulEndsIt(Memory):
    """A text ends with its first NUL."""

    def _append(self, trigger: Trigger) -> None:
        super()._append(attrs.evolve(trigger, key=trigger.key.split("\0")[0]))


class AlikeHistory(History):
    """A job's lines are those of all whose names are alike."""

    def read(
        self,
        job: str,
        statuses: Collection[Status] | None,
        after: Micros | None,
        until: Micros | None,
        limit: int,
        cursor: str,
    ) -> tuple[list[Run], str]:
        alike = next((name for name in self._lines if name.casefold() == job.casefold()), job)
        return super().read(alike, statuses, after, until, limit, cursor)


class ByName(Memory):
    """What waits is handed out in the order of names."""

    def take(self, jobs: frozenset[str], limit: int, replica: str) -> list[Delivery]:
        self.waiting = deque(sorted(self.waiting, key=lambda item: item.trigger.job))
        return super().take(jobs, limit, replica)


class RenewsAsNamesake(RamBus):
    """Renewing asks who it is, and no more."""

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        renewal = await super().renew(newer(self._memory, held), notes)
        names = {(d.trigger.job, d.trigger.key) for d in renewal.mine}
        mine = [d for d in held if (d.trigger.job, d.trigger.key) in names]
        return attrs.evolve(renewal, mine=frozenset(mine))


class SinceItsRenewal(RamBus):
    """A delivery is held since it was heard of last."""

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        for item in self._memory.delivered():
            item.since = self._memory.clock() + 1
        return await super().renew(held, notes)


class GivesBackAsNamesake(RamBus):
    """Giving back asks who it is, and no more."""

    async def give_back(self, held: Collection[Delivery]) -> None:
        await super().give_back(newer(self._memory, held))


class LocksForNothing(RamBus):
    """The locker is asked before every step, whether it sends anything or not."""

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        if all([await locker.acquire(step.job, self.replica, 2_000_000) for step in steps]):
            return await super().commit(steps, locker)
        now = self._memory.clock()
        return [
            Answer(Verdict.HELD, tuple(self._memory.row(job) for job, _ in s.expects), now) for s in steps
        ]


class WaitsASecond(RamBus):
    """Whoever asks waits for a second at least."""

    async def receive(self, jobs: frozenset[str], limit: int, wait: Micros) -> Sequence[Delivery]:
        return await super().receive(jobs, limit, max(wait, 1_000_000))


class FinishesOne(Memory):
    """A step is about one run."""

    def _apply(self, step: Step, now: Micros) -> None:
        super()._apply(attrs.evolve(step, done=step.done[:1]), now)


class KeepsItsName(RamBus):
    """Who was opened once is that replica for ever."""

    first = ""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "replica" and self.first:
            value = self.first
        super().__setattr__(name, value)
        if name == "replica":
            super().__setattr__("first", value)


class SkippedIsFineHistory(History):
    """What was skipped did not fail."""

    def append(self, runs: Sequence[Run], keep: Keep, now: Micros) -> None:
        super().append(runs, keep, now)
        for job, lines in self._failures.items():
            self._failures[job] = deque(line for line in lines if line[2].status is not Status.SKIPPED)


class AgedHistory(History):
    """What is about a time long ago is old."""

    def append(self, runs: Sequence[Run], keep: Keep, now: Micros) -> None:
        super().append([run for run in runs if run.scheduled_at > now - keep.age], keep, now)


class ListsTheLastOnes(RamStore):
    """Who is dead is found out with the next beat."""

    async def replicas(self) -> Sequence[Replica]:
        return [replica for replica, _ in self._memory.replicas.values()]


class SpoiltIsAnError(RamStore):
    """What is kept has to be readable."""

    async def rows(
        self, jobs: Collection[str] | None = None, *, after: str = "", limit: int = 1000
    ) -> Sequence[Row]:
        rows = await super().rows(jobs, after=after, limit=limit)
        for row in rows:
            if row.data is not None:
                codec.load(codec.dump(row.data))
        return rows

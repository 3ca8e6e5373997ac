"""Stores that are wrong: each is `sched_ram.Memory` with one mistake, which somebody's backend has had."""

import itertools
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from sched_ram import Memory
from sched_ram._history import History
from sched_ram._memory import Item
from schedcore.protocols import Answer, Delivery, Keep, Micros, Run, Status, Step, Trigger, Verdict

MINUTE: Micros = 60_000_000


class LockThenPublish(Memory):
    """A lock on (job, time), two seconds long, decides who sends; versions are not compared."""

    def clear(self) -> None:
        super().clear()
        self.locks: dict[str, tuple[str, Micros]] = {}

    def _check(self, step: Step, replica: str, now: Micros) -> tuple[Verdict, tuple[Delivery, ...]]:
        for trigger in step.send:
            owner, until = self.locks.get(f"{step.job}/{trigger.key}", (replica, 0))
            if owner != replica and now < until:
                return Verdict.HELD, ()
            self.locks[f"{step.job}/{trigger.key}"] = replica, now + 2_000_000
        rows = tuple((job, self.row(job).version) for job, _ in step.expects)
        return super()._check(attrs.evolve(step, expects=rows), replica, now)


class LockOnTheJobsName(Memory):
    """Whoever sent last has the job for a minute."""

    def clear(self) -> None:
        super().clear()
        self.locks: dict[str, tuple[str, Micros]] = {}

    def _check(self, step: Step, replica: str, now: Micros) -> tuple[Verdict, tuple[Delivery, ...]]:
        owner, until = self.locks.get(step.job, (replica, 0))
        if step.send and owner != replica and now < until:
            return Verdict.HELD, ()
        if step.send:
            self.locks[step.job] = replica, now + MINUTE
        return super()._check(step, replica, now)


class NoOwnerCheck(Memory):
    """Whoever holds a delivery object may finish it."""

    def owned(self, delivery: Delivery, replica: str) -> Item | None:
        return self.items.get(delivery.trigger.job, {}).get(delivery.trigger.key)


class NoTokenCheck(Memory):
    """The owner is known by its name alone: what it held before a take-over is as good."""

    def owned(self, delivery: Delivery, replica: str) -> Item | None:
        item = self.items.get(delivery.trigger.job, {}).get(delivery.trigger.key)
        return item if item is not None and item.replica == replica else None


class AcknowledgesUnknownJobs(Memory):
    """What the reader does not know is thrown away."""

    def take(self, jobs: frozenset[str], limit: int, replica: str) -> list[Delivery]:
        taken = super().take(jobs, limit, replica)
        for items in self.parked.values():
            for item in items:
                self.remove(item.trigger)
        self.parked.clear()
        return taken


class ReceiveIgnoresNames(Memory):
    """Everything is handed out to whoever comes first."""

    def take(self, jobs: frozenset[str], limit: int, replica: str) -> list[Delivery]:
        return super().take(jobs | self.items.keys(), limit, replica)


class ReceiveIgnoresLimit(Memory):
    """All that waits is handed out at once."""

    def take(self, jobs: frozenset[str], limit: int, replica: str) -> list[Delivery]:
        return super().take(jobs, 1000, replica)


class NewestFirst(Memory):
    """What was sent last is handed out first."""

    def take(self, jobs: frozenset[str], limit: int, replica: str) -> list[Delivery]:
        self.waiting.reverse()
        return super().take(jobs, limit, replica)


class VersionStandsStill(Memory):
    """A row that is written again keeps its version: the mark never advances."""

    def _apply(self, step: Step, now: Micros) -> None:
        before = self.row(step.job).version
        super()._apply(step, now)
        if before and step.data is not None:
            self.rows[step.job] = attrs.evolve(self.rows[step.job], version=before)


class VersionRestarts(Memory):
    """Versions and tokens count from 1, again after each loss of data."""

    def next_version(self, now: Micros) -> int:
        self.newest += 1
        return self.newest


class VersionIsTheClock(Memory):
    """The store's now alone, in whole seconds: two in one second are the same."""

    def next_version(self, now: Micros) -> int:
        self.newest = now // 1_000_000 * 1_000_000
        return self.newest


class DeletingTakesNoVersion(Memory):
    """A row that is made again after it was deleted starts where it was."""

    def next_version(self, now: Micros) -> int:
        return self.newest if self.deleting else super().next_version(now)

    def _apply(self, step: Step, now: Micros) -> None:
        self.deleting = step.data is None
        super()._apply(step, now)
        self.deleting = False

    deleting = False


class OwnRowOnly(Memory):
    """Of the expected rows only the step's own is compared."""

    def _check(self, step: Step, replica: str, now: Micros) -> tuple[Verdict, tuple[Delivery, ...]]:
        return super()._check(attrs.evolve(step, expects=step.expects[:1]), replica, now)


class NotBeforeIgnored(Memory):
    """The replica's own clock is trusted."""

    def _check(self, step: Step, replica: str, now: Micros) -> tuple[Verdict, tuple[Delivery, ...]]:
        return super()._check(attrs.evolve(step, not_before=0), replica, now)


class HalfAStep(Memory):
    """Row and history are written before the owners are checked."""

    def _check(self, step: Step, replica: str, now: Micros) -> tuple[Verdict, tuple[Delivery, ...]]:
        verdict, refused = super()._check(step, replica, now)
        if verdict is Verdict.NOT_OURS:
            self._apply(attrs.evolve(step, id=f"{step.id}?", done=(), send=()), now)
        return verdict, refused


class NoMemoryOfSteps(Memory):
    """A step that is repeated is like any other."""

    def committed(self, step_id: str) -> bool:
        return False


class StepsRememberedLast(Memory):
    """Whether a step was committed already is asked only after its rows were compared."""

    def commit(self, step: Step, replica: str) -> Answer:
        if self.committed(step.id):
            verdict, refused = self._check(step, replica, self.clock())
            if verdict is not Verdict.DONE:
                return Answer(verdict, tuple(self.row(job) for job, _ in step.expects), self.clock(), refused)
        return super().commit(step, replica)


class AheadOfTheClock(Memory):
    """When the clock is set back, what was noted ahead of it lasts that much longer."""

    def _was_set_back(self, now: Micros) -> None:
        pass


class CommittedButChanged(Memory):
    """A committed step, repeated, sends its triggers again."""

    def commit(self, step: Step, replica: str) -> Answer:
        if self.committed(step.id):
            for trigger in step.send:
                self.offer(Item(trigger))
        return super().commit(step, replica)


class TrimmedStream(Memory):
    """No more than a thousand triggers are kept, finished or not."""

    def _append(self, trigger: Trigger) -> None:
        super()._append(trigger)
        while len(self.waiting) > 1000:
            self.remove(self.waiting.popleft().trigger)


class DoneIsNotRemoved(Memory):
    """What is finished is acknowledged and not deleted."""

    def remove(self, trigger: Trigger) -> None:
        item = self.items.get(trigger.job, {}).get(trigger.key)
        if item is not None:
            item.replica = ""


class NumberGrowsWhenGivenBack(Memory):
    """Being given back counts as an attempt."""

    def offer(self, item: Item) -> None:
        if item.replica:
            item.number += 1
        super().offer(item)


class NoNewToken(Memory):
    """A delivery keeps the token of its first owner."""

    def give(self, item: Item, replica: str) -> Delivery:
        first = self.tokens.get(id(item))
        super().give(item, replica)
        item.token = self.tokens[id(item)] = first or item.token
        return item.delivery()

    def clear(self) -> None:
        super().clear()
        self.tokens: dict[int, int] = {}


class CancelOutlivesItsOwner(Memory):
    """The next owner finds the request that was meant for the one before."""

    def give(self, item: Item, replica: str) -> Delivery:
        cancel = item.cancel
        delivery = super().give(item, replica)
        item.cancel = cancel
        return delivery


class NoLeaseAtReceive(Memory):
    """A delivery has a deadline only from its first renewal on: lost replies never lapse."""

    def give(self, item: Item, replica: str) -> Delivery:
        delivery = super().give(item, replica)
        item.deadline = 1 << 62
        return delivery


class ShortLease(Memory):
    """Leases are five seconds long."""

    def give(self, item: Item, replica: str) -> Delivery:
        delivery = super().give(item, replica)
        item.deadline -= 5_000_000
        return delivery


class OutageSteals(Memory):
    """A lease is judged by its deadline alone."""

    def may_take_over(self) -> bool:
        return True


class GapForgotten(Memory):
    """After the first beat that follows an outage everything may be taken over."""

    def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Micros:
        gap = super().beat(replica, facts, ttl)
        self.no_take_over_until = 0
        return gap


class GapOfEachReplica(Memory):
    """The gap is counted from the replica's own last beat."""

    def clear(self) -> None:
        super().clear()
        self.beats: dict[str, Micros] = {}

    def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Micros:
        now = self.clock()
        super().beat(replica, facts, ttl)
        before, self.beats[replica] = self.beats.get(replica, now), now
        return now - before


class TheDeadStayAlive(Memory):
    """A replica that stops beating is never dropped."""

    def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Micros:
        return super().beat(replica, facts, ttl and 1 << 61)


class GoodbyeIgnored(Memory):
    """Leaving is a beat like any other."""

    def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Micros:
        return super().beat(replica, facts, ttl or 10_000_000)


class SameEpoch(Memory):
    """The epoch is the name of the app."""

    def clear(self) -> None:
        super().clear()
        self.epoch = "app"


class NoEpoch(Memory):
    """Each beat has an epoch of its own."""

    numbers = itertools.count(1)

    def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Micros:
        self.epoch = f"epoch {next(self.numbers)}"
        return super().beat(replica, facts, ttl)


class HeldIgnoresNames(Memory):
    """What is held is listed, whatever was asked for."""

    def delivered(self, jobs: Iterable[str] | None = None) -> list[Item]:
        return super().delivered(None)


class ForgetfulHistory(History):
    """Failures are trimmed with the rest."""

    def append(self, runs: Any, keep: Keep, now: Micros) -> None:
        super().append(runs, keep, now)
        self._failures.clear()


class AgelessHistory(History):
    """No line is ever too old."""

    def append(self, runs: Any, keep: Keep, now: Micros) -> None:
        super().append(runs, attrs.evolve(keep, age=1 << 61), now)


class CountingHistory(History):
    """A cursor counts lines from the newest one, which may be another by then."""

    def read(
        self, job: str, statuses: Any, after: Any, until: Any, limit: int, cursor: str
    ) -> tuple[list[Run], str]:
        seen = int(cursor or 0)
        found, more = super().read(job, statuses, after, until, seen + limit, "")
        return found[seen:], str(seen + limit) if more else ""


class TimesOnlyHistory(History):
    """`limit` counts before the statuses choose."""

    def read(
        self, job: str, statuses: Any, after: Any, until: Any, limit: int, cursor: str
    ) -> tuple[list[Run], str]:
        found, more = super().read(job, None, after, until, limit, cursor)
        return [run for run in found if statuses is None or run.status in statuses], more


class OldestFirstHistory(History):
    """History reads like a log file."""

    def read(self, *which: Any) -> tuple[list[Run], str]:
        found, more = super().read(*which)
        return found[::-1], more


def remembering(kind: type[History]) -> type[Memory]:
    """Make a store with this history."""

    class Remembering(Memory):
        def clear(self) -> None:
            super().clear()
            self.history = kind()

    Remembering.__name__ = kind.__name__
    Remembering.__doc__ = kind.__doc__
    return Remembering


class EachParksForItself(Memory):
    """What a reader does not know it keeps in its own memory, which others cannot see."""

    def clear(self) -> None:
        super().clear()
        self.private: dict[str, dict[str, list[Item]]] = {}

    def take(self, jobs: frozenset[str], limit: int, replica: str) -> list[Delivery]:
        self.parked = self.private.setdefault(replica, {})
        taken = super().take(jobs, limit, replica)
        self.parked = {}
        return taken


class ForgetsKinds(Memory):
    """Of a line's status only success and failure are kept."""

    def _apply(self, step: Step, now: Micros) -> None:
        known = (Status.SUCCEEDED, Status.FAILED)
        runs = tuple(r if r.status in known else attrs.evolve(r, status=Status.FAILED) for r in step.runs)
        super()._apply(attrs.evolve(step, runs=runs), now)


class ForgetsPayloads(Memory):
    """A trigger is stored as job and time, and made anew from these."""

    def _append(self, trigger: Trigger) -> None:
        super()._append(Trigger(trigger.job, trigger.key, trigger.scheduled_at, options=trigger.options))


class LosesWhatWaitsAfterReading(Memory):
    """A burst beyond what was asked for is dropped with the call."""

    def take(self, jobs: frozenset[str], limit: int, replica: str) -> list[Delivery]:
        taken = super().take(jobs, limit, replica)
        self.waiting = deque(list(self.waiting)[:100])
        return taken


class ShortColumns(Memory):
    """Texts are cut at a thousand characters."""

    def _append(self, trigger: Trigger) -> None:
        super()._append(attrs.evolve(trigger, payload=trigger.payload and trigger.payload[:1000]))

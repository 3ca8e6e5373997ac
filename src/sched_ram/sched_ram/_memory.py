"""What the replicas of one app share: rows, triggers and deliveries, history, and who is alive."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from uuid import uuid4

import attrs

from sched_ram._history import History
from schedcore.protocols import APP_ROW, Answer, Delivery, Micros, Replica, Row, Step, Trigger, Verdict

LEASE: Micros = 10_000_000
LONGEST_GAP: Micros = 4_500_000
SET_BACK: Micros = 1_000_000
STEPS_REMEMBERED = 4096


def wall_clock() -> Micros:
    """Tell the time of this machine, in microseconds since the Unix epoch."""
    return time.time_ns() // 1000


@attrs.define(eq=False)
class Item:
    """A trigger that is not finished: waiting while `replica` is empty, else delivered to it."""

    trigger: Trigger
    number: int = 1
    replica: str = ""
    token: int = 0
    deadline: Micros = 0
    since: Micros = 0
    note: str = ""
    cancel: bool = False
    gone: bool = False

    def delivery(self) -> Delivery:
        """Make the delivery as its owner has it."""
        return Delivery(self.trigger, self.number, self.token)


_all: weakref.WeakSet[Memory] = weakref.WeakSet()


class Memory:
    """One app's store, for replicas of one process; `clock` is its own and so the app's.

    Each replica has an event loop, and a thread, of its own: whoever reads or writes holds `lock`.
    """

    def __init__(self, clock: Callable[[], Micros] = wall_clock) -> None:
        """Begin empty, as after a restart."""
        self.clock = clock
        self.lock = threading.RLock()
        self.changed: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self.clear()
        _all.add(self)

    def clear(self) -> None:
        """Lose everything, as a flush would; who waits for triggers goes on waiting."""
        self.epoch = uuid4().hex
        self.newest = 0
        self.rows: dict[str, Row] = {APP_ROW: Row(APP_ROW)}
        self.items: dict[str, dict[str, Item]] = {}
        self.waiting: deque[Item] = deque()
        self.parked: dict[str, list[Item]] = {}
        self.history = History()
        self.replicas: dict[str, tuple[Replica, Micros]] = {}
        self.last_beat: Micros | None = None
        self.no_take_over_until: Micros = 0
        self._committed: set[str] = set()
        self._committed_before: set[str] = set()

    def next_version(self, now: Micros) -> int:
        """Give out a number greater than any before it, also before a restart."""
        self.newest = now if now > self.newest else self.newest + 1
        return self.newest

    def row(self, job: str, *, held: bool = False) -> Row:
        """Read a row as it is."""
        row = self.rows.get(job)
        if not held and row is not None:
            return row
        version, data = (row.version, row.data) if row is not None else (0, None)
        return Row(job, version, data, frozenset(self.items.get(job, ())) if held else None)

    def committed(self, step_id: str) -> bool:
        """Tell whether a step was committed lately: repeated, it is answered whoever has the lock."""
        return step_id in self._committed or step_id in self._committed_before

    def commit(self, step: Step, replica: str) -> Answer:
        """Do all of a step, or nothing of it."""
        now = self.clock()
        verdict, refused = Verdict.DONE, tuple[Delivery, ...]()
        if not self.committed(step.id):
            verdict, refused = self._check(step, replica, now)
            if verdict is Verdict.DONE:
                self._apply(step, now)
        return Answer(verdict, tuple([self.row(job) for job, _ in step.expects]), now, refused)

    def _check(self, step: Step, replica: str, now: Micros) -> tuple[Verdict, tuple[Delivery, ...]]:
        rows = self.rows
        for job, version in step.expects:
            row = rows.get(job)
            if (row.version if row is not None else 0) != version:
                return Verdict.CHANGED, ()
        if now < step.not_before:
            return Verdict.EARLY, ()
        if step.done:
            refused = tuple([d for d in step.done if self.owned(d, replica) is None])
            if refused:
                return Verdict.NOT_OURS, refused
        return Verdict.DONE, ()

    def _apply(self, step: Step, now: Micros) -> None:
        version = self.next_version(now)
        if step.data is None:
            self.rows.pop(step.job, None)
        else:
            self.rows[step.job] = Row(step.job, version, step.data)
        for delivery in step.done:
            self.remove(delivery.trigger)
        for trigger in step.send:
            self._append(trigger)
        if step.runs:
            self.history.append(step.runs, step.keep, now)
        self._committed.add(step.id)
        if len(self._committed) >= STEPS_REMEMBERED:
            self._committed, self._committed_before = set(), self._committed

    def _append(self, trigger: Trigger) -> None:
        items = self.items.setdefault(trigger.job, {})
        if trigger.key not in items:
            items[trigger.key] = item = Item(trigger)
            self.offer(item)

    def offer(self, item: Item) -> None:
        """Let a trigger wait for a replica."""
        item.replica, item.token = "", 0
        self.waiting.append(item)
        self._wake()

    def _wake(self) -> None:
        while self.changed:
            event, loop = self.changed.popitem()
            with suppress(RuntimeError):  # a loop that was closed without a word
                loop.call_soon_threadsafe(event.set)

    def remove(self, trigger: Trigger) -> None:
        """Let go of a finished trigger."""
        items = self.items.get(trigger.job)
        if items is not None:
            item = items.pop(trigger.key, None)
            if item is not None:
                item.gone = True
            if not items:
                del self.items[trigger.job]

    def owned(self, delivery: Delivery, replica: str) -> Item | None:
        """Find a delivery if it is this replica's, under its token."""
        item = self.items.get(delivery.trigger.job, {}).get(delivery.trigger.key)
        if item is None or item.token != delivery.token or item.replica != replica:
            return None
        return item

    def take(self, jobs: frozenset[str], limit: int, replica: str) -> list[Delivery]:
        """Hand out waiting triggers of `jobs`; those of other jobs are parked for who knows them."""
        self._unpark(jobs)
        taken: list[Delivery] = []
        while self.waiting and len(taken) < limit:
            item = self.waiting.popleft()
            if item.trigger.job not in jobs:
                self.parked.setdefault(item.trigger.job, []).append(item)
            elif not item.replica and not item.gone:
                taken.append(self.give(item, replica))
        return taken

    def _unpark(self, jobs: frozenset[str]) -> bool:
        known = [job for job in self.parked if job in jobs]
        for job in known:
            self.waiting.extendleft(reversed(self.parked.pop(job)))
        return bool(known)

    def look_again(self, jobs: frozenset[str]) -> None:
        """Wake who waits if somebody knows by now what was parked: a job may have been added meanwhile."""
        if self._unpark(jobs):
            self._wake()

    def give(self, item: Item, replica: str) -> Delivery:
        """Make `replica` the owner, with a new token and a lease."""
        now = self.clock()
        item.replica, item.token, item.since = replica, self.next_version(now), now
        item.deadline = now + LEASE
        item.cancel, item.note = False, ""
        return item.delivery()

    def delivered(self, jobs: Iterable[str] | None = None) -> list[Item]:
        """List what is in the hands of a replica."""
        names = None if jobs is None else set(jobs)
        chosen = [job for job in self.items if names is None or job in names]
        return [item for job in chosen for item in self.items[job].values() if item.replica]

    def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Micros:
        """Note that a replica lives, and tell how long the app was without a beat."""
        now = self.clock()
        self.history.tidy(now)
        gap = 0 if self.last_beat is None else now - self.last_beat
        if gap > LONGEST_GAP:
            self.no_take_over_until = now + LEASE
        elif gap < -SET_BACK:
            self._was_set_back(now)
        self.last_beat = now
        if ttl:
            self.replicas[replica] = Replica(replica, dict(facts), now), now + ttl
        else:
            self.replicas.pop(replica, None)
        for other in [other for other, (_, until) in self.replicas.items() if until <= now]:
            del self.replicas[other]
        return max(0, gap)

    def _was_set_back(self, now: Micros) -> None:
        """Let what was noted ahead of the clock last a lease from now, as after an outage, and no longer."""
        self.no_take_over_until = until = now + LEASE
        for item in self.delivered():
            item.deadline = min(item.deadline, until)
        for name, (replica, expires) in self.replicas.items():
            self.replicas[name] = replica, min(expires, until)

    def may_take_over(self) -> bool:
        """Tell whether owners had the chance to renew: nothing is taken over right after an outage."""
        now = self.clock()
        return (
            self.last_beat is not None
            and now - self.last_beat <= LONGEST_GAP
            and now >= self.no_take_over_until
        )


def _after_fork() -> None:
    """A child has nothing to finish of its parent's: each process fires for itself."""
    for memory in list(_all):
        memory.lock = threading.RLock()
        memory.changed.clear()
        memory.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

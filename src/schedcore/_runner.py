"""What this replica has taken and not finished: its places, its leases, and who is told of each end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from random import Random

from schedcore._burst import Burst
from schedcore._clock import DOUBT, LEASE
from schedcore._draft import Outcome
from schedcore._execute import STOPPING, Execution
from schedcore._jobs import Job
from schedcore._launch import Launcher
from schedcore._observers import Observers
from schedcore.protocols import Delivery, Micros
from schedcore.watching import LeaseLost

log = logging.getLogger("schedcore")

AHEAD = 16
"""How many plain functions may wait for a thread."""


class Runner:
    """Has deliveries run, at most `concurrency` at once, of which `threads` plain functions.

    A place is taken from the moment of delivery until the function has ended; a lease is held until the
    end is committed or the delivery is given back.
    """

    def __init__(
        self,
        jobs: Mapping[str, Job],
        now: Callable[[], Micros],
        random: Random,
        *,
        concurrency: int,
        threads: int,
        observers: Observers,
    ) -> None:
        """Begin with nothing of `jobs`; the engine sets `launcher`, `report`, `hurry` and `sure`."""
        self.held: dict[int, Execution] = {}
        self.launcher: Launcher
        self.report: Callable[[Delivery, Outcome | None], None]
        self.hurry: Callable[[], None]
        self.sure: Callable[[], bool]
        self.accepting = True
        self.observers = observers
        self._jobs = jobs
        self._names: tuple[frozenset[str], frozenset[str]] | None = None
        self.blocked = False
        self._looks_late = False
        self._now = now
        self._random = random
        self._concurrency = concurrency
        self._threads = threads
        self._running = 0
        self.burst = Burst()
        self._plain = 0
        self.freed = asyncio.Event()
        self._timers: dict[int, asyncio.TimerHandle] = {}

    @property
    def running(self) -> int:
        """How many places are taken."""
        return self._running

    def places(self) -> int:
        """Tell how many more deliveries may be taken now: none by who was frozen or cut off just now.

        Nor by whom something reached late: either that, or the store's clock was set back, as a beat tells.
        """
        if not self.accepting or self._looks_late or not self.sure():
            return 0
        free = self._concurrency - self._running
        if self._all_and_plain()[1]:
            free = min(free, self._threads + AHEAD - self._plain)
        elif self.blocked or not self.launcher.responsive():
            return 0
        return max(0, free)

    def wanted(self) -> frozenset[str]:
        """Name the jobs that may begin here now: all, or the plain functions while the loop is blocked.

        The same object until that changes.
        """
        names, plain = self._all_and_plain()
        return plain if self.blocked else names

    def _all_and_plain(self) -> tuple[frozenset[str], frozenset[str]]:
        if self._names is None:
            jobs = list(self._jobs.items())
            plain = frozenset(name for name, job in jobs if not job.is_coroutine)
            self._names = frozenset(name for name, _ in jobs), plain
        return self._names

    def renamed(self) -> None:
        """Take note that a job was added or removed."""
        self._names = None

    async def free(self) -> int:
        """Wait until at least one place is free; how many are."""
        while (places := self.places()) <= 0:
            self.freed.clear()
            await self.freed.wait()
        return places

    def start(
        self, deliveries: Sequence[Delivery], said: Mapping[tuple[str, str], str] | None = None
    ) -> None:
        """Have these run; one that is the third of its trigger or later waits before it begins.

        `said` is, by (job, key), the last progress of those that were taken over.
        """
        coroutines, oldest = [], self._now() - DOUBT  # a token tells when it was claimed
        for delivery in deliveries:
            job = self._jobs.get(delivery.trigger.job)
            if late := delivery.token < oldest:
                self._looks_late = True
                self.hurry()
            may_begin = self.accepting and not late
            if job is None or not may_begin or self._running >= self._concurrency or self._stuck(job):
                self.report(delivery, None)
                continue
            previous = said.get((delivery.trigger.job, delivery.trigger.key), "") if said else ""
            execution = Execution(delivery, job, self._now, self._random, self.observers, previous, self.sure)
            self.held[delivery.token] = execution
            self._running += 1
            self._plain += not job.is_coroutine
            if delivery.number > 2:
                self._start_later(execution)
            elif job.is_coroutine:
                coroutines.append(execution)
            else:
                self.launcher.plain(execution)
        if coroutines:
            self.launcher.coroutines(coroutines)
        self.burst.started(deliveries)

    def _start_later(self, execution: Execution) -> None:
        """A job that kills its process shall not kill all of them at once."""
        token = execution.delivery.token

        def begin() -> None:
            del self._timers[token]
            execution.received_at = self._now()
            if self._stuck(execution.job):
                self._release([execution])
            elif execution.job.is_coroutine:
                self.launcher.coroutines([execution])
            else:
                self.launcher.plain(execution)

        delay = 2.0 ** (execution.delivery.number - 1)
        self._timers[token] = asyncio.get_running_loop().call_later(delay, begin)

    def _stuck(self, job: Job) -> bool:
        return self.blocked and job.is_coroutine

    def loop_blocked(self, blocked: bool) -> None:
        """Take note that the loop of the coroutine functions is blocked, and then that it is not.

        What it has not begun is left to other replicas, and its places to plain functions.
        """
        self.blocked = blocked
        if blocked:
            log.warning(
                "the application's event loop is blocked, and coroutine jobs do not begin: a function that "
                "does not await belongs into a plain job, or behind asyncio.to_thread",
                extra={"event": "loop.blocked"},
            )
            self._release(e for e in self._handed_over() if e.job.is_coroutine)
        else:
            self.hurry()
        self.nudge()

    def _handed_over(self) -> list[Execution]:
        return [e for token, e in self.held.items() if token not in self._timers]

    def _release(self, executions: Iterable[Execution]) -> None:
        """Give back those that have not begun; one that does so just now, on its own loop, goes on."""
        for execution in executions:
            if not execution.decide():
                continue
            timer = self._timers.pop(execution.delivery.token, None)
            if timer is not None:
                timer.cancel()
            execution.interrupt(STOPPING)
            self.ended(execution, None)

    def ended(self, execution: Execution, outcome: Outcome | None) -> None:
        """Take note of an end; the place is free unless a thread lives on in it."""
        if execution.over:  # it was given back, which its loop learns later
            return
        execution.over = True
        if not execution.in_thread:
            self._vacate(execution)
        if self.held.get(execution.delivery.token) is execution:
            self.report(execution.delivery, outcome)

    def vacated(self, execution: Execution) -> None:
        """Take note that the thread of a run that had already ended is free."""
        self._vacate(execution)

    def _vacate(self, execution: Execution) -> None:
        self._running -= 1
        self._plain -= not execution.job.is_coroutine
        self.nudge()

    def nudge(self) -> None:
        """Have whoever waits for a place look again."""
        self.freed.set()

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        """Let go of leases: these were finished, given back or refused."""
        for delivery in deliveries:
            self.held.pop(delivery.token, None)

    def taken_over(self, delivery: Delivery) -> None:
        """End what somebody else runs by now; its result would be refused."""
        execution = self.held.pop(delivery.token, None)
        if execution is not None:
            trigger, token = delivery.trigger, delivery.token
            log.warning(
                "lease lost: job %s, token %d; another replica has the run",
                trigger.job,
                token,
                extra={"event": "lease.lost", "job": trigger.job, "key": trigger.key, "token": token},
            )
            if self.observers.all:
                self.observers.tell(LeaseLost(delivery))
            execution.interrupt("another replica has taken the run over")
            if execution.decide():
                self.ended(execution, None)

    def doubt(self) -> None:
        """The leases could not be renewed in time: say so to every run."""
        for execution in list(self.held.values()):
            if execution.context.in_doubt:
                continue
            execution.context.in_doubt.set()
            if execution.options.on_doubt == "cancel":
                execution.interrupt("its lease could not be renewed in time")

    def renewed(self) -> None:
        """Take note of a beat, and give back what has not begun within a lease."""
        self._looks_late = False
        before = self._now() - LEASE
        self._release(e for e in self._handed_over() if e.received_at < before)

    def notes(self) -> dict[tuple[str, str], str]:
        """Tell the progress of what is running, by (job, key)."""
        return {
            (e.delivery.trigger.job, e.delivery.trigger.key): note
            for e in self.held.values()
            if (note := e.context._note())
        }

    async def drain(self, patience: float) -> list[Execution]:
        """Wait until all that runs has ended, `patience` seconds at most; what still runs."""
        self.accepting = False
        self._release(list(self.held.values()))
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._running:
                    self.freed.clear()
                    await self.freed.wait()
        return [e for e in self.held.values() if e.began]

    async def stop_coroutines(self, patience: float) -> None:
        """Cancel the coroutines that are still running, and wait for their ends; one that refuses runs on."""
        coroutines = [e for e in self.held.values() if (e.job.is_coroutine or not e.in_thread) and not e.over]
        for execution in coroutines:
            execution.interrupt(STOPPING)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while any(e.began and not e.over for e in coroutines):
                    self.freed.clear()
                    await self.freed.wait()

    def close(self) -> None:
        """Cancel what was to begin later."""
        for timer in self._timers.values():
            timer.cancel()

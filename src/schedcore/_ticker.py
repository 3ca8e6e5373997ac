"""Waits until jobs are due by the store's clock, and has them decided."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import Random

from schedcore import _rules
from schedcore._clock import StoreClock
from schedcore._commit import Committer
from schedcore._draft import Draft
from schedcore.protocols import Micros, Row, Step, Verdict

FIRST_CHUNK = 16
SMALL_CHUNK = 42
CHUNK = 128
"""Of a hundred the first begin while the last are being sent; many cost less in large chunks."""

AT_ONCE = 2
"""While the store commits one chunk the steps of the next are formed, unless others were faster lately."""

PATIENCE = 2.0
AGAIN: Micros = 2_000
OFF: Micros = 1_000


class Ticker:
    """Instants, and who is due at each; asleep until the first of them, or until somebody changes it."""

    def __init__(
        self, committer: Committer, clock: StoreClock, random: Random, burst: Callable[[int], None]
    ) -> None:
        """Begin without jobs; `burst` is told how many triggers were sent at once, if they were many."""
        self.hold_until: Micros = 0
        self._slept_by = clock.offset
        self.has: Callable[[str], bool] = lambda job: True
        self._committer = committer
        self._clock = clock
        self._random = random
        self._burst = burst
        self._heap: list[Micros] = []
        self._at: dict[Micros, list[str]] = {}
        self._due: dict[str, Micros] = {}
        self._changed = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._caught_up.set()
        self._busy_since: Micros | None = None

    def schedule(self, jobs: Iterable[str]) -> None:
        """Look at these jobs' rows again, and find out when they are due."""
        now = self._clock.now()
        app, rows = self._committer.app, self._committer.rows
        for job in jobs:
            row = rows.get(job)
            due = None if row is None else _rules.wake_at(row, app, now)
            if due is None or not self.has(job):
                self._due.pop(job, None)
            elif self._due.get(job) != due:
                self._look_at(due, job)
        self._changed.set()

    def _look_at(self, due: Micros, job: str) -> None:
        self._due[job] = due
        if due in self._at:
            self._at[due].append(job)
        else:
            self._at[due] = [job]
            heapq.heappush(self._heap, due)

    def wake(self, stepped: Micros = 0) -> None:
        """Compare what is due with the clock again: its offset may have changed, or it stepped."""
        if not stepped and abs(self._clock.offset - self._slept_by) <= OFF:
            return
        if stepped:
            self.hold_until += stepped if self.hold_until else 0
            self.schedule(list(self._due))
        self._changed.set()

    def drop(self, job: str) -> None:
        """Let go of a job that this replica no longer has."""
        self._due.pop(job, None)

    def next_due(self) -> Micros | None:
        """Tell when the next of all jobs is due."""
        while self._heap:
            jobs = self._at[self._heap[0]]
            while jobs and self._due.get(jobs[-1]) != self._heap[0]:
                jobs.pop()
            if jobs:
                return self._heap[0]
            del self._at[heapq.heappop(self._heap)]
        return None

    def behind(self) -> Micros:
        """Tell for how long it has been at what it is doing, or should have been; from any thread."""
        first = min(list(self._due.values()), default=None)
        began = self._busy_since if first is None else min(first, self._busy_since or first)
        return 0 if began is None else max(0, self._clock.now() - max(began, self.hold_until))

    async def run(self) -> None:
        """Decide what is due, for ever."""
        while True:
            self._busy_since = None
            await self._until_due()
            self._busy_since = self._clock.now()
            due = self._pop_due()
            self._caught_up.clear()
            try:
                await self._decide_all(due)
            finally:
                if len(due) > FIRST_CHUNK:
                    self._burst(len(due))
                self._caught_up.set()

    async def _decide_all(self, due: list[str]) -> None:
        chunks = self._chunks(len(due))
        if len(due) > 2 * CHUNK:  # the first tells whether others are faster
            await self._decide(due[slice(*chunks.pop(0))])
        turns = asyncio.Semaphore(1 if self._committer.loses else AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for start, end in chunks:
                await turns.acquire()
                task = group.create_task(self._decide(due[start:end]))
                task.add_done_callback(lambda _: turns.release())

    def _chunks(self, number: int) -> list[tuple[int, int]]:
        """Cut a burst into chunks, a small one first, the others in any order: replicas share them."""
        size = SMALL_CHUNK if number <= 2 * CHUNK else CHUNK
        starts = list(range(FIRST_CHUNK, number, size))
        self._random.shuffle(starts)
        return [(0, FIRST_CHUNK), *[(start, start + size) for start in starts]]

    async def caught_up(self) -> None:
        """Wait until what is due is sent, a moment at most: what is to start goes before what has ended."""
        if not self._caught_up.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._caught_up.wait()

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        rounding = self._clock.clock.rounding
        while True:
            self._changed.clear()
            self._slept_by = self._clock.offset
            due = self.next_due()
            wait = None if due is None else max(due, self.hold_until) - self._clock.now()
            if wait is not None and wait <= 0:
                return
            if wait is not None and wait <= rounding:
                await asyncio.sleep(0)
                continue
            timer = wait and loop.call_later((wait - rounding) / 1_000_000, self._changed.set)
            try:
                await self._changed.wait()
            finally:
                if timer:
                    timer.cancel()

    def _pop_due(self) -> list[str]:
        now, due = self._clock.now(), []
        while self._heap and self._heap[0] <= now:
            at = heapq.heappop(self._heap)
            for job in sorted(self._at.pop(at)):
                if self._due.get(job) == at:
                    del self._due[job]
                    due.append(job)
        return due

    async def _decide(self, jobs: list[str]) -> None:
        try:
            answers = await self._committer.apply(jobs, self._rule)
        except BaseException:
            self.schedule(jobs)
            raise
        self.schedule(jobs)
        for job, answer in answers.items():
            if answer.verdict is not Verdict.DONE and self.has(job):
                self._again(job)

    def _rule(self, row: Row, app: Row) -> Draft | Step | None:
        now = self._clock.now()
        return None if now < self.hold_until else _rules.tick(row, app, now)

    def _again(self, job: str) -> None:
        """The store's clock is a little behind what is known of it here, or somebody has the lock."""
        self._look_at(self._clock.now() + AGAIN, job)

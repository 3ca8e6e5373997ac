"""Applies a rule to rows until the backend has committed what it says; the only place that commits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

import attrs

from schedcore._draft import Draft, HeldUnknownError
from schedcore._observers import Observers
from schedcore._state import SECOND, JobState
from schedcore._telling import tell_undone
from schedcore.protocols import APP_ROW, ROW, Answer, Backend, Micros, Row, Step, Verdict

T = TypeVar("T")
Rule = Callable[[Row, Row], Draft | Step | None]
"""A job's row and the app's row in; what to commit out, or `None` for nothing."""

CHUNK = 128
BURST = 50
"""Of more rows than this, others being faster lately, it is asked first which they have changed."""

MANY, LATELY = 8, 8
"""Others are faster if they changed so many rows of one call, until so many calls of a burst without that."""

HELD_PAUSE = 0.05
HELD_TRIES = 40
HELD_FOR = HELD_TRIES * HELD_PAUSE
"""Seconds, at most, that is waited for others: a try may take long, and who waits may be the beat itself."""

LOST_OFTEN = 4
"""After so many steps that came too late for one row, the next is announced."""

RESERVED: Micros = 2 * SECOND
NEVER: Micros = 1 << 62


class Caller(Protocol):
    """How a call to the store is made: repeated for ever, or once."""

    async def call(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Await `attempt()`, and what it answers."""
        ...


class Patience:
    """How long others are waited for, once, however many jobs are in their hands."""

    def __init__(self) -> None:
        """Begin when somebody has to be waited for."""
        self._until: float | None = None

    def lasts(self) -> bool:
        """Tell whether to wait once more."""
        now = asyncio.get_running_loop().time()
        self._until = now + HELD_FOR if self._until is None else self._until
        return now < self._until


class Committer:
    """Knows the rows last seen, forms steps from what a rule says of them, and commits these in chunks.

    CHANGED runs the rule again on the rows that came with it, HELD waits a moment; EARLY and NOT_OURS
    are the caller's to decide. A row that is behind what was seen of it is not believed while there is
    somebody to tell (`fell_back`): the store lost data, and what is remembered is to be put back first.
    """

    def __init__(
        self,
        backend: Backend,
        link: Caller,
        replica: str,
        among: str = "",
        observers: Observers | None = None,
    ) -> None:
        """Begin without rows; `among` tells this one from others of the same replica."""
        self._observers = observers or Observers()
        self.rows: dict[str, Row] = {}
        self.app = Row(APP_ROW)
        self.newest = 0
        self.behind: set[str] = set()
        self.has_proof = False
        self.fell_back: Callable[[], None] | None = None
        self.is_own: Callable[[str], bool] = lambda job: False
        self._bus, self._store, self._locker = backend.bus, backend.store, backend.locker
        self._link = link
        self._replica = replica
        self._ids = replica + among
        self._number = 0
        self._turns: dict[str, object] = {}
        self.loses = 0

    async def read(self, jobs: Collection[str]) -> None:
        """Read these rows, and the app's."""
        names = [*jobs, APP_ROW]
        for start in range(0, len(names), 1000):
            part = names[start : start + 1000]
            before = {job: self._row(job).version for job in part}
            self.learn(await self._link.call(lambda part=part: self._store.rows(part)), before)  # type: ignore[misc]

    async def apply(self, jobs: Sequence[str], rule: Rule, *, app: bool = True) -> dict[str, Answer]:
        """Apply `rule` to each job's row, and commit; the answers of those for which it said anything.

        With `app`, a step expects the app's row too: it depends on the pauses in it.
        """
        turn = object()
        try:
            return await self._apply(jobs, rule, app, turn)
        finally:
            for job in [job for job, whose in self._turns.items() if whose is turn]:
                del self._turns[job]

    async def _apply(self, jobs: Sequence[str], rule: Rule, app: bool, turn: object) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        todo: Sequence[str] = jobs
        patience, lost = Patience(), Counter[str]()
        while todo:
            # Ticker and reporter of a slow replica would change a row too fast for each other.
            again = [job for job in todo if self._turns.get(job, turn) is not turn]
            todo = [job for job in todo if self._turns.get(job, turn) is turn]
            waiting, held = bool(again), False
            for start in range(0, len(todo), CHUNK):
                steps = await self._steps(todo[start : start + CHUNK], rule, app, patience)
                for step, answer in zip(steps, await self._commit(steps), strict=True):
                    if answer.verdict is Verdict.DONE:
                        answers[step.job] = answer
                        continue
                    waits = answer.verdict is Verdict.HELD or not self.behind.isdisjoint(_jobs_of(step))
                    if answer.verdict is Verdict.CHANGED and not waits:
                        again.append(step.job)
                        lost[step.job] += 1
                    elif waits and patience.lasts():
                        again.append(step.job)
                        held = True
                    else:
                        answers[step.job] = answer
                await asyncio.sleep(0)
            often = [job for job, times in lost.items() if times >= LOST_OFTEN]
            await self._release([job for job in often if job not in again], turn)
            await self._reserve([job for job in often if job in again], turn)
            if held or waiting:
                await asyncio.sleep(HELD_PAUSE)
            todo = again
        return answers

    async def _reserve(self, jobs: Sequence[str], turn: object) -> None:
        """Ask the others to leave these rows alone: they change faster than this replica can commit."""
        for job in jobs:
            if self._turns.setdefault(job, turn) is turn:
                await self._link.call(
                    lambda job=job: self._locker.acquire(ROW + job, self._replica, RESERVED)  # type: ignore[misc]
                )

    async def _release(self, jobs: Sequence[str], turn: object) -> None:
        for job in jobs:
            if self._turns.get(job) is turn:
                del self._turns[job]
                await self._link.call(lambda job=job: self._locker.release(ROW + job, self._replica))  # type: ignore[misc]

    async def _steps(self, jobs: Sequence[str], rule: Rule, app: bool, patience: Patience) -> list[Step]:
        """Form what `rule` says; rows of which it has to know what the bus holds are read, all in one call.

        Again, if newer ones without it were learnt meanwhile. A row that is not believed waits until what is
        remembered was put back.
        """
        unknown = [job for job in jobs if job != APP_ROW and job not in self.rows]
        if unknown:
            await self.read(unknown)
        steps: list[Step] = []
        asking = self._say(jobs, rule, app, steps, unknown)
        if self.loses and len(asking) > BURST:
            await self._look(asking)
            asking = self._say(asking, rule, app, steps)
        for _ in range(HELD_TRIES):
            if not asking:
                break
            await self.read(asking)
            asking = self._say(asking, rule, app, steps, asking)
            if not self.behind.isdisjoint(asking):
                if not patience.lasts():
                    break
                await asyncio.sleep(HELD_PAUSE)
        return steps

    async def _look(self, jobs: Sequence[str]) -> None:
        """Learn what others made of these rows: CHANGED tells it; what is too early cannot be committed."""
        rows = map(self._row, jobs)
        await self._commit([Step(self.next_id(), r.job, ((r.job, r.version),), r.data, NEVER) for r in rows])

    def _say(
        self, jobs: Sequence[str], rule: Rule, app: bool, steps: list[Step], read: Sequence[str] = ()
    ) -> list[str]:
        """Add the steps; name the jobs that could not be decided without what the bus holds.

        It is known of those `read` just now. What else has it, from a page of rows, say, was read at some
        time, and the pauses with it.
        """
        undecided, known = [], frozenset(read)
        for job in jobs:
            row = self._row(job)
            if row.held is not None and job not in known:
                row = attrs.evolve(row, held=None)
            try:
                said = rule(row, self.app)
            except HeldUnknownError:
                undecided.append(job)
                continue
            if said is not None:
                steps.append(self._step(said, app))
        return undecided

    def _row(self, job: str) -> Row:
        return self.app if job == APP_ROW else self.rows.get(job) or Row(job)

    def _step(self, said: Draft | Step, app: bool) -> Step:
        if isinstance(said, Step):
            return said
        return said.step(self.next_id(), self.app) if app else said.step(self.next_id())

    def next_id(self) -> str:
        """Name a step as no other is named."""
        self._number += 1
        return f"{self._ids}:{self._number}"

    async def _commit(self, steps: Sequence[Step]) -> Sequence[Answer]:
        if not steps:
            return ()
        answers = await self._link.call(lambda: self._bus.commit(steps, self._locker))
        changed = sum([answer.verdict is Verdict.CHANGED for answer in answers])
        self.loses = LATELY if changed >= MANY else max(0, self.loses - (len(steps) > BURST))
        for step, answer in zip(steps, answers, strict=True):
            self.learn(answer.rows, dict(step.expects))
            if answer.verdict is Verdict.DONE:
                if step.runs:
                    tell_undone(step.runs)
                if self._observers.all:
                    self._observers.committed(step, answer.now)
        return answers

    def learn(self, rows: Sequence[Row], before: Mapping[str, int] = {}) -> None:
        """Keep rows newer than those known; `before` are the versions that were known when the call was sent.

        What was learnt meanwhile proves nothing against an answer: that may be older.
        """
        for row in rows:
            known = self.app if row.job == APP_ROW else self.rows.get(row.job)
            self.newest = max(self.newest, row.version)
            if row is known and not self.behind:
                continue  # the app's row, with nearly every answer
            if known is None or (row.version >= known.version and not _lower_mark(row, known)):
                self._keep(row)
            elif known.version == before.get(row.job):
                if self.fell_back is None:
                    self._keep(row)
                    continue
                self.behind.add(row.job)
                # one that is gone may have been retired, but not the app's, nor while a replica has the job
                self.has_proof |= bool(row.version) or row.job == APP_ROW or self.is_own(row.job)
                self.fell_back()

    def forget(self) -> None:
        """Remember no row, so that whatever the store has is believed."""
        self.rows.clear()
        self.app = attrs.evolve(self.app, version=0)
        self.behind.clear()
        self.has_proof = False

    def _keep(self, row: Row) -> None:
        self.behind.discard(row.job)
        if row.job == APP_ROW:
            self.app = row
        else:
            self.rows[row.job] = row


def _jobs_of(step: Step) -> list[str]:
    return [job for job, _ in step.expects]


def _lower_mark(row: Row, known: Row) -> bool:
    """Tell whether somebody put the row back who had seen less of it: its mark only rises."""
    if not (isinstance(row.data, JobState) and isinstance(known.data, JobState)):
        return False
    return row.data.mark < known.data.mark

"""What somebody has to look after now and then: jobs that nobody declares, pauses that are over."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from schedcore import _definitions, _rules
from schedcore._commit import Committer
from schedcore._draft import Draft
from schedcore._jobs import Job
from schedcore._link import Link
from schedcore._pulse import Pulse
from schedcore._reporter import Reporter
from schedcore._state import SECOND, AppState, JobState
from schedcore.protocols import APP_ROW, Backend, Micros, Row, Step

log = logging.getLogger("schedcore")

EVERY: Micros = 300 * SECOND
RETIRE_AFTER: Micros = 3600 * SECOND
PAGE = 1000
TOLD = 10
"""So many jobs are named to whoever asks about definitions that differ."""


class Housekeeper:
    """Every replica is one; what two do at once, one does and the other sees done."""

    def __init__(
        self,
        backend: Backend,
        jobs: Mapping[str, Job],
        link: Link,
        committer: Committer,
        pulse: Pulse,
        reporter: Reporter,
        replica: str,
    ) -> None:
        """Look after the rows of all jobs but `jobs`, which are this replica's own."""
        self._backend = backend
        self._jobs = jobs
        self._link = link
        self._committer = committer
        self._pulse = pulse
        self._reporter = reporter
        self._replica = replica
        self._looked: Micros = 0
        self._differing: set[str] = set()
        self.declare: Callable[[list[str]], Awaitable[None]]

    def compare(self, row: Row, job: Job) -> None:
        """Note whether another replica that lives has declared the job otherwise, before ours is declared."""
        state, others = row.data, self._pulse.alive - {self._replica}
        if isinstance(state, JobState) and state.spec != job.spec and state.declared_by in others:
            self._differing.add(job.name)
        else:
            self._differing.discard(job.name)

    def facts(self) -> Mapping[str, object]:
        """Tell how many jobs there are, and which of them others define otherwise."""
        differing = sorted(name for name in self._differing if name in self._jobs)
        return {"jobs": len(self._jobs), "differing": differing[:TOLD]}

    async def look(self, now: Micros) -> None:
        """Read every row, unless that was done within five minutes."""
        self._looked = self._looked or now
        if now - self._looked < EVERY:
            return
        self._looked = now
        states: list[JobState] = []
        left: list[str] = []
        others = self._pulse.alive - {self._replica}
        after, rows = "", [Row("")]
        while rows:
            rows = await self._page(after)
            for row in rows:
                after = row.job
                if isinstance(row.data, JobState):
                    states.append(row.data)
                    if row.job in self._jobs:
                        self._committer.learn([row])  # so that metrics of rare jobs are not as old as these
                        if row.data.declared_by not in self._pulse.alive:
                            left.append(row.job)  # its declarer lives, and has removed it
                    elif row.data.declared_by not in others:
                        await self._consider_orphan(row, row.data.orphaned_at, now, others)
        if left:
            await self.declare(left)
        await self._forget_pauses(states, now)

    async def _page(self, after: str) -> list[Row]:
        return list(await self._link.call(lambda: self._backend.store.rows(after=after, limit=PAGE)))

    async def _forget_pauses(self, states: list[JobState], now: Micros) -> None:
        """The app's row keeps a pause until no undecided time of any job can fall in it."""

        def rule(app: Row, _: Row) -> Step | None:
            state = app.data
            if not isinstance(state, AppState):
                return None
            kept = _definitions.pauses_to_keep(state.pauses, states, now)
            if kept == state.pauses:
                return None
            data = AppState(kept, state.extra)
            return Step(self._committer.next_id(), APP_ROW, ((APP_ROW, app.version),), data)

        await self._committer.apply([APP_ROW], rule, app=False)

    async def _consider_orphan(
        self, row: Row, orphaned_at: Micros | None, now: Micros, others: frozenset[str]
    ) -> None:
        """Note since when nobody declares a job; an hour of the app's life later, retire it."""
        restart = self._pulse.restarted_at
        self._committer.rows[row.job] = row
        if orphaned_at is not None and orphaned_at >= restart and now - orphaned_at > RETIRE_AFTER:
            await self._retire(row.job, now, orphaned_at)
        else:

            def rule(row: Row, _: Row) -> Draft | None:
                return _definitions.orphaned(row, others, now, restart)

            await self._committer.apply([row.job], rule, app=False)
        if row.job not in self._jobs:
            self._committer.rows.pop(row.job, None)

    async def _retire(self, job: str, now: Micros, orphaned_at: Micros) -> None:
        """Finish what nobody will run, then delete the row; somebody who holds a run of it comes first."""
        bus, names = self._backend.bus, frozenset((job,))
        taken = list(await self._link.call(lambda: bus.receive(names, PAGE, 0)))
        lapsed = await self._link.call(lambda: bus.lapsed(names, PAGE))
        if lapsed:
            taken += await self._link.call(lambda: bus.take_over(lapsed))
        for delivery in taken:
            self._reporter.report(delivery, _definitions.RETIRED_UNRUN)
        await self._reporter.settled()

        def rule(row: Row, app: Row) -> Step | None:
            if not isinstance(row.data, JobState) or row.data.orphaned_at != orphaned_at:
                return None  # somebody has declared it meanwhile
            draft = _rules.retire(row, now, app)
            return None if draft is None else draft.step(self._committer.next_id(), app, delete=True)

        answers = await self._committer.apply([job], rule, app=False)
        if job in answers:
            log.warning(
                "retired job %s: no live replica had it for an hour",
                job,
                extra={"event": "job.retired", "job": job},
            )

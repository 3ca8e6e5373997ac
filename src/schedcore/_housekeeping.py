"""What somebody has to look after now and then: jobs that nobody declares, pauses that are over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from schedcore import _definitions, _rules
from schedcore._commit import Committer
from schedcore._draft import Draft
from schedcore._jobs import Job
from schedcore._link import Link
from schedcore._pulse import Pulse
from schedcore._reporter import Reporter
from schedcore._state import SECOND, AppState, JobState
from schedcore.protocols import APP_ROW, Backend, Micros, Row, Step, Verdict

log = logging.getLogger("schedcore")

EVERY: Micros = 300 * SECOND
RETIRE_AFTER: Micros = 3600 * SECOND
PAGE = 1000
PATIENCE = 1.0
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
        self._after = ""
        self._states: list[JobState] = []
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
        """Every five minutes read all rows, a page with each beat: who beats has leases to renew."""
        self._looked = self._looked or now
        if not self._after and now - self._looked < EVERY:
            return
        if not self._after:
            self._looked = now
        rows = list(await self._link.call(lambda: self._backend.store.rows(after=self._after, limit=PAGE)))
        left: list[str] = []
        orphans: dict[str, Row] = {}
        others = self._pulse.alive - {self._replica}
        for row in rows:
            if isinstance(row.data, JobState):
                self._states.append(row.data)
                if row.job in self._jobs:
                    self._committer.learn([row])  # so that metrics of rare jobs are not as old as these
                    if row.data.declared_by not in self._pulse.alive:
                        left.append(row.job)  # its declarer lives, and has removed it
                elif row.data.declared_by not in others:
                    orphans[row.job] = row
        await self._consider(orphans, now, others)
        if left:
            await self.declare(left)
        self._after = rows[-1].job if len(rows) >= PAGE else ""
        if not self._after:
            states, self._states = self._states, []
            await self._forget_pauses(states, now)

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

    async def _consider(self, orphans: Mapping[str, Row], now: Micros, others: frozenset[str]) -> None:
        """Note since when nobody declares these jobs; an hour of the app's life later, retire them."""
        restart = self._pulse.restarted_at
        self._committer.rows.update(orphans)
        since = {job: _orphaned_at(row) for job, row in orphans.items()}
        old = {job: at for job, at in since.items() if at >= restart and now - at > RETIRE_AFTER}

        def rule(row: Row, _: Row) -> Draft | None:
            return _definitions.orphaned(row, others, now, restart)

        await self._committer.apply([job for job in orphans if job not in old], rule, app=False)
        if old:
            await self._retire(old, now)
        for job in orphans:
            if job not in self._jobs:
                self._committer.rows.pop(job, None)

    async def _retire(self, orphans: Mapping[str, Micros], now: Micros) -> None:
        """Finish what nobody will run, then delete the rows; somebody who holds a run of one comes first."""
        bus, names = self._backend.bus, frozenset(orphans)
        taken = list(await self._link.call(lambda: bus.receive(names, PAGE, 0)))
        lapsed = await self._link.call(lambda: bus.lapsed(names, PAGE))
        if lapsed:
            taken += await self._link.call(lambda: bus.take_over(lapsed))
        for delivery in taken:
            self._reporter.report(delivery, _definitions.RETIRED_UNRUN)
        if taken:
            with suppress(TimeoutError):  # what is not recorded by then keeps its row until the next time
                async with asyncio.timeout(PATIENCE):
                    await self._reporter.settled()

        def rule(row: Row, app: Row) -> Step | None:
            if not isinstance(row.data, JobState) or row.data.orphaned_at != orphans[row.job]:
                return None  # somebody has declared it meanwhile
            draft = _rules.retire(row, now, app)
            return None if draft is None else draft.step(self._committer.next_id(), app, delete=True)

        answers = await self._committer.apply(list(orphans), rule, app=False)
        for job, answer in answers.items():
            if answer.verdict is Verdict.DONE:
                log.warning(
                    "retired job %s: no live replica had it for an hour",
                    job,
                    extra={"event": "job.retired", "job": job},
                )


def _orphaned_at(row: Row) -> Micros:
    """Tell since when nobody declares the job; 0 where that was not noted yet."""
    return (isinstance(row.data, JobState) and row.data.orphaned_at) or 0

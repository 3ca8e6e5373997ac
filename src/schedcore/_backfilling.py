"""Triggers what a backfill has planned, in order, as the overlap policy of the job lets them through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from schedcore import _auditing, _backfill
from schedcore._backfill import FULL, Planned
from schedcore._commit import Committer
from schedcore._control import PENDING, Control
from schedcore._draft import Draft
from schedcore._state import AppState, JobState
from schedcore.errors import ConfigurationError, UnknownJobError
from schedcore.protocols import Kind, Micros, Row, Verdict

LOOK = 0.2
"""Seconds between two looks whether there is room, or whether something has ended."""

AT_ONCE = 50
"""So many backfills of a job may be outstanding: far fewer than the keys that its row remembers."""

Tell = Callable[[Planned, str, str], None]
"""Is told of each time how its run ended, and the detail."""


async def plan(
    control: Control, job: str, begin: Micros, end: Micros, *, name: str = "", everything: bool = False
) -> list[Planned]:
    """Plan the backfill of a job's times in (begin, end].

    Raises:
        UnknownJobError: the app has no such job.
        ConfigurationError: there are too many times.
    """
    await control.check(job)
    rows = await control.call(lambda store: store.rows([job]))
    now, app, lines = await control.call(lambda store: _auditing.read(store, rows, begin, end))
    state = rows[0].data
    assert isinstance(state, JobState)
    pauses = (*state.pauses, *(app.data.pauses if isinstance(app.data, AppState) else ()))
    return _backfill.plan(state, lines[job], pauses, begin, end, now, name=name, everything=everything)


class Backfilling:
    """One backfill of a job, while it goes on."""

    def __init__(self, control: Control, job: str, most: int, tell: Tell) -> None:
        """Have `most` of its runs outstanding at once; `tell` hears how each of them ended."""
        self._control = control
        self._committer: Committer = control.committer()
        self._job = job
        self._most = most
        self._tell = tell
        self._open: dict[str, Planned] = {}
        self.outcomes: dict[str, str] = {}

    async def run(self, planned: Sequence[Planned]) -> dict[str, str]:
        """Trigger each in order, wait until all have ended, and return how, by key.

        Raises:
            ConfigurationError: no replica is alive that could run anything.
            UnknownJobError: the job was removed meanwhile.
        """
        if planned and not await self._control.replicas():
            raise ConfigurationError("no replica of the app is alive, so nothing would run: start one first")
        await self._committer.read([self._job])
        for each in planned:
            while not await self._send(each):
                await self._look()
        while self._open:
            await self._look()
        return self.outcomes

    async def _send(self, each: Planned) -> bool:
        now, said = await self._control.call(lambda store: store.now()), [FULL]

        def rule(row: Row, _: Row) -> Draft | None:
            if not isinstance(row.data, JobState):
                raise UnknownJobError(self._job, ())
            said[0], draft = _backfill.send(row, each.at, each.key, self._most, now)
            return draft

        answers = await self._committer.apply([self._job], rule, app=False)
        if self._job in answers and answers[self._job].verdict is not Verdict.DONE:
            return False
        if said[0] == FULL:
            return False
        self._open[each.key] = each
        await self._settle()
        return True

    async def _look(self) -> None:
        await asyncio.sleep(LOOK)
        await self._committer.read([self._job])
        await self._settle()

    async def _settle(self) -> None:
        """Tell of those that have ended; where the row has forgotten one, its line tells."""
        state = self._committer.rows[self._job].data
        if not isinstance(state, JobState):
            raise UnknownJobError(self._job, ())
        known = {recent.key: recent for recent in state.recent}
        for key, each in list(self._open.items()):
            recent = known.get(f"{Kind.BACKFILL}:{key}")
            if recent is None:
                self._close(each, *await self._from_history(each))
            elif recent.outcome not in PENDING:
                self._close(each, recent.outcome, recent.detail)

    def _close(self, each: Planned, outcome: str, detail: str) -> None:
        del self._open[each.key]
        self.outcomes[each.key] = outcome
        self._tell(each, outcome, detail)

    async def _from_history(self, each: Planned) -> tuple[str, str]:
        lines, _ = await self._control.call(
            lambda store: store.runs(self._job, after=each.at - 1, until=each.at, limit=1000)
        )
        for line in lines:
            if line.key == f"{Kind.BACKFILL}:{each.key}":
                return str(line.status), line.detail
        return "ended", "newer runs have displaced its line"

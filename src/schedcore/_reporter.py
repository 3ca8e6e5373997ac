"""Commits how deliveries ended: one call in flight, and all that ended meanwhile goes into the next."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

from schedcore._commit import Committer
from schedcore._draft import Draft, Outcome
from schedcore._state import JobState
from schedcore.protocols import Answer, Delivery, Row, Run, Step, Verdict

log = logging.getLogger("schedcore")

Ended = tuple[Delivery, Outcome]


class Reporter:
    """Folds the ends of one job into one step, and gives back what is to be run elsewhere."""

    def __init__(
        self,
        committer: Committer,
        replica: str,
        give_back: Callable[[Sequence[Delivery]], Awaitable[None]],
        finished: Callable[[Sequence[Delivery]], None],
        *others_first: Callable[[], Awaitable[None]],
    ) -> None:
        """Begin with nothing to report; `finished` is told which leases are no longer needed.

        `others_first` are awaited before each commit, unless something is to be given back.
        """
        self._committer = committer
        self._replica = replica
        self._give_back = give_back
        self._finished = finished
        self._others_first = others_first
        self._ended: list[Ended] = []
        self._returned: list[Delivery] = []
        self._something = asyncio.Event()
        self._busy = False
        self._idle = asyncio.Event()
        self._idle.set()

    def report(self, delivery: Delivery, outcome: Outcome | None) -> None:
        """Take note of an end, or of a delivery to be given back."""
        if outcome is None:
            self._returned.append(delivery)
        else:
            self._ended.append((delivery, outcome))
        self._idle.clear()
        self._something.set()

    async def settled(self) -> None:
        """Wait until all that was reported is committed."""
        await self._idle.wait()

    async def run(self) -> None:
        """Commit what is reported, for ever."""
        while True:
            await self._something.wait()
            for other in () if self._returned else self._others_first:
                await other()
            self._something.clear()
            await self._record()
            if not self._something.is_set():
                self._idle.set()

    async def _record(self) -> None:
        ended, self._ended = self._ended, []
        returned, self._returned = self._returned, []
        try:
            await self._commit(ended)
            if returned:
                await self._give_back(returned)
                self._finished(returned)
        except BaseException:
            self._ended = ended + self._ended
            self._returned = returned + self._returned
            self._something.set()
            raise

    async def _commit(self, ended: list[Ended]) -> None:
        by_job: dict[str, list[Ended]] = defaultdict(list)
        for end in ended:
            by_job[end[0].trigger.job].append(end)

        def rule(row: Row, _: Row) -> Draft | Step:
            return self._rule(row, by_job[row.job])

        while by_job:
            answers = await self._committer.apply(list(by_job), rule, app=False)
            by_job = {
                job: left for job, answer in answers.items() if (left := self._left(by_job[job], answer))
            }

    def _rule(self, row: Row, ended: list[Ended]) -> Draft | Step:
        if not isinstance(row.data, JobState):
            return self._without_row(row, ended)
        draft = Draft(row)
        draft.finish(ended, self._replica)
        return draft

    def _without_row(self, row: Row, ended: list[Ended]) -> Step:
        """The row is gone, or a later release wrote it: acknowledge, leave the lines and the row as it is."""
        lines = tuple(
            Run(
                row.job,
                d.trigger.scheduled_at,
                o.status,
                d.trigger.kind,
                d.trigger.key,
                detail=o.detail,
                replica=self._replica,
                started_at=o.started_at,
                ended_at=o.ended_at,
                attempt=o.attempt,
                delivery=d.number,
            )
            for d, o in ended
        )
        expects = ((row.job, row.version),)
        done = tuple(d for d, _ in ended)
        return Step(self._committer.next_id(), row.job, expects, row.data, done=done, runs=lines)

    def _left(self, ended: list[Ended], answer: Answer) -> list[Ended]:
        """Let go of what is decided, and keep what is to be tried again without the refused ones."""
        if answer.verdict is Verdict.DONE:
            self._finished([delivery for delivery, _ in ended])
            return []
        refused = {delivery.token for delivery in answer.refused}
        self._finished([d for d, _ in ended if d.token in refused])
        if refused:
            log.warning(
                "result refused: job %s, another replica has taken the run over",
                ended[0][0].trigger.job,
                extra={"event": "run.refused", "job": ended[0][0].trigger.job},
            )
        return [end for end in ended if end[0].token not in refused]

"""Designs that others have used, as stores; and rules of the core with one mistake each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sched_ram import Memory
from schedcore import _definitions, _overlap, _rules, _runner
from schedcore._commit import Committer
from schedcore._draft import Draft
from schedcore._execute import Execution
from schedcore._pulse import Pulse
from schedcore._state import JobState
from schedcore.protocols import Delivery, Micros, Status, Step, Verdict
from schedcore.testing import Story

Checked = tuple[Verdict, tuple[Delivery, ...]]


class LockDecides(Memory):
    """Whoever gets the job's lock first may send; the lock goes after a second, as a short-lived one does."""

    def clear(self) -> None:
        super().clear()
        self.locks: dict[str, int] = {}

    def _check(self, step: Step, replica: str, now: Micros) -> Checked:
        verdict, refused = super()._check(step, replica, now)
        if verdict is not Verdict.CHANGED:
            return verdict, refused
        if now < step.not_before:
            return Verdict.EARLY, ()
        if step.send and self.locks.get(step.job, 0) > now:
            return Verdict.CHANGED, ()
        self.locks[step.job] = now + 1_000_000
        return Verdict.DONE, ()


class LockPlusMark(LockDecides):
    """The lock decides, and a mark that would not rise is refused: a row is still overwritten unseen."""

    def _check(self, step: Step, replica: str, now: Micros) -> Checked:
        row, new = self.row(step.job).data, step.data
        rises = not (isinstance(row, JobState) and isinstance(new, JobState) and new.mark <= row.mark)
        if not step.send or rises or self.committed(step.id):
            return super()._check(step, replica, now)
        return Memory._check(self, step, replica, now)


Told = Callable[[int], Story]
Patch = Callable[[pytest.MonkeyPatch], None]


def no_pauses_of_all(patch: pytest.MonkeyPatch) -> None:
    """The app's pauses are forgotten."""
    patch.setattr(_rules, "_pauses", lambda app: ())
    patch.setattr(_rules, "_paused_since", lambda first, app: False)


def always_room(patch: pytest.MonkeyPatch) -> None:
    """Nothing that is outstanding keeps anything from being sent."""
    patch.setattr(_overlap, "room", lambda state: 1)


def runs_again_at_most_once(patch: pytest.MonkeyPatch) -> None:
    """What was taken over is run, whatever its delivery mode."""
    patch.setattr("schedcore._recovery.verdict", lambda delivery, said: None)


def gives_back_what_began(patch: pytest.MonkeyPatch) -> None:
    """What has begun, and is to run at most once, is given back by a replica that stops."""
    patch.setattr(Execution, "may_run_again", lambda self: not self.over)
    interrupted = Execution._interrupted
    patch.setattr(Execution, "_interrupted", lambda self: None if self.ended_by else interrupted(self))


def forgets_to_count(patch: pytest.MonkeyPatch) -> None:
    """What was skipped is not counted."""
    count = Draft.count

    def wrong(self: Draft, status: Status, number: int = 1, *, by_hand: bool = False) -> None:
        if status is not Status.SKIPPED:
            count(self, status, number, by_hand=by_hand)

    patch.setattr(Draft, "count", wrong)


def edits_settle_nothing(patch: pytest.MonkeyPatch) -> None:
    """An edit forgets the times that were still undecided."""
    patch.setattr(_definitions, "tick", lambda row, app, now, by_time: None)


def what_waits_waits_for_ever(patch: pytest.MonkeyPatch) -> None:
    """The end of a run sends nothing."""
    patch.setattr(Draft, "advance", lambda self: None)


def nobody_renews(patch: pytest.MonkeyPatch) -> None:
    """Leases are left alone, and nobody minds."""

    async def renew(self: Pulse) -> None:
        self._renewed = self._clock.clock.monotonic()

    patch.setattr(Pulse, "renew", renew)


def nobody_sweeps(patch: pytest.MonkeyPatch) -> None:
    """What the dead leave is left."""

    async def sweep(self: Pulse) -> tuple[()]:
        return ()

    patch.setattr(Pulse, "sweep", sweep)


def whoever_wakes_goes_on(patch: pytest.MonkeyPatch) -> None:
    """A replica that stood still begins what came meanwhile, although its lease may have lapsed."""
    patch.setattr(Pulse, "sure", lambda self: True)
    patch.setattr(_runner, "DOUBT", 1 << 60)


def what_was_long_on_its_way_begins(patch: pytest.MonkeyPatch) -> None:
    """A replica that stood still, and has renewed since, begins what was claimed for it before."""
    patch.setattr(_runner, "DOUBT", 1 << 60)


def the_first_declarer_stays(patch: pytest.MonkeyPatch) -> None:
    """A replica that is gone still says what the definition is."""
    declare = _definitions.declare

    def wrong(row: Any, app: Any, spec: Any, by: Any, alive: Any, now: Micros) -> Any:
        declared_by = getattr(row.data, "declared_by", by.id)
        return declare(row, app, spec, by, {*alive, declared_by}, now)

    patch.setattr(_definitions, "declare", wrong)


def a_day_too_early(patch: pytest.MonkeyPatch) -> None:
    """The store is not asked whether it is time."""
    step = Draft.step

    def wrong(self: Draft, *args: Any, **kwargs: Any) -> Step:
        self.not_before = 0
        return step(self, *args, **kwargs)

    patch.setattr(Draft, "step", wrong)


def takes_every_row_for_new(patch: pytest.MonkeyPatch) -> None:
    """What the bus held when a row was read, with the pauses of then, is taken for what it holds now."""
    say = Committer._say

    def wrong(self: Committer, jobs: Any, rule: Any, app: bool, steps: Any, read: Any = ()) -> list[str]:
        return say(self, jobs, rule, app, steps, jobs)

    patch.setattr(Committer, "_say", wrong)


def as_if_never_missed(patch: pytest.MonkeyPatch) -> None:
    """What is late and not caught up on is dropped without a word."""
    stretch = Draft.stretch

    def wrong(self: Draft, status: Status, *args: Any) -> int:
        return 0 if status is Status.MISSED else stretch(self, status, *args)

    patch.setattr(Draft, "stretch", wrong)

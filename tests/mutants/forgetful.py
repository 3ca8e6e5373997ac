"""More stores that are wrong: what they forget, mix up, or remember too well."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import attrs

from sched_ram import Memory
from sched_ram._history import History
from sched_ram._memory import LEASE, Item
from schedcore.protocols import Answer, Delivery, Keep, Micros, Status, Step, Trigger, Verdict


class NoteOutlivesItsOwner(Memory):
    """What the owner before said is told of the next one."""

    def give(self, item: Item, replica: str) -> Delivery:
        note = item.note
        delivery = super().give(item, replica)
        item.note = note
        return delivery


class SinceTheFirstOwner(Memory):
    """A delivery is held since somebody had it first."""

    def give(self, item: Item, replica: str) -> Delivery:
        since = item.since
        delivery = super().give(item, replica)
        item.since = since or item.since
        return delivery


class CancelOutlivesATakeOver(Memory):
    """Only giving back takes the request away."""

    def give(self, item: Item, replica: str) -> Delivery:
        cancel = item.cancel and bool(item.replica)
        delivery = super().give(item, replica)
        item.cancel = cancel
        return delivery


class ExtraIsLost(Memory):
    """There is no column for what a later release may add."""

    def _append(self, trigger: Trigger) -> None:
        super()._append(attrs.evolve(trigger, extra=""))


class TakenOverFromColumns(Memory):
    """A take-over makes the trigger anew, of what it has columns for."""

    def give(self, item: Item, replica: str) -> Delivery:
        if item.replica:
            item.trigger = attrs.evolve(item.trigger, extra="")
        return super().give(item, replica)


class JoinedNames(Memory):
    """Job and key are one string, with a colon between."""

    def _append(self, trigger: Trigger) -> None:
        joined = {f"{job}:{key}" for job, items in self.items.items() for key in items}
        if f"{trigger.job}:{trigger.key}" not in joined:
            super()._append(trigger)


class SendsTwice(Memory):
    """A trigger is put beside the one that is there."""

    def _append(self, trigger: Trigger) -> None:
        item = Item(trigger)
        self.items.setdefault(trigger.job, {})[trigger.key] = item
        self.offer(item)


class SendsFirst(Memory):
    """What a step sends is looked at before what it has finished is removed."""

    def _apply(self, step: Step, now: Micros) -> None:
        new = tuple(t for t in step.send if t.key not in self.items.get(t.job, {}))
        super()._apply(attrs.evolve(step, send=new), now)


class RemembersWhatWasChanged(Memory):
    """The id is written down before the rows are compared."""

    verdict = Verdict.CHANGED

    def _check(self, step: Step, replica: str, now: Micros) -> tuple[Verdict, tuple[Delivery, ...]]:
        verdict, refused = super()._check(step, replica, now)
        if verdict is self.verdict:
            self._committed.add(step.id)
        return verdict, refused


class RemembersWhatWasNotOurs(RemembersWhatWasChanged):
    """The id is written down before the owners are checked."""

    verdict = Verdict.NOT_OURS


class RemembersWhatWasEarly(RemembersWhatWasChanged):
    """The id is written down before the time is looked at."""

    verdict = Verdict.EARLY


class BeatsForgetSteps(Memory):
    """A beat tidies up, and leaves no id behind."""

    def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Micros:
        self._committed.clear()
        return super().beat(replica, facts, ttl)


class DeletingIsNotRemembered(Memory):
    """The id is kept with the row, and goes with it."""

    def commit(self, step: Step, replica: str) -> Answer:
        answer = super().commit(step, replica)
        if step.data is None:
            self._committed.discard(step.id)
        return answer


class TwoRowsOnly(Memory):
    """Of the expected rows the step's own and one more are compared."""

    def _check(self, step: Step, replica: str, now: Micros) -> tuple[Verdict, tuple[Delivery, ...]]:
        return super()._check(attrs.evolve(step, expects=step.expects[:2]), replica, now)


class GapOfTheLiving(Memory):
    """The last beat is looked for among the replicas that are listed."""

    def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Micros:
        now = self.clock()
        living = [r.beat_at for r, until in self.replicas.values() if until > now]
        self.last_beat = max(living, default=None)
        return super().beat(replica, facts, ttl)


class ShortGap(Memory):
    """A beat that is a fifth of a second late is an outage."""

    def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Micros:
        gap = super().beat(replica, facts, ttl)
        if gap > 3_200_000:
            self.no_take_over_until = self.clock() + LEASE
        return gap


class FailedOnlyHistory(History):
    """Of what went wrong only FAILED is kept."""

    def append(self, runs: Any, keep: Keep, now: Micros) -> None:
        super().append(runs, keep, now)
        for job, lines in self._failures.items():
            self._failures[job] = deque(line for line in lines if line[2].status is Status.FAILED)


class BesidesHistory(History):
    """`lines` counts successes, and failures are kept besides."""

    def append(self, runs: Any, keep: Keep, now: Micros) -> None:
        for run in runs:
            failed = run.status is not Status.SUCCEEDED
            before = self._lines.setdefault(run.job, deque()).copy()
            super().append([run], keep, now)
            if failed:
                self._lines[run.job] = before


class EndlessHistory(History):
    """Failures are never dropped for their number."""

    def append(self, runs: Any, keep: Keep, now: Micros) -> None:
        super().append(runs, attrs.evolve(keep, failures=1000), now)


class OneForAllHistory(History):
    """The lines of all jobs are counted together."""

    def append(self, runs: Any, keep: Keep, now: Micros) -> None:
        super().append(runs, keep, now)
        numbers = sorted(number for lines in self._lines.values() for number, *_ in lines)
        for job, lines in self._lines.items():
            self._lines[job] = deque(line for line in lines if line[0] in numbers[-keep.lines :])


class PrefixHistory(History):
    """A job's lines are those whose job begins as its name does."""

    def read(self, job: str, *which: Any) -> Any:
        for name in [name for name in self._lines if name.startswith(job) and name != job]:
            self._lines.setdefault(job, deque()).extend(self._lines[name])
        return super().read(job, *which)

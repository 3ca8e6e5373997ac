"""Watches what a store commits, from outside of it: what was sent, what ended, whether each step adds up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import attrs

from schedcore._state import AppState, JobState, Spec
from schedcore.protocols import (
    APP_ROW,
    Answer,
    Delivery,
    Micros,
    Renewal,
    Run,
    Status,
    Step,
    Trigger,
    Verdict,
)
from schedcore.testing._books import PLANNED, Broken
from schedcore.testing._checker import LEASE


@attrs.frozen
class Sent:
    """A trigger that the store has accepted."""

    trigger: Trigger
    at: Micros
    store_at: Micros


@attrs.frozen
class Handed:
    """What a replica gave back, and when somebody got it then."""

    name: tuple[str, str]
    back: Micros
    again: Micros


@attrs.define
class Span:
    """A stretch of a job's life under one definition of `since`: its times are those in (after, until]."""

    spec: Spec
    since: Micros
    after: Micros
    until: Micros | None = None


@attrs.define
class _Account:
    state: JobState
    expected: int


def times_of(spec: Spec, after: Micros, until: Micros) -> int:
    """Count a definition's scheduled times in (after, until], by its schedule alone."""
    lower, upper = bounds(spec, after, until)
    return spec.schedule.count_us(lower, upper) if upper > lower else 0


def bounds(spec: Spec, after: Micros, until: Micros) -> tuple[Micros, Micros]:
    """Cut a stretch to where the definition is in force."""
    if not spec.enabled:
        return after, after
    lower = after if spec.start_at is None else max(after, spec.start_at - 1)
    return lower, until if spec.until is None else min(until, spec.until)


def accounted(state: JobState) -> int:
    """Count the scheduled times that a row tells of: decided, sent or waiting."""
    waiting = sum(trigger.kind in PLANNED for trigger in state.waiting)
    return sum(state.counters.values()) + waiting + sum(key.isdecimal() for key in state.outstanding)


def _name(delivery: Delivery) -> tuple[str, str]:
    return delivery.trigger.job, delivery.trigger.key


class Witness:
    """Remembers every step that a store has committed, as its answers say."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.sent: list[Sent] = []
        self.ended: list[Run] = []
        self.broken: list[Broken] = []
        self.spans: dict[str, list[Span]] = {}
        self.last_loss: Micros | None = None
        self.steps = 0
        self._lossy_until: Micros = 0
        self._seen: set[str] = set()
        self._newest: dict[tuple[str, str], Delivery] = {}
        self.handed: list[Handed] = []
        self._returned: dict[tuple[str, str], Micros] = {}
        self._triggers: dict[tuple[str, str], list[Trigger]] = {}
        self._cancelled: set[tuple[str, str, int]] = set()
        self._kept: dict[tuple[str, str], tuple[Micros, Micros]] = {}
        self._accounts: dict[str, _Account] = {}
        self._app: AppState | None = None

    def see(
        self, steps: Sequence[Step], answers: Sequence[Answer], now: Micros, *, from_before: bool
    ) -> None:
        """Take note of a call: what it committed, and whether its steps are `from_before` a loss of data."""
        for step, answer in zip(steps, answers, strict=True):
            if answer.verdict is Verdict.DONE and step.id not in self._seen:
                self._seen.add(step.id)
                if from_before and step.expects[0][1]:
                    what = f"a step of {step.job or 'the app'} from before the loss was committed after it"
                    self.broken.append(Broken("old", what))
                self._see(step, answer.now, now)

    def handed_out(
        self, deliveries: Sequence[Delivery], now: Micros, store_at: Micros, *, taken_over: bool
    ) -> None:
        """Take note of what the store gave a replica: with the next number, a greater token, and alone.

        A lease may run out by the store's clock, which may step, or by the time that passes.
        """
        for delivery in deliveries:
            name = _name(delivery)
            if delivery.trigger not in self._triggers.get(name, ()):
                what = f"{' '.join(name)} was handed out otherwise than it was sent"
                self.broken.append(Broken("kept", what))
            before = self._newest.get(name)
            if before is not None:
                told = f"{' '.join(name)} was handed out"
                returned = name in self._returned
                number = before.number + (taken_over and not returned)
                if delivery.token <= before.token or (
                    delivery.number != number and not (returned and taken_over)
                ):
                    what = f"number {delivery.number}, token {delivery.token}"
                    what += f", after {before.number}, {before.token}"
                    self.broken.append(Broken("tokens", f"{told} with {what}"))
                kept = self._kept.get(name, (0, 0))
                age = max(now - kept[0], store_at - kept[1])
                if not returned and not (taken_over and age >= LEASE):
                    what = f"{age / 1_000_000:g} s after another replica got it or renewed its lease"
                    self.broken.append(Broken("again", f"{told} {what}"))
            back = self._returned.pop(name, None)
            if back is not None:
                self.handed.append(Handed(name, back, now))
            self._newest[name], self._kept[name] = delivery, (now, store_at)

    def renewed(self, renewal: Renewal, now: Micros, store_at: Micros) -> None:
        """Take note of leases that were renewed, and of who is told to cancel: what was asked, each time."""
        for delivery in renewal.mine:
            name = _name(delivery)
            if self._newest.get(name) == delivery:
                self._kept[name] = now, store_at
                told, asked = name in renewal.cancel, (*name, delivery.token) in self._cancelled
                if told != asked and self.last_loss is None:
                    what = "was told to cancel, which nobody asked" if told else "was not told to cancel"
                    self.broken.append(Broken("cancelled", f"who holds {' '.join(name)} {what}"))

    def asked_to_cancel(self, job: str, key: str, *, held: bool) -> None:
        """Take note of a request to cancel, and of whether somebody is said to hold it."""
        owned = (job, key) in self._newest and (job, key) not in self._returned
        if held and owned:
            self._cancelled.add((job, key, self._newest[job, key].token))
        if held != owned and self.last_loss is None:
            what = f"{job} {key} is said to be {'held, and is not' if held else 'held by nobody, and is'}"
            self.broken.append(Broken("cancelled", what))

    def holding(self) -> list[tuple[tuple[str, str], int]]:
        """List what replicas hold by the store's word, with the tokens."""
        return [(name, each.token) for name, each in self._newest.items() if name not in self._returned]

    def asked_for(self, jobs: Collection[str], limit: int, deliveries: Sequence[Delivery]) -> None:
        """See that what was named is handed out, and no more."""
        names = {delivery.trigger.job for delivery in deliveries} - set(jobs)
        if names:
            self.broken.append(
                Broken("asked", f"{', '.join(sorted(names))} went to a replica that did not ask for it")
            )
        if len(deliveries) > limit:
            self.broken.append(Broken("asked", f"of at most {limit} deliveries {len(deliveries)} came"))

    def given_back(self, deliveries: Collection[Delivery], now: Micros) -> None:
        """Take note of what a replica wants no more."""
        for delivery in deliveries:
            name = _name(delivery)
            if self._newest.get(name) == delivery:
                self._returned.setdefault(name, now)

    def _see(self, step: Step, store_at: Micros, now: Micros) -> None:
        self.steps += 1
        for delivery in step.done:
            name = _name(delivery)
            newest = self._newest.pop(name, delivery)
            self._kept.pop(name, None)
            self._returned.pop(name, None)
            if newest.token != delivery.token:
                what = f"{delivery.trigger.job} {delivery.trigger.key} ended by token {delivery.token}"
                self.broken.append(Broken("tokens", f"{what}, though {newest.token} was handed out since"))
        if not self._just_lost(now):
            self._check_sending(step, store_at)
        self._check_lost(step)
        for trigger in step.send:
            self.sent.append(Sent(trigger, now, store_at))
            self._triggers.setdefault((trigger.job, trigger.key), []).append(trigger)
        self.ended.extend(step.runs)
        if step.job == APP_ROW:
            self._app = step.data if isinstance(step.data, AppState) else None
        elif step.data is None:
            self._accounts.pop(step.job, None)
            self.spans.pop(step.job, None)
        elif isinstance(step.data, JobState):
            self._note_span(step.job, step.data)
            self._check_account(step, step.data, now)

    def _check_sending(self, step: Step, store_at: Micros) -> None:
        """Nothing is sent before its time, and nothing planned in a pause but what was waiting already."""
        account = self._accounts.get(step.job)
        waiting = {trigger.key for trigger in account.state.waiting} if account else set()
        pauses = self._app.pauses if self._app else ()
        for trigger in step.send:
            if trigger.kind not in PLANNED:
                continue
            if store_at < trigger.scheduled_at and trigger.key not in waiting:
                early = trigger.scheduled_at - store_at
                self.broken.append(
                    Broken("early", f"{trigger.job} {trigger.key} was sent {early} us too early")
                )
            if trigger.key not in waiting and any(pause.active(store_at) for pause in pauses):
                what = f"{trigger.job} {trigger.key} was sent during a pause of every job"
                self.broken.append(Broken("paused", what))

    def _check_lost(self, step: Step) -> None:
        """What was sent leaves the bus only with the step that finishes it."""
        done = {_name(delivery) for delivery in step.done}
        for run in step.runs:
            name = (run.job, run.key)
            vanished = run.status is Status.LOST and name in self._triggers and name not in done
            if vanished and step.data is not None and self.last_loss is None:
                what = f"{' '.join(name)} was sent, and was not in the bus any more"
                self.broken.append(Broken("vanished", what))

    def _note_span(self, job: str, state: JobState) -> None:
        spans = self.spans.setdefault(job, [])
        last = spans[-1] if spans else None
        if last is None or last.until is not None:
            spans.append(Span(state.spec, state.since, max(state.since, self._lossy_until)))
        elif (last.spec, last.since) != (state.spec, state.since):
            last.until = state.since
            spans.append(Span(state.spec, state.since, max(state.since, self._lossy_until)))

    def _check_account(self, step: Step, state: JobState, now: Micros) -> None:
        before = self._accounts.get(step.job)
        counted = accounted(state)
        if before is None:
            self._accounts[step.job] = _Account(state, counted)
            return
        was = before.state
        if (was.spec, was.since) == (state.spec, state.since):
            new = times_of(was.spec, was.mark, state.mark)
        else:
            new = times_of(was.spec, was.mark, state.since) + times_of(state.spec, state.since, state.mark)
            new += sum(not run.key and run.scheduled_at <= was.mark for run in step.runs)  # a bygone one-off
        expected = before.expected + new
        if counted != expected and not self._just_lost(now):
            what = (
                f"{step.job} has had {expected} scheduled times, and its row tells of {counted}: "
                f"{dict(state.counters)}, {len(state.outstanding)} outstanding, {len(state.waiting)} waiting"
            )
            self.broken.append(Broken("counters", what))
        self._accounts[step.job] = _Account(state, counted)

    def _just_lost(self, now: Micros) -> bool:
        """Replicas merge what they remember: what a row tells may jump, to what another has told before."""
        return self.last_loss is not None and now < self.last_loss + 90_000_000

    def save(self) -> Mapping[str, object]:
        """Remember what the rows tell now."""
        return dict(self._accounts)

    def lost_data(self, now: Micros, store_at: Micros, saved: Mapping[str, object] | None = None) -> None:
        """The store lost data; what it has now is what was `saved`, or nothing."""
        self.last_loss, self._lossy_until = now, store_at
        self._accounts = {job: each for job, each in (saved or {}).items() if isinstance(each, _Account)}
        self._app = None
        self._newest.clear()
        self._returned.clear()
        for spans in self.spans.values():
            if spans[-1].until is None:
                spans[-1].until = store_at
        for job, account in self._accounts.items():
            self._note_span(job, account.state)

    def state(self, job: str) -> JobState | None:
        """Tell what the job's row was last."""
        account = self._accounts.get(job)
        return account.state if account else None

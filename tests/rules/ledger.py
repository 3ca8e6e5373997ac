"""A job's row, bus and history, kept as a backend keeps them, and the sums that have to come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import attrs

from schedcore import _rules
from schedcore._draft import Draft, HeldUnknownError
from schedcore._state import AppState, JobState, Pause, Spec
from schedcore._units import to_datetime, to_micros
from schedcore.codec import dump, load
from schedcore.protocols import APP_ROW, Kind, Micros, Row, Run, Status, Trigger

BY_HAND = (Kind.MANUAL, Kind.BACKFILL)
Rule = Callable[[Row, Row], Draft | None]


def walk(spec: Spec, after: Micros, until: Micros) -> list[Micros]:
    """List the scheduled times of a definition in (after, until], one after the other."""
    if not spec.enabled:
        return []
    found: list[Micros] = []
    at = after if spec.start_at is None else max(after, spec.start_at - 1)
    until = until if spec.until is None else min(until, spec.until)
    while batch := [to_micros(when) for when in spec.schedule.upcoming(to_datetime(at), 64)]:
        found += [time for time in batch if time <= until]
        at = batch[-1]
        if at >= until:
            break
    return found


@attrs.define
class Ledger:
    """One job of an app with one store.

    `owed` are the scheduled times of the job's life that no line of history has decided yet: after each step
    they have to be exactly those that are outstanding or wait.
    """

    now: Micros
    row: Row = attrs.Factory(lambda: Row("job"))
    app: Row = attrs.Factory(lambda: Row(APP_ROW))
    bus: dict[str, Trigger] = attrs.Factory(dict)
    spec: Spec | None = None
    walked: Micros = 0
    owed: Counter[Micros] = attrs.Factory(Counter)
    lived: set[Micros] = attrs.Factory(set)
    """Every scheduled time of the job's life: each is owed once, however often it is declared."""
    decided: Counter[str] = attrs.Factory(Counter)
    asked: Counter[str] = attrs.Factory(Counter)
    accepted: set[str] = attrs.Factory(set)
    pauses: list[Pause] = attrs.Factory(list)
    """Every pause that ever was, of job and app."""

    @property
    def state(self) -> JobState:
        """The row's content, which is there."""
        assert isinstance(self.row.data, JobState)
        return self.row.data

    @property
    def app_pauses(self) -> tuple[Pause, ...]:
        """The app's pauses."""
        return self.app.data.pauses if isinstance(self.app.data, AppState) else ()

    def paused(self) -> bool:
        """Tell whether a pause of job or app holds now."""
        held = (*self.app_pauses, *(self.state.pauses if self.row.data else ()))
        return any(pause.end is None or self.now < pause.end for pause in held)

    def decide(self, rule: Rule, *, read: bool) -> Draft | None:
        """Apply a rule as the core does: with the keys that the bus holds only once it asks for them."""
        before = dump(self.row.data) if self.row.data else b""
        try:
            draft = rule(attrs.evolve(self.row, held=frozenset(self.bus) if read else None), self.app)
        except HeldUnknownError:
            assert not read
            draft = rule(attrs.evolve(self.row, held=frozenset(self.bus)), self.app)
        assert not self.row.data or dump(self.row.data) == before, "a rule changed the row that it read"
        return draft

    def change_pauses(self, pauses: tuple[Pause, ...], *, of_app: bool) -> Draft | None:
        """Change pauses and settle what they end, as a control call does; what is said is to be committed."""
        self.pauses = [*(p for p in self.pauses if p not in self.app_pauses + self.state.pauses), *pauses]
        self.pauses += self.state.pauses if of_app else self.app_pauses
        if of_app:
            self.app = Row(APP_ROW, self.app.version + 1, AppState(pauses))
            return self.decide(lambda row, app: _rules.tick(row, app, self.now), read=False)
        # a step is judged by the pauses that it brings
        self.row = attrs.evolve(self.row, data=attrs.evolve(self.state, pauses=pauses))
        return self.decide(lambda row, app: _rules.tick(row, app, self.now) or Draft(row), read=False)

    def live(self, spec: Spec, after: Micros) -> None:
        """Begin a stretch of the job's life under a definition."""
        changed = self.spec is None or (self.spec.expression, self.spec.tz) != (spec.expression, spec.tz)
        self.spec, self.walked = spec, after
        if changed and "T" in spec.expression:  # a one-off of the past is owed its line
            times = set(walk(spec, -1, after))
            self.owed.update(times - self.lived)
            self.lived |= times

    def grow(self, until: Micros) -> None:
        """Owe what is due up to an instant."""
        if self.spec is not None and until > self.walked:
            times = walk(self.spec, self.walked, until)
            assert self.lived.isdisjoint(times)
            self.owed.update(times)
            self.lived.update(times)
            self.walked = until

    def commit(self, draft: Draft, *, edit: bool = False, delete: bool = False) -> None:
        """Commit a step as a backend does, and check it and what is there after it."""
        old = self.row.data
        spec = old.spec if isinstance(old, JobState) else draft.state.spec
        step = draft.step("id", self.app, delete=delete)
        assert step.expects == (("job", self.row.version), (APP_ROW, self.app.version))
        assert step.not_before <= self.now
        if isinstance(old, JobState):
            assert draft.state.mark >= old.mark, "the mark fell"
        self.grow(draft.state.mark)
        self._check_new(draft, spec, edit)
        for line in step.runs:
            self._enter(line, spec)
        for delivery in step.done:
            del self.bus[delivery.trigger.key]
        for trigger in step.send:
            assert trigger.key not in self.bus
            self.bus[trigger.key] = load(dump(trigger))
        if delete:
            assert not self.bus
            assert +self.owed == Counter()
            self._begin_anew()
            return
        self.row = Row("job", self.row.version + 1, load(dump(step.data)))
        assert self.row.data == step.data
        self.check()

    def _begin_anew(self) -> None:
        self.row = Row("job", self.row.version + 1)
        self.spec = None
        self.pauses = list(self.app_pauses)
        self.decided.clear()
        self.lived.clear()
        self.asked.clear()

    def _enter(self, line: Run, spec: Spec) -> None:
        if line.status is Status.RETIRED:
            sums = ", ".join(f"{name} {number}" for name, number in sorted(self.decided.items()))
            assert line.detail == (sums or "it never ran")
            return
        if line.kind in BY_HAND:
            self.asked[line.status] += line.count
            return
        times = [line.scheduled_at]
        if line.last_at is not None:
            times = walk(spec, line.scheduled_at - 1, line.last_at)
            assert times[0] == line.scheduled_at
            assert times[-1] == line.last_at
        assert len(times) == line.count
        for at in times:
            assert self.owed[at] > 0, f"{at} was decided before, or is no time of the job: {line}"
            self._check_reason(at, line, spec)
        self.owed.subtract(times)
        self.decided[line.status] += line.count

    def _check_reason(self, at: Micros, line: Run, spec: Spec) -> None:
        if line.status is Status.PAUSED:
            assert self.paused() or any(p.start <= at and (p.end is None or at < p.end) for p in self.pauses)
        if line.status is Status.MISSED and line.detail == _rules.LATE:
            assert at + spec.jitter + spec.options.grace < self.now
        if line.status is Status.MISSED and line.detail == _rules.BEFORE_PAUSE:
            assert any(at < pause.start for pause in self.pauses)

    def _check_new(self, draft: Draft, spec: Spec, edit: bool) -> None:
        """Check what this step accepts for the first time."""
        known = {} if self.row.data is None else {*self.state.outstanding, *keys(self.state.waiting)}
        new = [t for t in (*draft.send, *draft.state.waiting) if t.key not in known]
        for trigger in new:
            if trigger.kind in BY_HAND:
                continue
            assert trigger.key not in self.accepted, "accepted twice"
            self.accepted.add(trigger.key)
            due = trigger.scheduled_at + (0 if edit else spec.jitter)
            assert due <= draft.not_before <= self.now
            assert not self.paused()
            assert not any(p.start <= trigger.scheduled_at < (p.end or self.now) for p in self.pauses)
            is_late = trigger.scheduled_at + spec.jitter + spec.options.grace < self.now
            assert trigger.kind is (Kind.LATE if is_late else Kind.SCHEDULED)
        self._check_overlap(draft, spec, [t for t in draft.state.waiting if t in new])
        late = [t for t in new if t.kind is Kind.LATE]
        assert len(late) <= {"none": 0, "latest": 1, "all": spec.options.max_catch_up}[spec.options.catch_up]

    def _check_overlap(self, draft: Draft, spec: Spec, waits: list[Trigger]) -> None:
        overlap = spec.options.overlap
        if draft.send and overlap != "allow":
            assert draft.state.outstanding == (draft.send[0].key,)
            assert len(draft.send) == 1
        prompt = [t for t in waits if t.kind in (Kind.SCHEDULED, Kind.MANUAL)]
        assert len(prompt) <= {"queue_one": 1, "queue_all": 1000}.get(overlap, 0)
        assert not waits or draft.state.outstanding
        assert overlap != "allow" or not waits
        if waits or any(line.status is Status.SKIPPED for line in draft.runs):
            there = {*self.bus, *keys(draft.send)}
            assert there.issuperset(draft.state.outstanding), "it waits for what has vanished"

    def check(self, limit: int = 1000) -> None:
        """Check that each scheduled time is in exactly one place."""
        state = self.state
        assert len(set(state.outstanding)) == len(state.outstanding)
        assert set(self.bus) <= set(state.outstanding)
        assert len(state.outstanding) <= limit
        assert len(state.waiting) <= limit
        pending = [*state.outstanding, *keys(state.waiting)]
        assert +self.owed == Counter(int(key) for key in pending if key.isdecimal())
        asked = {recent.key: recent.outcome for recent in state.recent}
        assert all(asked[key] == "sent" for key in state.outstanding if not key.isdecimal())
        assert all(asked[key] == "waiting" for key in keys(state.waiting) if not key.isdecimal())
        assert Counter(state.counters) == self.decided
        assert Counter(state.manual) == self.asked


def keys(triggers: Iterable[Trigger]) -> list[str]:
    """List the keys of triggers."""
    return [trigger.key for trigger in triggers]

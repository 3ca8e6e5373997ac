"""Whatever happens to a job in whatever order, each scheduled time of its life is in exactly one place."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from schedcore import _definitions, _draft, _overlap, _rules
from schedcore._definitions import Declarer
from schedcore._draft import Draft, Outcome
from schedcore._state import DAY, SECOND, AppState, Options, Pause, Spec
from schedcore.protocols import APP_ROW, Delivery, Micros, Row, Status

from .ledger import Ledger, keys, walk

MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
LIMIT, RECENT_KEYS = 6, 4
# the nights before clocks in Berlin are put forward and back
NIGHTS = (1_743_199_200 * SECOND, 1_761_343_200 * SECOND)
ONE_OFFS = ("2025-03-29T00:00:00Z", "2025-03-30T02:30:00Z", "2025-04-02T00:00:00Z", "2025-10-26T01:00:00Z")

jumps = st.one_of(
    st.sampled_from([MINUTE, 5 * MINUTE, 7 * MINUTE, HOUR, DAY, 14 * DAY]),
    st.integers(1, 5 * SECOND),
    st.integers(1, 20 * MINUTE),
    st.integers(1, 20 * MINUTE),
    st.integers(1, 3 * DAY),
)
lags = st.one_of(st.integers(0, 2 * SECOND), st.sampled_from([0, MINUTE, MINUTE + 1, 6 * MINUTE, 2 * HOUR]))
options = st.builds(
    Options,
    overlap=st.sampled_from(["skip", "queue_one", "queue_all", "allow"]),
    catch_up=st.sampled_from(["latest", "all", "none"]),
    catch_up_within=st.sampled_from([None, 10 * MINUTE, DAY]),
    max_catch_up=st.sampled_from([100, 1, 3]),
    grace=st.sampled_from([MINUTE, 0, HOUR]),
)
bounds = st.one_of(st.none(), st.none(), st.none(), st.integers(NIGHTS[0], NIGHTS[0] + 5 * DAY))
lines = st.one_of(
    st.sampled_from(["*/5 * * * *", "@every 7m"]),
    st.sampled_from(["*/5 * * * *", "@every 1h", "30 2 * * *"]),
    st.sampled_from(["0 0 * * *", *ONE_OFFS]),
)
specs = st.builds(
    Spec,
    lines,
    st.sampled_from(["UTC", "Europe/Berlin"]),
    st.just(""),
    st.sampled_from([0, SECOND, 4 * MINUTE]),
    bounds,
    bounds,
    st.integers(0, 9).map(bool),
    options,
)
ends = st.sampled_from([Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.LOST, Status.DEAD])
names = st.sampled_from(["a", "b", "c", "d", "e"])


class Accounting(RuleBasedStateMachine):
    """One job under everything that users, clocks and stores do to it."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(0)
        self.latest: Micros = 0
        self.declarations = 0
        self.limits = (
            patch.multiple(_overlap, LIMIT=LIMIT),
            patch.multiple(_draft, LIMIT=LIMIT, RECENT_KEYS=RECENT_KEYS, JUST_ENDED=LIMIT),
            patch.multiple(_definitions, PAST=1000),
        )
        for limit in self.limits:
            limit.start()

    def teardown(self) -> None:
        for limit in self.limits:
            limit.stop()

    @initialize(now=st.sampled_from(NIGHTS), spec=specs)
    def begin(self, now: Micros, spec: Spec) -> None:
        self.ledger.now = now
        self.declare(spec)

    def declared(self) -> bool:
        return self.ledger.row.data is not None

    @rule(spec=specs)
    def declare(self, spec: Spec) -> None:
        """A later replica declares the job, anew or changed."""
        ledger = self.ledger
        self.declarations += 1
        by = Declarer(f"replica-{self.declarations}", self.declarations)
        if not self.declared():  # a retired job's row, and with it the mark, is gone
            ledger.now = self.latest = max(ledger.now, self.latest)

        def declare(row: Row, app: Row) -> Draft | None:
            return _definitions.declare(row, app, spec, by, (), ledger.now)

        draft = ledger.decide(declare, read=False)
        assert draft is not None
        if ledger.spec != spec:
            after = max(ledger.now, ledger.state.mark if self.declared() else 0)
            ledger.grow(after)
            ledger.live(spec, after)
        ledger.commit(draft, edit=True)

    @precondition(declared)
    @rule(spec=specs, jump=jumps, decides=st.booleans())
    def roll_back(self, spec: Spec, jump: Micros, decides: bool) -> None:
        """A deploy changes the job, and a moment or days later it is as it was, schedule and all."""
        before = self.ledger.state.spec
        self.declare(spec)
        if decides:
            self.tick(jump, read=False)
        else:
            self.advance(jump)
        self.declare(before)

    @precondition(declared)
    @rule(at=st.sampled_from([*ONE_OFFS, "*/5 * * * *", "0 0 * * *"]))
    def only_the_schedule(self, at: str) -> None:
        """A deploy changes when the job is due, and nothing else."""
        self.declare(attrs.evolve(self.ledger.state.spec, expression=at, tz="UTC"))

    @rule(jump=jumps)
    def advance(self, jump: Micros) -> None:
        self.ledger.now += jump
        self.latest = max(self.latest, self.ledger.now)

    @rule(jump=st.integers(1, 20 * MINUTE))
    def step_back(self, jump: Micros) -> None:
        """The store's clock is put back."""
        self.ledger.now -= jump

    @precondition(declared)
    @rule(jump=jumps, read=st.booleans())
    def tick(self, jump: Micros, read: bool) -> None:
        self.advance(jump)
        self.tick_now(read)

    @precondition(declared)
    @rule(read=st.booleans())
    def tick_now(self, read: bool) -> None:
        ledger = self.ledger
        draft = ledger.decide(lambda row, app: _rules.tick(row, app, ledger.now), read=read)
        if draft is not None:
            ledger.commit(draft)
        if not ledger.paused():
            spec = ledger.state.spec
            assert walk(spec, ledger.state.mark, ledger.now - spec.jitter) == []

    @precondition(declared)
    @rule(lag=lags)
    def come_due(self, lag: Micros) -> None:
        """The job is due, and maybe has been for a while."""
        ledger = self.ledger
        at = _rules.wake_at(ledger.row, ledger.app, ledger.now)
        if at is not None and at < ledger.now + 30 * DAY:
            self.advance(max(0, at - ledger.now) + lag)

    @precondition(declared)
    @rule(lag=lags, read=st.booleans())
    def wake(self, lag: Micros, read: bool) -> None:
        """A replica wakes when the job is due, or a little later."""
        self.come_due(lag)
        self.tick_now(read)

    @precondition(lambda self: self.ledger.bus)
    @rule(data=st.data(), status=ends)
    def finish(self, data: st.DataObject, status: Status) -> None:
        """Some of what is outstanding ends, in one step."""
        ledger = self.ledger
        ended = data.draw(st.sets(st.sampled_from(sorted(ledger.bus)), min_size=1))
        draft = Draft(ledger.row)
        for key in sorted(ended):
            draft.finish([(Delivery(ledger.bus[key], 1, 1), Outcome(status, "", 1, ledger.now))], "replica")
        ledger.commit(draft)

    @precondition(lambda self: self.ledger.bus)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """The bus loses a trigger."""
        del self.ledger.bus[data.draw(st.sampled_from(sorted(self.ledger.bus)))]

    @precondition(declared)
    @rule(length=st.one_of(st.none(), jumps), of_app=st.booleans())
    def pause(self, length: Micros | None, of_app: bool) -> None:
        """Somebody pauses the job or all, until resumed or for a while."""
        now = self.ledger.now
        until = None if length is None else now + length
        self.change(lambda pauses: _rules.pause(pauses, now, until, ""), of_app)

    @precondition(declared)
    @rule(of_app=st.booleans())
    def resume(self, of_app: bool) -> None:
        """Somebody ends what is paused."""
        self.change(lambda pauses: _rules.resume(pauses, self.ledger.now), of_app)

    def change(self, change: Callable[[tuple[Pause, ...]], tuple[Pause, ...]], of_app: bool) -> None:
        ledger = self.ledger
        pauses = change(ledger.app_pauses if of_app else ledger.state.pauses)
        draft = ledger.change_pauses(pauses, of_app=of_app)
        if draft is not None:
            ledger.commit(draft)

    @precondition(declared)
    @rule()
    def forget_pauses(self) -> None:
        """House is kept: pauses of the app in which nothing can fall any more are forgotten."""
        ledger = self.ledger
        kept = _definitions.pauses_to_keep(ledger.app_pauses, [ledger.state], ledger.now)
        ledger.app = Row(APP_ROW, ledger.app.version + 1, AppState(kept))

    @precondition(declared)
    @rule(name=names, back=st.one_of(st.none(), st.integers(0, DAY)), read=st.booleans())
    def ask(self, name: str, back: Micros | None, read: bool) -> None:
        """Somebody triggers by hand, or has a time of the past run again."""
        ledger = self.ledger
        at = None if back is None else ledger.now - back
        mark, asked = ledger.state.mark, f"manual:{name}" if at is None else f"backfill:{at}"
        known = {r.key: r for r in ledger.state.recent}
        said: list[str] = []

        def ask(row: Row, _: Row) -> Draft | None:
            outcome, draft = _rules.ask(row, name if at is None else str(at), None, ledger.now, at)
            said[:] = [outcome]
            return draft

        draft = ledger.decide(ask, read=read)
        if draft is None:
            assert said == [known[asked].outcome]
            assert known[asked].at > ledger.now - DAY or said[0] in ("sent", "waiting")
            return
        assert asked not in {*ledger.bus, *ledger.state.outstanding, *keys(ledger.state.waiting)}
        assert asked not in known or known[asked].at <= ledger.now - DAY
        ledger.commit(draft)
        assert ledger.state.mark == mark
        assert {r.key: r.outcome for r in ledger.state.recent}[asked] == said[0]

    @precondition(lambda self: self.declared() and not self.ledger.bus)
    @rule()
    def retire(self) -> None:
        """Nobody declares the job any more, and nobody holds a run of it."""
        ledger = self.ledger
        draft = ledger.decide(lambda row, app: _rules.retire(row, ledger.now, app), read=False)
        assert draft is not None
        ledger.grow(ledger.now)
        ledger.commit(draft, delete=True)

    @invariant()
    def within_limits(self) -> None:
        """What a row may hold is bounded, and its keys are known as long as they are open."""
        if not self.declared():
            return
        state = self.ledger.state
        assert len(state.outstanding) <= LIMIT
        assert len(state.waiting) <= LIMIT
        pending = {*state.outstanding, *keys(state.waiting)}
        assert {key for key in pending if not key.isdecimal()} <= {r.key for r in state.recent}
        assert len([r for r in state.recent if r.key not in pending]) <= 2 * LIMIT

    @invariant()
    def wakes_later(self) -> None:
        """Whoever has nothing to decide now is not to look again at once."""
        if not self.declared():
            return
        ledger = self.ledger
        row = attrs.evolve(ledger.row, held=frozenset(ledger.bus))
        if _rules.tick(row, ledger.app, ledger.now) is None:
            at = _rules.wake_at(row, ledger.app, ledger.now)
            assert at is None or at > ledger.now


Accounting.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class TestAccounting(Accounting.TestCase):
    """Each scheduled time is in exactly one place, whatever happens."""

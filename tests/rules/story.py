"""One job told step by step: what each step sends, lets wait and writes down, as words and times of day."""

from __future__ import annotations

from typing import Any

from schedcore import _definitions, _rules
from schedcore._definitions import Declarer
from schedcore._draft import Draft, Outcome
from schedcore._state import SECOND, JobState, Options, Pause, Spec
from schedcore.protocols import Delivery, Micros, Row, Run, Status, Trigger

from .ledger import Ledger

MIDNIGHT: Micros = 1_735_689_600 * SECOND
DAY: Micros = 86_400 * SECOND
SPEC_FIELDS = {"jitter", "start_at", "until", "enabled", "tz"}
TIMES = {"jitter", "grace", "catch_up_within", "timeout"}


def micros(clock: str) -> Micros:
    """Convert `HH:MM`, `HH:MM:SS` or either behind `1d ` (a day later) of 2025-01-01, UTC."""
    days, _, time = clock.rpartition("d ")
    hours, minutes, seconds = (*map(float, time.split(":")), 0.0)[:3]
    return MIDNIGHT + int(days or 0) * DAY + round((hours * 3600 + minutes * 60 + seconds) * SECOND)


def clock(at: Micros) -> str:
    """Convert an instant back, as short as it can be written."""
    days, rest = divmod(at - MIDNIGHT, DAY)
    minutes, seconds = divmod(rest / SECOND, 60)
    text = f"{int(minutes // 60):02}:{int(minutes % 60):02}" + (f":{seconds:02g}" if seconds else "")
    return f"{days}d {text}" if days else text


def make_spec(expression: str, **given: Any) -> Spec:
    """Make a definition; lengths of time are in seconds, instants as `micros` takes them."""
    values = {name: round(value * SECOND) if name in TIMES else value for name, value in given.items()}
    for name in values.keys() & {"start_at", "until"}:
        values[name] = micros(values[name])
    bounds = {name: values.pop(name) for name in SPEC_FIELDS & values.keys()}
    return Spec(expression, **bounds, options=Options(**values))


class Story:
    """A job that is declared at midnight, every ten minutes unless it is said otherwise."""

    def __init__(self, expression: str = "*/10 * * * *", *, at: str = "00:00", **given: Any) -> None:
        self.ledger = Ledger(micros(at))
        self.replicas = 0
        self.lines: list[Run] = []
        self.first = self.declare(at, expression, **given)

    @property
    def state(self) -> JobState:
        """The row's content."""
        return self.ledger.state

    def _do(self, at: str, rule: Any, *, edit: bool = False, delete: bool = False) -> list[str]:
        self.ledger.now = micros(at)
        waited = () if self.ledger.row.data is None else self.state.waiting
        draft = self.ledger.decide(rule, read=False)
        if draft is None:
            return []
        self.lines = draft.runs
        self.ledger.commit(draft, edit=edit, delete=delete)
        told = [_line(run) for run in draft.runs] + [f"sent {_named(trigger)}" for trigger in draft.send]
        return told + [f"waits {_named(trigger)}" for trigger in draft.state.waiting if trigger not in waited]

    def declare(self, at: str, expression: str, **given: Any) -> list[str]:
        """Have a replica that started after all others declare the job."""
        self.replicas += 1
        spec, by = make_spec(expression, **given), Declarer(f"replica-{self.replicas}", self.replicas)
        ledger, now = self.ledger, micros(at)
        if ledger.spec != spec:
            after = max(now, 0 if ledger.row.data is None else self.state.mark)
            ledger.grow(after)
            ledger.live(spec, after)
        return self._do(at, lambda row, app: _definitions.declare(row, app, spec, by, (), now), edit=True)

    def tick(self, at: str) -> list[str]:
        """Decide what is due."""
        return self._do(at, lambda row, app: _rules.tick(row, app, micros(at)))

    def ticks(self, *at: str) -> list[list[str]]:
        """Decide what is due, again and again."""
        return [self.tick(each) for each in at]

    def finish(self, at: str, *names: str, status: Status = Status.SUCCEEDED, detail: str = "") -> list[str]:
        """End outstanding runs, named as they are told: by scheduled time, or kind and key."""
        found = {_named(trigger).removeprefix("late "): trigger for trigger in self.ledger.bus.values()}

        def finish(row: Row, _: Row) -> Draft:
            draft = Draft(row)
            for name in names:
                outcome = Outcome(status, detail, 1, micros(at))
                draft.finish([(Delivery(found[name], 1, 1), outcome)], "replica")
            return draft

        return self._do(at, finish)

    def lose(self, name: str) -> None:
        """Have the bus lose an outstanding trigger."""
        (key,) = (key for key, trigger in self.ledger.bus.items() if _named(trigger) == name)
        del self.ledger.bus[key]

    def pause(self, at: str, until: str | None = None, *, app: bool = False) -> list[str]:
        """Pause the job, or all."""
        end = None if until is None else micros(until)
        return self._pauses(at, _rules.pause(self._which(app), micros(at), end, ""), app)

    def resume(self, at: str, *, app: bool = False) -> list[str]:
        """End the pause."""
        return self._pauses(at, _rules.resume(self._which(app), micros(at)), app)

    def _which(self, app: bool) -> tuple[Pause, ...]:
        return self.ledger.app_pauses if app else self.state.pauses

    def _pauses(self, at: str, pauses: tuple[Pause, ...], app: bool) -> list[str]:
        self.ledger.now = micros(at)
        draft = self.ledger.change_pauses(pauses, of_app=app)
        return self._do(at, lambda *_: draft)

    def ask(self, at: str, key: str, *, back_to: str | None = None) -> list[str]:
        """Trigger by hand, or have a time run again; what it answers comes first."""
        said: list[str] = []
        when = None if back_to is None else micros(back_to)

        def ask(row: Row, _: Row) -> Draft | None:
            said[:], draft = [""], None
            said[0], draft = _rules.ask(row, key, None, micros(at), when)
            return draft

        told = self._do(at, ask)
        return [*said, *told]

    def retire(self, at: str) -> list[str]:
        """Delete the job."""
        self.ledger.grow(micros(at))
        return self._do(at, lambda row, app: _rules.retire(row, micros(at), app), delete=True)


def _named(trigger: Trigger) -> str:
    prefix = {"manual": "", "backfill": "", "late": "late "}.get(trigger.kind, "")
    return prefix + (clock(trigger.scheduled_at) if trigger.key.isdecimal() else trigger.key)


def _line(run: Run) -> str:
    if run.last_at is not None and run.count > 1:
        return f"{run.status} {clock(run.scheduled_at)} to {clock(run.last_at)}, {run.count}"
    return f"{run.status} " + (run.key if ":" in run.key else clock(run.scheduled_at))

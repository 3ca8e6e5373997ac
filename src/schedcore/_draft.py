"""A step in the making: what every rule writes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from schedcore._state import DAY, SECOND, JobState, Recent, Spec
from schedcore.protocols import Delivery, Kind, Micros, Row, Run, Status, Step, Trigger

LIMIT = 1000
"""How many may wait under `queue_all`, and be outstanding under `allow`."""

RECENT_KEYS = 100
JUST_ENDED = LIMIT
"""How many keys are remembered for a minute after their end: as many as may be open, and waited for, at once.

They take a hundred bytes each, because only the last hundred keep their detail.
"""

DETAIL = 400
"""How many characters of a detail are remembered with a key: a hundred tracebacks are no part of a row."""

MINUTE: Micros = 60 * SECOND
REMEMBERED_TIMES = 4
BY_HAND = (Kind.MANUAL, Kind.BACKFILL)
GIVEN_UP = (Status.DEAD, Status.LOST)
"""Of these the line keeps the payload."""


class HeldUnknownError(Exception):
    """A rule is about to skip, queue or refuse: read the row with the keys that the bus holds, ask again."""


@attrs.frozen
class Outcome:
    """How a run ended, as the runner tells it."""

    status: Status
    detail: str = ""
    started_at: Micros | None = None
    ended_at: Micros | None = None
    attempt: int = 1


def next_after(spec: Spec, when: Micros) -> Micros | None:
    """Remember the last answers of `Schedule.next_after_us`: jobs that share a spec are decided together."""
    known = spec.known_times
    try:
        return known[when]
    except KeyError:
        if len(known) >= REMEMBERED_TIMES:
            known.clear()
        found = known[when] = spec.schedule.next_after_us(when)
        return found


class Draft:
    """A copy of a row's state, the triggers to send with it, the deliveries done and the lines to append."""

    __slots__ = ("done", "not_before", "row", "runs", "send", "state")

    def __init__(self, row: Row, state: JobState | None = None) -> None:
        """Begin from `row`, or from `state` where the row is to be made anew."""
        self.row = row
        self.state: JobState = row.data.copy() if state is None else state  # type: ignore[attr-defined]
        self.send: list[Trigger] = []
        self.done: list[Delivery] = []
        self.runs: list[Run] = []
        self.not_before: Micros = 0

    def trigger(self, at: Micros, kind: Kind = Kind.SCHEDULED, missed: int = 0) -> Trigger:
        """Make the trigger of the scheduled time `at`."""
        key = str(at) if kind not in BY_HAND else f"{kind}:{at}"
        return Trigger(self.row.job, key, at, kind, self.state.spec.options, None, missed)

    def dispatch(self, trigger: Trigger) -> None:
        """Send a trigger with this step."""
        self.send.append(trigger)
        self.state.outstanding += (trigger.key,)

    def count(self, status: Status, number: int = 1, *, by_hand: bool = False) -> None:
        """Add to the job's counters, or to those of what was asked for by hand."""
        state, name = self.state, status.value  # a member would have the garbage collector walk it
        if by_hand:
            state.manual = {**state.manual, name: state.manual.get(name, 0) + number}
        else:
            state.counters = {**state.counters, name: state.counters.get(name, 0) + number}

    def stretch(self, status: Status, after: Micros, until: Micros, detail: str) -> int:
        """Decide all scheduled times in (after, until] without a run, as one line; how many there were."""
        schedule = self.state.spec.schedule
        first = next_after(self.state.spec, after)
        if first is None or first > until:
            return 0
        last = schedule.last_before_us(until + 1)
        number = 1 if first == last else schedule.count_us(after, until)
        line = Run(self.row.job, first, status, last_at=last, count=number, detail=detail)
        self.runs.append(line)
        self.count(status, number)
        return number

    def refuse(self, trigger: Trigger, status: Status, detail: str) -> None:
        """Decide a trigger that was never run."""
        self.runs.append(
            Run(self.row.job, trigger.scheduled_at, status, trigger.kind, trigger.key, detail=detail)
        )
        self._account(trigger.key, trigger.kind, status, detail)

    def finish(self, ended: Sequence[tuple[Delivery, Outcome]], replica: str) -> None:
        """Record the ends of deliveries and let the next ones go.

        All in one, since a row may list a thousand keys. One that it does not list (the store lost data
        in between) leaves its line and is not counted, so that the counters still add up.
        """
        state, last = self.state, self.state.last_success
        listed, became = set(state.outstanding), {}
        for delivery, outcome in ended:
            trigger, status = delivery.trigger, outcome.status
            self.done.append(delivery)
            self.runs.append(
                Run(
                    trigger.job,
                    trigger.scheduled_at,
                    status,
                    trigger.kind,
                    trigger.key,
                    None,
                    1,
                    outcome.detail,
                    replica,
                    outcome.started_at,
                    outcome.ended_at,
                    outcome.attempt,
                    delivery.number,
                    trigger.payload if status in GIVEN_UP else None,
                )
            )
            if trigger.key in listed:
                listed.remove(trigger.key)
                by_hand = trigger.kind in BY_HAND
                self.count(status, by_hand=by_hand)
                if by_hand:
                    became[trigger.key] = status.value, outcome.detail
                if status is Status.SUCCEEDED and outcome.ended_at is not None:
                    last = max(outcome.ended_at, last or outcome.ended_at)
        state.last_success = last
        state.outstanding = tuple([key for key in state.outstanding if key in listed]) if listed else ()
        self._remember(became)
        for _ in ended:
            self.advance()

    def advance(self) -> None:
        """Send what waits, one behind the other."""
        state = self.state
        if not state.waiting:
            return
        most = LIMIT if state.spec.options.overlap == "allow" else 1
        if len(state.outstanding) < most:
            following, *rest = state.waiting
            state.waiting = tuple(rest)
            self.dispatch(following)
            self.remember(following.key, following.kind, "sent")

    def drop_lost(self) -> None:
        """Record as lost what is outstanding and no longer held by the bus."""
        if self.row.held is None:
            raise HeldUnknownError
        sent_now = {trigger.key for trigger in self.send}
        for key in self.state.outstanding:
            if key not in self.row.held and key not in sent_now:
                self._lose(key)
        self.advance()

    def _lose(self, key: str) -> None:
        self.state.outstanding = tuple(other for other in self.state.outstanding if other != key)
        kind, at = parse_key(key)
        if at is None:
            asked = (recent.at for recent in self.state.recent if recent.key == key)
            at = next(asked, self.state.mark)
        detail = "it vanished from the bus before anybody finished it"
        self.runs.append(Run(self.row.job, at, Status.LOST, kind, key, detail=detail))
        self._account(key, kind, Status.LOST, detail)

    def _account(self, key: str, kind: Kind, status: Status, detail: str) -> None:
        self.count(status, by_hand=kind in BY_HAND)
        self.remember(key, kind, status, detail)

    def remember(self, key: str, kind: Kind, outcome: str, detail: str = "") -> None:
        """Update what became of a key that was asked for by hand."""
        if kind in BY_HAND:
            self._remember({key: (str(outcome), detail)})

    def _remember(self, became: Mapping[str, tuple[str, str]]) -> None:
        """Update what became of keys, with the end of a long detail."""
        if became:
            self.state.recent = tuple(
                [_became(r, *became[r.key]) if r.key in became else r for r in self.state.recent]
            )

    def learn(self, key: str, outcome: str, now: Micros) -> None:
        """Keep a new key, and those that are open, ended within a minute, or the last hundred of a day."""
        state = self.state
        open_keys = {*state.outstanding, *(trigger.key for trigger in state.waiting)}
        known = [
            r if r.ended_at is not None or r.key in open_keys else attrs.evolve(r, ended_at=now)
            for r in state.recent
            if r.key in open_keys or r.at > now - DAY
        ]
        ended = [r for r in known if r.key not in open_keys]
        if len(ended) >= RECENT_KEYS:
            ended.sort(key=_end)
            last = {r.key for r in ended[1 - RECENT_KEYS :]}
            kept = {r.key for r in ended[1 - JUST_ENDED :] if _end(r) >= now - MINUTE} | last | open_keys
            known = [
                r if r.key in last or not r.detail else attrs.evolve(r, detail="")
                for r in known
                if r.key in kept
            ]
        state.recent = (*known, Recent(key, now, outcome))

    def step(self, step_id: str, *others: Row, delete: bool = False) -> Step:
        """Finish it: the step expects the row as it was read, and `others` as they were."""
        row = self.row
        expects = ((row.job, row.version), *[(other.job, other.version) for other in others])
        return Step(
            step_id,
            row.job,
            expects,
            None if delete else self.state,
            self.not_before,
            tuple(self.send),
            tuple(self.done),
            tuple(self.runs),
            self.state.spec.options.keep,
        )


def _became(recent: Recent, outcome: str, detail: str) -> Recent:
    detail = detail if len(detail) <= DETAIL else "..." + detail[3 - DETAIL :]
    return Recent(recent.key, recent.at, outcome, detail, recent.ended_at, recent.extra)


def _end(recent: Recent) -> Micros:
    return recent.ended_at or 0


def parse_key(key: str) -> tuple[Kind, Micros | None]:
    """Tell kind and scheduled time from a trigger's key, as far as the key has them."""
    if key.isdecimal():
        return Kind.SCHEDULED, int(key)
    kind, _, rest = key.partition(":")
    at = rest.rpartition("/")[2]
    if kind == Kind.BACKFILL and at.isdecimal():
        return Kind.BACKFILL, int(at)
    return Kind.MANUAL, None

"""Draws a story from a seed: nothing else decides what is declared, and what goes wrong when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import get_args

from schedcore._state import CatchUp, Overlap
from schedcore.protocols import Micros
from schedcore.testing import _events as e
from schedcore.testing import _people as by_hand
from schedcore.testing._events import SECOND, Event
from schedcore.testing._story import Plan, Story

SCHEDULES = ("@every 5s", "@every 7s", "*/10 * * * * *", "0,17,40 * * * * *")
EDITS = ("@every 4s", "@every 9s", "*/15 * * * * *")
TAKES = (0.1, 2.0, 6.0, 25.0)
HOUR, LULL = 3600, 240
"""Long stories have so many quiet seconds in each hour: what is remembered then is compared."""
CALLS = ("commit", "commit", "commit", "receive", "renew", "take_over", "beat", "give_back", "lapsed")


def draw(
    seed: int,
    *,
    minutes: float = 2,
    replicas: int = 3,
    jobs: Sequence[str] | None = None,
    schedules: Sequence[str] = EDITS,
    losses: bool = True,
) -> Story:
    """Draw the story of a seed.

    Without `jobs`, which are names, it declares some of every kind. `losses` allows it to lose data.
    """
    random = Random(seed)
    plans = _plans(random) if jobs is None else ()
    names = [plan.name for plan in plans] if jobs is None else list(jobs)
    skews = tuple(round(random.choice((0, 0, random.uniform(-90, 90))) * SECOND) for _ in range(replicas))
    length = round(minutes * 60 * SECOND)
    drawer = Drawer(
        random, "abcdefghijklmnopqrstuvwxyz"[:replicas], names, schedules, losses=losses and not seed % 4
    )
    pace = random.choice((3.0, 6.0, 15.0, 40.0))
    events: list[Event] = []
    at = random.uniform(2, 2 + pace)
    while at < minutes * 60:
        if minutes <= 60 or at % HOUR < HOUR - LULL:
            events += drawer.event(round(at * SECOND / 1000) * 1000)
        at += random.expovariate(1 / pace)
    events.sort(key=lambda event: event.at)
    return Story(seed, skews, plans, tuple(events), length)


def _plans(random: Random) -> tuple[Plan, ...]:
    plans = []
    for overlap in get_args(Overlap):
        options = {
            "overlap": overlap,
            "catch_up": random.choice(get_args(CatchUp)),
            "grace": random.choice((5, 60)),
            "jitter": random.choice((0, 0, 2)),
        }
        extra = random.choice(({}, {}, {"retries": 2}, {"timeout": 4}, {"on_doubt": "cancel"}))
        takes = random.choice(TAKES)
        limit = {"max_catch_up": 5} if takes > 2 else {}  # or all would come to rest only hours later
        plans.append(Plan(f"job-{overlap}", random.choice(SCHEDULES), takes, {**options, **extra, **limit}))
    plans.append(Plan("job-once", "@every 11s", random.choice((0.1, 8.0)), {"delivery": "at_most_once"}))
    return tuple(plans)


class Drawer:
    """Draws one event after the other."""

    def __init__(
        self, random: Random, replicas: str, jobs: Sequence[str], schedules: Sequence[str], *, losses: bool
    ) -> None:
        """Draw from `random`."""
        self._random = random
        self._replicas = replicas
        self._jobs = jobs
        self._schedules = schedules
        self._keys = 0
        self._clock_steps = 0
        kinds: list[tuple[int, Callable[[Micros], Sequence[Event]]]] = [
            (4, self._kill),
            (4, self._kill_in_call),
            (2, self._stop),
            (4, self._freeze),
            (2, self._cut_off),
            (2, self._outage),
            (1, self._restart),
            (2, self._clocks),
            (3, self._noise),
            (4, self._deploy),
            (2, self._pause),
            (5, self._ask),
            (1, self._cancel),
            (1 if losses else 0, self._lose),
        ]
        self._weights, self._kinds = zip(*kinds, strict=True)

    def event(self, at: Micros) -> Sequence[Event]:
        """Draw what happens then."""
        (kind,) = self._random.choices(self._kinds, self._weights)
        events: Sequence[Event] = kind(at)
        return events

    def _span(self, low: float, high: float) -> Micros:
        return round(self._random.uniform(low, high) * 10) * SECOND // 10

    def _who(self) -> str:
        return self._random.choice(self._replicas)

    def _kill(self, at: Micros) -> Sequence[Event]:
        return [e.Killed(at, self._who(), self._random.choice((0, self._span(0, 30))))]

    def _kill_in_call(self, at: Micros) -> Sequence[Event]:
        heard = self._random.random() < 0.5
        return [e.KilledInCall(at, self._who(), self._random.choice(CALLS), heard, self._span(0, 30))]

    def _stop(self, at: Micros) -> Sequence[Event]:
        return [e.Stopped(at, self._who(), self._random.choice((0, 2, 20)), self._span(0, 20))]

    def _freeze(self, at: Micros) -> Sequence[Event]:
        return [e.Frozen(at, self._who(), self._span(1, 40))]

    def _cut_off(self, at: Micros) -> Sequence[Event]:
        return [e.CutOff(at, self._who(), self._span(1, 40), self._random.random() < 0.5)]

    def _outage(self, at: Micros) -> Sequence[Event]:
        return [e.Outage(at, self._span(0.5, 60))]

    def _restart(self, at: Micros) -> Sequence[Event]:
        return [e.Restarted(at, self._span(0.2, 5), "kept")]

    def _lose(self, at: Micros) -> Sequence[Event]:
        if self._random.random() < 0.5:
            return [e.Restarted(at, self._span(0.2, 5), "lost")]
        return [e.Restarted(at, self._span(0.2, 5), "older", self._span(1, 20))]

    def _clocks(self, at: Micros) -> Sequence[Event]:
        if self._random.random() < 0.5:
            return [e.ClockJumped(at, self._who(), self._span(-300, 300))]
        return [e.StoreClockStepped(at, self._span(-20, 20) or SECOND)]

    def _noise(self, at: Micros) -> Sequence[Event]:
        unheard, unanswered = (self._random.choice((0, 0, 0.05, 0.3)) for _ in range(2))
        delay = self._random.choice((0, 0.01, 0.5, 3))
        whose = self._random.choice(("", self._who()))
        return [e.Noise(at, self._span(5, 40), whose, unheard, unanswered, delay)]

    def _deploy(self, at: Micros) -> Sequence[Event]:
        number = self._random.randint(1, len(self._replicas))
        who = tuple(sorted(self._random.sample(self._replicas, number)))
        job, restart = self._random.choice(self._jobs), self._random.random() < 0.5
        if self._random.random() < 0.5:
            return [e.Deployed(at, who, job, "edit", self._random.choice(self._schedules), restart)]
        back = at + self._span(3, 40)
        return [
            e.Deployed(at, who, job, "remove", restart=restart),
            e.Deployed(back, who, job, "add", restart=restart),
        ]

    def _pause(self, at: Micros) -> Sequence[Event]:
        job = self._random.choice(("", self._random.choice(self._jobs)))
        return [by_hand.Paused(at, job, self._span(1, 40), self._random.random() < 0.3)]

    def _ask(self, at: Micros) -> Sequence[Event]:
        self._keys += 1
        known = self._random.random() < 0.3
        key = f"k{self._random.randint(1, self._keys)}" if known else f"k{self._keys}"
        job = "nobody-knows-it" if self._random.random() < 0.05 else self._random.choice(self._jobs)
        return [by_hand.Asked(at, job, key, self._random.random() < 0.3, self._random.choice((1, 1, 1, 3)))]

    def _cancel(self, at: Micros) -> Sequence[Event]:
        return [by_hand.Cancelled(at, self._random.choice(self._jobs))]

"""A story: what is declared, on how many replicas, and what befalls them when. All of it is data."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from schedcore._jobs import Job, make_job
from schedcore.context import RunContext
from schedcore.protocols import Micros
from schedcore.testing._events import SECOND, Event, seconds
from schedcore.testing._loop import START


@attrs.frozen
class Plan:
    """A job of a story: its schedule, how long it takes, and its options."""

    name: str
    schedule: str
    takes: float = 0.1
    options: Mapping[str, Any] = attrs.field(factory=dict)

    def tell(self) -> str:
        """Tell it in a line."""
        options = "".join(f", {name} {value}" for name, value in self.options.items())
        return f"{self.name} is due {self.schedule} and takes {self.takes:g} s{options}"


@attrs.frozen
class Story:
    """Replicas, jobs, and events in order of time; what a seed draws, what is played, and what is shrunk.

    `skews` are the replicas' wall clocks, in microseconds off; their names are a, b, c and so on.
    `numbers` are the events' places in the story as it was drawn.
    """

    seed: int
    skews: tuple[Micros, ...]
    plans: tuple[Plan, ...]
    events: tuple[Event, ...]
    length: Micros
    start: Micros = START
    numbers: tuple[int, ...] = attrs.field()

    @numbers.default
    def _all(self) -> tuple[int, ...]:
        return tuple(range(len(self.events)))

    @property
    def replicas(self) -> tuple[str, ...]:
        """The names of the replicas."""
        return tuple("abcdefghijklmnopqrstuvwxyz"[: len(self.skews)])

    def only(self, numbers: Collection[int]) -> Story:
        """The same story with these of its events alone."""
        kept = [
            (number, event)
            for number, event in zip(self.numbers, self.events, strict=True)
            if number in numbers
        ]
        return attrs.evolve(
            self, events=tuple(event for _, event in kept), numbers=tuple(number for number, _ in kept)
        )

    def without_jobs(self, names: Collection[str]) -> Story:
        """The same story without some of its jobs."""
        return attrs.evolve(self, plans=tuple(plan for plan in self.plans if plan.name not in names))

    def __str__(self) -> str:
        """Tell it."""
        skewed = [
            f", whose clock is off by {seconds(skew)}" if abs(skew) > SECOND else "" for skew in self.skews
        ]
        who = "; ".join(f"replica {name}{skew}" for name, skew in zip(self.replicas, skewed, strict=True))
        lines = [f"At {self.clock(0)} start {who}."]
        lines += [f"  {plan.tell()}." for plan in self.plans]
        lines += [f"At {self.clock(event.at)} {event.tell()}." for event in self.events]
        lines.append(f"At {self.clock(self.length)} all is well again, and comes to rest.")
        return "\n".join(lines)

    def clock(self, at: Micros) -> str:
        """Tell when something happens, as a time of day."""
        then = datetime.fromtimestamp(self.start // SECOND, UTC) + timedelta(microseconds=at)
        return then.strftime("%H:%M:%S.%f")[:-3]


def jobs_of(story: Story) -> dict[str, Job]:
    """Make the jobs of a story: functions that take as long as they are told."""
    jobs = {}
    for plan in story.plans:
        options: Any = dict(plan.options)
        jobs[plan.name] = make_job(plan.name, plan.schedule, _function(plan), options)
    return jobs


def _function(plan: Plan) -> Callable[[RunContext], Awaitable[None]]:
    async def work(run: RunContext) -> None:
        await asyncio.sleep(plan.takes)
        if run.payload == "fail":
            raise ValueError("as the payload asked")

    return work

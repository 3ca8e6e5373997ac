"""Designs that others have used, put in on purpose: the simulation must find each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator

import pytest

from schedcore._state import JobState
from schedcore.protocols import APP_ROW, Delivery, Step, Verdict

from .checker import violations
from .stories import declare_all, play
from .virtual import run_virtual
from .world import Faults, Recorder, World

Story = Callable[[World], Awaitable[None]]
Checked = tuple[Verdict, tuple[Delivery, ...]]


class LockDecides(Recorder):
    """Whoever gets the job's lock first may send; the lock goes after a second, as a short-lived one does."""

    def clear(self) -> None:
        super().clear()
        self.locks: dict[str, int] = {}

    def _check(self, step: Step, replica: str, now: int) -> Checked:
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

    def _check(self, step: Step, replica: str, now: int) -> Checked:
        row, new = self.row(step.job).data, step.data
        rises = not (isinstance(row, JobState) and isinstance(new, JobState) and new.mark <= row.mark)
        if not step.send or rises or self.committed(step.id):
            return super()._check(step, replica, now)
        return Recorder._check(self, step, replica, now)


class RestartingVersion(Recorder):
    """Versions and tokens count from one, and begin again when the store has lost its data."""

    def next_version(self, now: int) -> int:
        self.newest += 1
        return self.newest


class StaleAppRow(Recorder):
    """A step is committed although the app's own row is not as the rule saw it."""

    def _check(self, step: Step, replica: str, now: int) -> Checked:
        verdict, refused = super()._check(step, replica, now)
        own = step.expects[0]
        if verdict is Verdict.CHANGED and own[0] != APP_ROW and self.row(own[0]).version == own[1]:
            return (Verdict.EARLY, ()) if now < step.not_before else (Verdict.DONE, ())
        return verdict, refused


class NoOwnerCheck(Recorder):
    """Anybody may finish a delivery, also who lost it long ago."""

    def _check(self, step: Step, replica: str, now: int) -> Checked:
        verdict, refused = super()._check(step, replica, now)
        return (Verdict.DONE, ()) if verdict is Verdict.NOT_OURS else (verdict, refused)


class ImpatientTakeOver(Recorder):
    """Leases are judged right after an outage, before their owners could renew."""

    def may_take_over(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def hunt(memory: type[Recorder], story: Story, invariant: str, seeds: int = 40) -> list[str]:
    """Play seeds until one breaks the invariant; how."""

    async def one(seed: int) -> list[str]:
        world = World(seed, memory)
        await story(world)
        return [line for line in violations(world) if line.startswith(invariant)]

    return next(filter(None, (run_virtual(one(seed)) for seed in range(seeds))), [])


async def flushes(world: World) -> None:
    """Lose all data now and then, while steps of slow replicas are on their way."""
    for _ in range(3):
        node = world.node()
        declare_all(world, node)
        node.start()
    await asyncio.sleep(20)
    world.faults = Faults(delay=3)
    for _ in range(6):
        world.memory.clear()
        await asyncio.sleep(world.random.uniform(2, 25))
    await world.end()


async def outages(world: World) -> None:
    """Take the store away for longer than a lease, again and again, while long runs go on."""
    for _ in range(3):
        node = world.node()
        node.declare("long", "@every 40s", 35)
        node.start()
    for _ in range(6):
        await asyncio.sleep(world.random.uniform(30, 60))
        world.store_up = False
        await asyncio.sleep(world.random.uniform(10.5, 30))
        world.store_up = True
    await asyncio.sleep(60)
    for (job, key), runs in world.by_key.items():
        if len(runs) > 1:
            world.memory.broken.append(f"stolen: {job} {key} was run {len(runs)} times, though nobody died")
    await world.end()


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("memory", "story", "invariant"),
    [
        (LockDecides, play, "once"),
        (LockPlusMark, play, "once"),
        (RestartingVersion, flushes, "old"),
        (StaleAppRow, play, "paused"),
        (NoOwnerCheck, play, "done"),
        (ImpatientTakeOver, outages, "stolen"),
    ],
)
def test_a_wrong_design_is_found(memory: type[Recorder], story: Story, invariant: str) -> None:
    """Each wrong design breaks the promise in one of a few dozen seeds, and the invariant has a name."""
    assert hunt(memory, story, invariant)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("story", "invariant"), [(flushes, "old"), (outages, "stolen")])
def test_the_right_design_survives_the_same_stories(story: Story, invariant: str) -> None:
    """What the wrong designs fail in is no fault of the story."""
    assert hunt(Recorder, story, invariant, seeds=20) == []

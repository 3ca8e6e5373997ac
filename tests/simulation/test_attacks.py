"""Worlds in which the promise was once broken, found by somebody who tried to break it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping

import pytest

from schedcore._control import Control
from schedcore._state import AppState
from schedcore.protocols import Status

from .test_cases import nodes
from .virtual import run_virtual
from .world import Faults, World

SECOND = 1_000_000


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def play(story: Callable[[World], Awaitable[None]]) -> None:
    """Play a story that asserts by itself."""

    async def world() -> None:
        world = World(1)
        await story(world)
        await world.end()

    run_virtual(world())


def test_a_time_that_the_stores_clock_jumped_over_is_run_soon() -> None:
    """The clock goes an hour forward: what is due by it runs with the next beat, not an hour later."""

    async def story(world: World) -> None:
        nodes(world, 1, ("daily", "@every 3600s", 1))
        await asyncio.sleep(10)
        world.store_offset_us += 3595 * SECOND
        await asyncio.sleep(10)
        assert len(world.started) == 1

    play(story)


def test_an_edit_after_the_clock_was_set_back_is_not_lost() -> None:
    """A declaration that comes too early by the store's clock is repeated until it holds."""

    async def story(world: World) -> None:
        (node,) = nodes(world, 1, ("a", "@every 1s", 0.1))
        await asyncio.sleep(10.5)
        world.store_offset_us -= 2 * SECOND
        await asyncio.sleep(1)
        node.declare("a", "@every 10s", 0.1)
        await asyncio.sleep(60)
        assert world.state("a").spec.expression == "@every 10s"

    play(story)


def test_a_resume_after_the_clock_was_set_back_is_not_lost() -> None:
    """What resume() returned from holds, and the job fires again."""

    async def story(world: World) -> None:
        nodes(world, 1, ("a", "@every 1s", 0.1))
        await asyncio.sleep(5)
        control = world.control()
        await control.pause("a")
        await asyncio.sleep(5.5)
        await _resume_while_the_clock_steps_back(world, control)
        await asyncio.sleep(60)
        counters = world.state("a").counters
        assert counters[Status.SUCCEEDED] > 50

    play(story)


async def _resume_while_the_clock_steps_back(world: World, control: Control) -> None:
    store = world.memory
    before = store.clock

    def clock() -> int:
        now = before()
        world.store_offset_us -= SECOND
        store.clock = before
        return now

    store.clock = clock
    await control.resume("a")


def test_a_job_that_was_removed_while_it_was_being_decided_is_ticked_no_more() -> None:
    """Nothing is sent for which this replica has no function any more."""

    async def story(world: World) -> None:
        (node,) = nodes(world, 1, ("keep", "@every 600s", 1), ("x", "@every 1s", 0.01))
        assert node.engine is not None
        engine = node.engine
        world.faults = Faults(delay=0.3)
        await asyncio.sleep(10.05)
        for _ in range(2000):
            if "x" not in engine.ticker._due:
                break
            await asyncio.sleep(0.001)
        await engine.remove(engine.jobs.pop("x"))
        await asyncio.sleep(10)
        sent = len(world.memory.accepted)
        await asyncio.sleep(60)
        assert len(world.memory.accepted) == sent

    play(story)


def test_a_removed_job_is_retired_although_its_declarer_lives() -> None:
    """The replica that declared it last lives on without it: an hour later its row is gone."""

    async def story(world: World) -> None:
        (node,) = nodes(world, 1, ("keep", "@every 600s", 1))
        node.declare("gone", "@every 60s", 1)
        await asyncio.sleep(130)
        assert node.engine is not None
        await node.engine.remove(node.engine.jobs.pop("gone"))
        await asyncio.sleep(2 * 3600)
        assert "gone" not in world.memory.rows

    play(story)


def test_pauses_of_the_app_are_forgotten_once_they_matter_no_more() -> None:
    """Three hundred ended pauses do not stay in the app's row, a disabled job or not."""

    async def story(world: World) -> None:
        (node,) = nodes(world, 1, ("a", "@every 10s", 0.1))
        node.declare("off", "@every 10s", 0.1, enabled=False)
        await asyncio.sleep(1)
        control = world.control()
        for _ in range(300):
            await control.pause(None)
            await asyncio.sleep(20)
            await control.resume(None)
            await asyncio.sleep(40)
        await asyncio.sleep(3 * 3600)
        app = world.memory.rows[""].data
        assert isinstance(app, AppState)
        assert app.pauses == ()

    play(story)


def test_a_job_that_is_declared_again_while_it_is_being_retired_stays() -> None:
    """Between the decision to retire and the deletion somebody declared it: its row is his, and it fires."""

    async def story(world: World) -> None:
        gone, stays = nodes(world, 2, ("keep", "@every 600s", 1))
        gone.declare("x", "@every 60s", 1)
        await asyncio.sleep(100)
        await gone.kill()
        del gone.jobs["x"]
        assert stays.engine is not None
        housekeeper = stays.engine.housekeeper
        retire = housekeeper._retire

        async def slow(orphans: Mapping[str, int], now: int) -> None:
            stays.declare("x", "@every 60s", 1)
            await asyncio.sleep(5)
            await retire(orphans, now)

        housekeeper._retire = slow  # the moment between decision and deletion
        await asyncio.sleep(2 * 3600)
        assert "x" in stays.jobs
        lines, _ = world.memory.history.read("x", [Status.RETIRED], None, None, 10, "")
        assert lines == []
        assert world.started[-1].at > world.memory.clock() - 61 * SECOND
        assert world.started[-1].job == "x"

    play(story)

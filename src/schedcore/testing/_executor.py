"""The conditions of `schedcore.protocols.Executor`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest

from schedcore.protocols import Backend, Delivery
from schedcore.testing.world import World, done, lapse, one, row_of, scenario, send, soon, step, take, trigger

PATIENCE = 5


class Room:
    """Places for a few deliveries; finishing one is the test's."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.started: list[Delivery] = []
        self.changed = asyncio.Condition()
        self.came = asyncio.Event()

    async def free(self) -> int:
        """Wait for a place."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.places > 0)
            return self.places

    def start(self, deliveries: Sequence[Delivery]) -> None:
        """Note them."""
        self.places -= len(deliveries)
        self.started += deliveries
        self.came.set()

    async def vacate(self, number: int) -> None:
        """Let places be free again."""
        async with self.changed:
            self.places += number
            self.changed.notify_all()

    async def until(self, number: int) -> list[str]:
        """Wait until so many have been started; their keys."""
        try:
            async with asyncio.timeout(PATIENCE):
                while len(self.started) < number:
                    self.came.clear()
                    await self.came.wait()
        except TimeoutError:
            keys = [delivery.trigger.key for delivery in self.started]
            raise AssertionError(f"within {PATIENCE} s only {keys} were started, not {number}") from None
        return [delivery.trigger.key for delivery in self.started]


class Broken:
    """A bus whose store is away for one receive."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self.failures = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def receive(self, jobs: frozenset[str], limit: int, wait: int) -> Sequence[Delivery]:
        """Fail once."""
        if self.failures:
            self.failures -= 1
            raise ConnectionError("away")
        return list(await self._bus.receive(jobs, limit, wait))


def serving(
    backend: Backend, room: Room, names: Callable[[], Collection[str]] = lambda: "a", bus: Any = None
) -> asyncio.Task[None]:
    """Begin to serve."""
    executor, bus = backend.executor, bus or backend.bus
    return asyncio.create_task(executor.serve(bus, lambda: frozenset(names()), room))


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel it, and wait until it has ended."""
    task.cancel()
    await asyncio.wait([task], timeout=PATIENCE)
    assert task.done(), "cancelling serve did not end it"


class ExecutorContract:
    """Takes deliveries and has them run, no more than there are places for."""

    @scenario("the loop of serve: free, receive, start")
    async def test_it_starts_what_waits_and_what_comes(self, world: World) -> None:
        """Triggers sent before and after it began to serve are started, in order."""
        backend = await one(world)
        room = Room(10)
        await send(backend, trigger(at=1))
        task = serving(backend, room)
        await room.until(1)
        await send(backend, trigger(at=2), trigger(at=3))
        assert await room.until(3) == ["1", "2", "3"], "not everything that was sent was started"
        await stop(task)

    @scenario("the limit that serve gives to receive: what `free` has just answered")
    async def test_it_takes_no_more_than_there_are_places_for(self, world: World) -> None:
        """The rest stays on the bus for other replicas, until a place is free."""
        first, second = await world.make_backends(2)
        room = Room(2)
        await send(first, *(trigger(at=number) for number in range(1, 6)))
        task = serving(first, room)
        await room.until(2)
        await asyncio.sleep(0.05)
        assert len(room.started) == 2, f"with two places {len(room.started)} were started"
        assert len(await take(second, limit=1)) == 1, (
            "what there is no place for was kept from other replicas"
        )
        await room.vacate(1)
        await room.until(3)
        await asyncio.sleep(0.05)
        assert len(room.started) == 3, "one place became free, and more than one was started"
        await stop(task)

    @scenario("what serve leaves running when it is cancelled")
    async def test_cancelling_serve_stops_taking(self, world: World) -> None:
        """What comes later waits for others."""
        backend = await one(world)
        room = Room(10)
        task = serving(backend, room)
        await asyncio.sleep(0.05)
        await stop(task)
        await send(backend)
        await asyncio.sleep(0.05)
        assert room.started == [], "something was started after serve was cancelled"
        assert len(await take(backend)) == 1, "what came after serve was cancelled is not available"

    @scenario("what lies between receive and start in serve: no await may")
    async def test_nothing_that_was_taken_is_lost_by_cancelling(self, world: World) -> None:
        """Cancelled at any moment: each trigger was started, or is still to be had, and none of it twice."""
        first, second = await world.make_backends(2)
        room = Room(100)
        for number in range(1, 21):
            task = serving(first, room)
            await asyncio.sleep(0)
            await send(second, trigger(at=number))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            await stop(task)
        rest = list(await take(second))
        if len(room.started) + len(rest) < 20:
            await lapse(world, first, second)
            known = {delivery.token for delivery in [*room.started, *rest]}
            lapsed = [d for d in await second.bus.lapsed(frozenset("a"), 100) if d.token not in known]
            rest += await second.bus.take_over(lapsed)
        keys = sorted(int(delivery.trigger.key) for delivery in [*room.started, *rest])
        assert keys == list(range(1, 21)), f"of triggers 1 to 20 there are {keys}"

    @scenario("how long serve waits in one receive, and whether it calls `jobs` before each")
    async def test_jobs_are_asked_anew_for_each_receive(self, world: World) -> None:
        """A job that was added while it serves is served with the next receive."""
        backend = await one(world)
        room = Room(10)
        names = {"a"}
        task = serving(backend, room, lambda: names)
        await asyncio.sleep(0.05)
        names.add("b")
        await send(backend, trigger("a", at=1))
        await send(backend, trigger("b", at=2), job="b")
        assert await room.until(2) == ["1", "2"], "a job that was added is not served"
        names.remove("b")
        await send(backend, trigger("a", at=3))
        await room.until(3)
        await asyncio.sleep(0.05)
        await send(backend, trigger("b", at=4), job="b")
        await asyncio.sleep(0.05)
        assert len(room.started) == 3, "a job that was removed is still served"
        await stop(task)

    @scenario("whether serve swallows what the bus raises")
    async def test_what_the_bus_raises_ends_serve_and_it_can_be_called_again(self, world: World) -> None:
        """The core calls it anew once the store is back; nothing is lost in between."""
        backend = await one(world)
        room, bus = Room(10), Broken(backend.bus)
        await send(backend)
        with pytest.raises(ConnectionError):
            await soon(serving(backend, room, bus=bus))
        task = serving(backend, room, bus=bus)
        assert await room.until(1) == ["60000000"], "after an outage the trigger was not started"
        await stop(task)

    @scenario("whether serve or receive acknowledges: only a committed step does")
    async def test_what_was_started_is_this_replicas_until_it_is_finished(self, world: World) -> None:
        """Serving acknowledges nothing by itself: the core finishes each delivery with a step."""
        backend = await one(world)
        room = Room(10)
        task = serving(backend, room)
        await send(backend)
        await room.until(1)
        await stop(task)
        renewal = await backend.bus.renew(room.started, {})
        assert renewal.mine == set(room.started), "a delivery that was started is no longer held"
        await done(backend, step(await row_of(backend), done=tuple(room.started)))

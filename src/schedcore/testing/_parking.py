"""The conditions of `schedcore.protocols.TriggerBus` that concern jobs which not every replica has."""

from __future__ import annotations

import asyncio
import time

from schedcore.protocols import Backend, Delivery
from schedcore.testing.world import (
    PATIENCE,
    SECOND,
    World,
    beat,
    lapse,
    live,
    only,
    scenario,
    send,
    take,
    trigger,
)

A, B = frozenset("a"), frozenset("b")


async def find(backend: Backend, job: str) -> list[Delivery]:
    """Look for a job's triggers as an engine does that has just been given it: receive, then sweep."""
    found = list(await take(backend, job, limit=1000))
    return found + list(await backend.bus.take_over(await backend.bus.lapsed(frozenset((job,)), 1000)))


class ParkingContract:
    """What a replica does not know waits where one that knows it finds it."""

    @scenario("where a receive leaves a trigger whose job it was not asked for")
    async def test_unknown_triggers_hold_up_none_that_are_known(self, world: World) -> None:
        """Three hundred triggers of a job that a replica lacks do not keep it from its own."""
        old, new = await world.make_backends(2)
        await send(old, *(trigger("b", at=number) for number in range(1, 301)), job="b")
        await send(old, trigger("a", at=7))
        known: list[Delivery] = []
        until = time.monotonic() + PATIENCE
        while not known and time.monotonic() < until:
            known += await old.bus.receive(A, 2, SECOND // 10)
        assert [d.trigger.job for d in known] == ["a"], f"asked for a, and received {known}"
        await beat(old, new)
        found = await find(new, "b")
        assert len({d.trigger.key for d in found}) == 300, f"of 300 parked triggers {len(found)} were found"
        assert len(found) == 300, "a parked trigger was handed out twice"

    @scenario("lapsed: it lists what receive would no longer come across; take_over keeps its number")
    async def test_what_was_parked_is_delivered_as_number_1(self, world: World) -> None:
        """Nobody has begun it: being parked, and being found by a sweep, is no take-over."""
        old, new = await world.make_backends(2)
        await send(old, trigger("b"), job="b")
        for _ in range(3):
            await take(old, "a")
        await live(world, 2 * SECOND, old, new)
        found = await find(new, "b")
        assert [d.number for d in found] == [1], f"a parked trigger was found as {found}"
        assert await find(new, "b") == [], "a parked trigger was found twice"
        assert await find(old, "b") == [], "a parked trigger was found twice"

    @scenario("which waiting triggers lapsed lists: those that receive would not come across any more")
    async def test_what_waits_is_found_once_whoever_looks_first(self, world: World) -> None:
        """A sweep before a receive, and after it: together they find each trigger once."""
        first, second = await world.make_backends(2)
        await send(first, *(trigger("b", at=number) for number in range(1, 6)), job="b")
        await take(first, "a")
        await live(world, 2 * SECOND, first, second)
        await send(first, trigger("b", at=6), trigger("b", at=7), job="b")
        found = list(await second.bus.take_over(await second.bus.lapsed(B, 3)))
        for backend in (first, second):
            found += await find(backend, "b")
        keys = sorted(delivery.trigger.key for delivery in found)
        assert keys == list("1234567"), f"of the triggers 1 to 7 were found {keys}"

    @scenario("what becomes of parked triggers when the replica that read past them is gone")
    async def test_a_replica_that_leaves_takes_nothing_with_it(self, world: World) -> None:
        """It read what it did not know and died: who knows it finds it all the same."""
        old, new = await world.make_backends(2)
        await send(old, trigger("b"), job="b")
        waiting = asyncio.ensure_future(old.bus.receive(A, 10, 20 * SECOND))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.wait([waiting])
        await old.close()
        await lapse(world, new)
        assert len(await find(new, "b")) == 1, "what a dead replica did not know is gone"

    @scenario(
        "what a receive that is given a further job looks through: new triggers only, or parked ones too"
    )
    async def test_who_learns_a_job_later_finds_what_it_parked_itself(self, world: World) -> None:
        """A job is added to a running replica, which had read past its triggers."""
        backend, other = await world.make_backends(2)
        await send(other, trigger("b"), job="b")
        assert list(await take(backend, "a")) == [], "a replica got a job that it does not know"
        await live(world, 2 * SECOND, backend, other)
        assert len(await find(backend, "b")) == 1, "a job that was added does not get what was parked"

    @scenario("lapsed and take_over: a delivery whose owner died is for those who name its job alone")
    async def test_a_dead_replicas_deliveries_wait_for_one_that_knows_their_job(self, world: World) -> None:
        """Sweeps of replicas without the job neither take it nor lose it."""
        dead, old, new = await world.make_backends(3)
        await send(dead, trigger("b"), job="b")
        await take(dead, "b")
        await lapse(world, dead, old, new)
        for _ in range(3):
            assert list(await old.bus.lapsed(A, 10)) == [], "lapsed lists a job that was not asked for"
            assert list(await take(old, "a")) == [], "a lapsed delivery was received by who has not its job"
        found = only(await find(new, "b"))
        assert found.number == 2, f"a take-over came as number {found.number}"

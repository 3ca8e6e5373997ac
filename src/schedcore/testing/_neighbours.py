"""The condition that an app's name scopes everything."""

from __future__ import annotations

from schedcore.protocols import ROW, Row
from schedcore.testing.world import (
    SECOND,
    TTL,
    World,
    done,
    line,
    needs,
    one,
    row_of,
    scenario,
    send,
    state,
    step,
    take,
    trigger,
)


class NeighbourContract:
    """Two apps on one store share nothing, if `World.neighbours`."""

    @scenario("whether the app is part of every key, and of every condition of a query")
    async def test_another_app_sees_nothing_of_this_one(self, world: World) -> None:
        """Rows, triggers, deliveries, history and replicas of the same names are others."""
        needs(world, "neighbours")
        backend, other = await one(world), await world.make_neighbour()
        await done(backend, step(Row("a"), data=state(1), send=(trigger(),), runs=(line(),)))
        assert list(await take(other)) == [], "another app received this one's trigger"
        held = await take(backend)
        await backend.store.beat("r0", {}, TTL)
        assert list(await other.store.rows(["a"])) == [Row("a", 0, None, frozenset())], (
            "it sees this one's row"
        )
        assert list(await other.store.rows()) == [], "it lists this one's rows"
        assert list((await other.store.runs("a"))[0]) == [], "it reads this one's history"
        assert list(await other.store.held()) == [], "it sees what this one holds"
        assert list(await other.store.replicas()) == [], "it sees this one's replicas"
        assert (await other.store.beat("r0", {}, TTL)).gap == 0, "its first beat follows one of this one's"
        assert not await other.bus.cancel("a", held[0].trigger.key), "it cancels this one's runs"

    @scenario("whether the app is part of every key, and of every condition of a query")
    async def test_another_app_changes_nothing_of_this_one(self, world: World) -> None:
        """It does the same under the same names, and each has its own."""
        needs(world, "neighbours")
        backend, other = await one(world), await world.make_neighbour()
        for app, number in ((backend, 1), (other, 2)):
            await send(app, trigger(at=number))
            assert [d.trigger.key for d in await take(app)] == [str(number)], "two apps share their triggers"
        assert [h.delivery.trigger.key for h in await backend.store.held()] == ["1"], "a delivery was lost"
        if world.refuses:
            for name in ("n", ROW + "a"):
                assert await backend.locker.acquire(name, "r0", SECOND), "a free name was refused"
                assert await other.locker.acquire(name, "other", SECOND), "two apps share their locks"

    @scenario("whether the app is part of the key under which a committed step's id is kept")
    async def test_a_step_of_another_app_is_another_step(self, world: World) -> None:
        """Ids are an app's own too."""
        needs(world, "neighbours")
        backend, other = await one(world), await world.make_neighbour()
        for app, number in ((backend, 1), (other, 2)):
            await done(app, step(Row("a"), data=state(number), id="the same"))
            assert (await row_of(app)).data == state(number), "a step of another app was taken for this one"

"""The conditions of what a store may be able to do as well."""

from __future__ import annotations

from typing import Any

import pytest

from schedcore.protocols import Condition, Finding, Row, Store
from schedcore.testing.world import (
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


def ability(store: Store, name: str) -> Any:
    """Find a method that a store may have."""
    found = getattr(store, name, None)
    if found is None:
        pytest.skip(f"this store has no {name}")
    return found


class AbilityContract:
    """`purge` and `examine`, of a store that has them."""

    @scenario("whether purge removes rows, history, triggers, leases, and who lives")
    async def test_purge_removes_all_that_there_is_of_the_app(self, world: World) -> None:
        """Whoever comes next finds an app that never was."""
        backend = await one(world)
        store = backend.store
        purge = ability(store, "purge")
        await done(backend, step(Row("a"), data=state(1), send=(trigger(),), runs=(line(),)))
        await take(backend)
        await send(backend, trigger("b", 1), job="b")
        await store.beat("r0", {}, TTL)
        assert await purge(), "it removed an app, and says that there was none"
        assert list(await store.rows()) == [], "a row is left"
        assert list((await store.runs("a"))[0]) == [], "a line of the history is left"
        assert list(await store.held()) == [], "a delivery is left"
        assert list(await store.replicas()) == [], "a replica is left"
        assert list(await take(backend, "a", "b")) == [], "a trigger is left"
        assert not await purge(), "there is nothing left, and it says that there was something"

    @scenario(
        "whether the app is part of every key, and of every condition, by which purge finds what to remove"
    )
    async def test_purge_leaves_other_apps_alone(self, world: World) -> None:
        """One whose name begins as the app's does keeps its row, its trigger and its line."""
        needs(world, "neighbours")
        backend, other = await one(world), await world.make_neighbour()
        purge = ability(backend.store, "purge")
        for app in (backend, other):
            await done(app, step(Row("a"), data=state(1), send=(trigger(),), runs=(line(),)))
        await purge()
        assert (await row_of(other)).data == state(1), "another app's row is gone"
        assert list((await other.store.runs("a"))[0]) == [line()], "another app's history is gone"
        assert [delivery.trigger for delivery in await take(other)] == [trigger()], (
            "another app's trigger is gone"
        )

    @scenario("whether examine only looks, and says of what is not as it should be what to do")
    async def test_examine_tells_findings_and_changes_nothing(self, world: World) -> None:
        """Each has a verdict, and each that is not good a remedy."""
        backend = await one(world)
        store = backend.store
        examine = ability(store, "examine")
        await done(backend, step(Row("a"), data=state(1), send=(trigger(),), runs=(line(),)))
        before = await store.rows()
        findings = await examine()
        assert findings, "it found nothing to tell"
        assert all(isinstance(finding, Finding) for finding in findings)
        for finding in findings:
            assert finding.remedy or finding.verdict is Condition.OK, f"{finding.check} is without a remedy"
        assert await store.rows() == before, "it changed a row"
        assert [delivery.trigger for delivery in await take(backend)] == [trigger()], "it changed what waits"

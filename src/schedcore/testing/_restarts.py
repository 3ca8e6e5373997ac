"""The conditions of `schedcore.protocols` that concern a store which stops and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from schedcore.protocols import Row, Verdict
from schedcore.testing.world import (
    PATIENCE,
    TTL,
    World,
    commit,
    done,
    line,
    needs,
    one,
    only,
    scenario,
    send,
    snapshot,
    soon,
    state,
    step,
    take,
    trigger,
)

T = TypeVar("T")


async def again(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call until it is answered, as the engine does."""
    last: Exception | None = None
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    return await call()
                except Exception as exc:  # noqa: BLE001  whatever the driver raises while the store is away
                    last = exc
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{PATIENCE} s after the restart it was still refused: {last!r}") from last


class RestartContract:
    """A store that comes back is used as before, and told apart where that matters."""

    @scenario("what is kept in memory only, of the store or of the replica")
    async def test_what_was_acknowledged_is_there_after_a_restart(self, world: World) -> None:
        """Rows, waiting triggers, deliveries under their tokens and history; and it goes on by itself."""
        needs(world, "restarts")
        backend = await one(world)
        await backend.store.beat("r0", {}, TTL)
        await send(backend, trigger(at=1), trigger(at=2))
        held = only(await take(backend, limit=1))
        await done(backend, step(Row("b"), data=state(7), runs=(line("b"),)))
        before = await snapshot(backend)
        await world.restart()
        await again(lambda: backend.store.beat("r0", {}, TTL))
        assert await again(lambda: snapshot(backend)) == before, "what was acknowledged has changed"
        assert held in (await backend.bus.renew([held], {})).mine, "a live owner lost its delivery"
        assert only(await soon(take(backend))).trigger.scheduled_at == 2, "what waits is not handed out"

    @scenario("what `server` of a beat is: a name that the server has anew with each start")
    async def test_a_beat_tells_a_server_that_was_restarted(self, world: World) -> None:
        """One server has one name, a restarted one another; empty, if what it acknowledged cannot be lost."""
        needs(world, "restarts")
        backend = await one(world)
        first, second = [(await backend.store.beat("r0", {}, TTL)).server for _ in range(2)]
        assert first == second, f"one server has two names: {first!r} and {second!r}"
        await world.restart()
        third = (await again(lambda: backend.store.beat("r0", {}, TTL))).server
        assert third != first or not first, f"a server that was restarted still says {first!r}"

    @scenario("how the core is kept from committing what a rule saw before the restart: HELD, or no answer")
    async def test_nothing_is_committed_on_a_restarted_server_before_a_beat(self, world: World) -> None:
        """It may lack what it acknowledged: first the core has to compare marks. Not if it cannot lose."""
        needs(world, "restarts")
        backend = await one(world)
        if not (await backend.store.beat("r0", {}, TTL)).server:
            return
        row = await send(backend)
        await world.restart()
        await again(backend.store.now)
        own = step(row)
        answer = await again(lambda: commit(backend, own))
        assert answer.verdict is Verdict.HELD, f"before a beat a step was {answer.verdict}"
        await backend.store.beat("r0", {}, TTL)
        assert (await commit(backend, step(row))).verdict is Verdict.DONE, "after a beat a step is still held"

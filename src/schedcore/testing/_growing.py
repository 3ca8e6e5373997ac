"""The condition that a store grows with its jobs, and not with what they have done."""

from __future__ import annotations

from schedcore.protocols import Backend, Keep, Status
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
    step,
    take,
    trigger,
)

KEEP = Keep(lines=5, failures=3, age=60 * SECOND)
HOUR = 3600 * SECOND


async def live(backend: Backend, number: int) -> None:
    """Do all that a replica does, which comes and goes."""
    replica = f"r{number}"
    await backend.store.beat(replica, {"n": number}, TTL)
    await send(backend, *(trigger(at=10 * number + each) for each in range(4)))
    held = await take(backend)
    await backend.bus.renew(held, {("a", each.trigger.key): "half of it" for each in held})
    await backend.bus.cancel("a", held[0].trigger.key)
    await backend.bus.give_back(held[:2])
    held = [*await take(backend), *held[2:]]
    for delivery, status in zip(held, (Status.SUCCEEDED, Status.FAILED) * 2, strict=True):
        ended = line(at=delivery.trigger.scheduled_at, status=status)
        await done(backend, step(await row_of(backend), done=(delivery,), runs=(ended,), keep=KEEP))
    await backend.store.beat(replica, {}, 0 if number % 2 else TTL)


class GrowthContract:
    """What is over leaves nothing, if the world says how large its store is."""

    @scenario("what stays: finished triggers, leases, ids of steps, replicas that are gone, old lines")
    async def test_what_is_over_leaves_nothing(self, world: World) -> None:
        """Hours later a store that has seen forty lives of replicas is as large as after ten."""
        needs(world, "measures")
        backend, number, sizes = await one(world), 0, []
        for lives in (10, 30, 30):
            for _ in range(lives):
                number += 1
                await live(backend, number)
            for _ in range(3):  # what is tidied away, is by beats
                await world.advance(HOUR)
                await backend.store.beat("r0", {}, TTL)
            assert list((await backend.store.runs("a"))[0]) == [], "lines are read that are hours too old"
            sizes.append(await world.size())
        assert sizes == [sizes[0]] * 3, f"with 10, 40 and 70 lives of replicas the store holds {sizes}"

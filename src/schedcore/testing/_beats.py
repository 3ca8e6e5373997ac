"""The conditions of `schedcore.protocols` that concern who lives, the epoch, and the backend as a whole."""

from __future__ import annotations

from schedcore.protocols import Row
from schedcore.testing.world import (
    BEAT,
    SECOND,
    TTL,
    World,
    beat,
    delivered,
    done,
    needs,
    one,
    only,
    row_of,
    scenario,
    send,
    state,
    step,
    take,
    trigger,
)


class BeatContract:
    """A beat says who lives, and hears the store's clock, its epoch and its newest number."""

    @scenario("until when a beat counts: the store's now plus `ttl`")
    async def test_a_beat_keeps_a_replica_among_the_living_for_its_ttl(self, world: World) -> None:
        """Both are alive until one stops beating for that long."""
        first, second = await world.make_backends(2)
        await beat(first, second)
        answer = await first.store.beat("r0", {}, TTL)
        assert answer.alive == {"r0", "r1"}, f"two replicas beat, alive are {sorted(answer.alive)}"
        for _ in range(3):
            await world.advance(BEAT)
            answer = await first.store.beat("r0", {}, TTL)
        assert "r1" in answer.alive, "a replica was dropped before its ttl was over"
        await world.advance(BEAT)
        answer = await first.store.beat("r0", {}, TTL)
        assert answer.alive == {"r0"}, f"12 s after its last beat, alive are {sorted(answer.alive)}"
        assert [r.id for r in await first.store.replicas()] == ["r0"], "the dead are listed among the living"
        await world.advance(4 * BEAT)
        assert list(await first.store.replicas()) == [], "when nobody beats any more the dead are listed"

    @scenario("what a beat with ttl 0 does: it removes the replica")
    async def test_a_beat_with_ttl_0_says_goodbye(self, world: World) -> None:
        """Who leaves is gone at once; leaving twice is no error."""
        first, second = await world.make_backends(2)
        await beat(first, second)
        for _ in range(2):
            await second.store.beat("r1", {}, 0)
            assert [r.id for r in await first.store.replicas()] == ["r0"], "who left is still listed"
        assert (await first.store.beat("r0", {}, TTL)).alive == {"r0"}, "who left is still alive"

    @scenario("what a beat with ttl 0 does with deliveries: nothing, for a thread may still be at work")
    async def test_who_says_goodbye_gives_nothing_back(self, world: World) -> None:
        """What it holds is its own until it gives that back, or the lease runs out."""
        first, second = await world.make_backends(2)
        await beat(first, second)
        delivery = await delivered(first)
        await first.store.beat("r0", {}, 0)
        assert list(await take(second)) == [], "what a replica held that left was handed out"
        assert (await first.bus.renew([delivery], {})).mine == {delivery}, "who left has lost its delivery"

    @scenario("whose beat it is: that of the replica that is named")
    async def test_a_beat_is_for_the_replica_that_is_named(self, world: World) -> None:
        """Under whatever name it was opened."""
        backend = await one(world)
        answer = await backend.store.beat("somebody", {}, TTL)
        assert answer.alive == {"somebody"}, f"somebody beat, alive are {sorted(answer.alive)}"
        assert [r.id for r in await backend.store.replicas()] == ["somebody"], "another replica is listed"

    @scenario("where `now` and `newest` of a beat come from")
    async def test_a_beat_answers_with_the_stores_clock_and_newest_number(self, world: World) -> None:
        """`now` is read with the beat, and `newest` is the newest version or token given out."""
        backend = await one(world)
        before = await backend.store.now()
        delivery = await delivered(backend)
        answer = await backend.store.beat("r0", {}, TTL)
        assert before <= answer.now <= await backend.store.now(), "a beat's now is not the store's"
        assert answer.newest == delivery.token, (
            f"newest is {answer.newest}, the newest token {delivery.token}"
        )

    @scenario("what `gap` is counted from: the last beat of any replica of the app")
    async def test_a_beat_tells_the_time_since_the_apps_previous_one(self, world: World) -> None:
        """By whichever replica; the very first has no gap."""
        first, second = await world.make_backends(2)
        assert (await first.store.beat("r0", {}, TTL)).gap == 0, "the first beat of all has a gap"
        await world.advance(2 * SECOND)
        gap = (await second.store.beat("r1", {}, TTL)).gap
        assert 2 * SECOND <= gap < 4 * SECOND, f"two seconds after another replica's beat the gap is {gap}"
        gap = (await first.store.beat("r0", {}, TTL)).gap
        assert gap < SECOND, f"right after another replica's beat the gap is {gap}"

    @scenario(
        "where the last beat is kept: apart from the replicas, which are dropped when their ttl is over"
    )
    async def test_the_gap_is_counted_from_the_last_beat_of_who_is_gone_too(self, world: World) -> None:
        """All are dead, or have left, a minute later: the app was a minute without a beat."""
        backend = await one(world)
        for ttl, how in ((TTL, "died"), (0, "left")):
            await backend.store.beat("r0", {}, ttl)
            await world.advance(60 * SECOND)
            gap = (await backend.store.beat("r0", {}, TTL)).gap
            assert gap >= 59 * SECOND, f"a minute after the last replica has {how} the gap is {gap}"

    @scenario("where the epoch is kept: in the store, made once")
    async def test_the_epoch_is_one_for_all(self, world: World) -> None:
        """Whoever beats, and however often, hears the same."""
        first, second = await world.make_backends(2)
        epochs = [(await b.store.beat("r0", {}, TTL)).epoch for b in (first, second, first)]
        assert epochs[0], "the epoch is empty"
        assert len(set(epochs)) == 1, f"one store, several epochs: {epochs}"

    @scenario("when the epoch is made: whenever a beat finds none, and at random")
    async def test_the_epoch_is_new_when_the_store_began_without_data(self, world: World) -> None:
        """A flush changes it."""
        needs(world, "flushes")
        backend = await one(world)
        old = (await backend.store.beat("r0", {}, TTL)).epoch
        await world.flush()
        new = (await backend.store.beat("r0", {}, TTL)).epoch
        assert new != old, "a store without data kept its epoch"
        assert new, "the epoch is empty after a flush"

    @scenario("how facts are stored: as JSON, with the store's now")
    async def test_replicas_tells_how_each_described_itself(self, world: World) -> None:
        """The facts of the last beat, whatever JSON can hold, and when it was."""
        backend = await one(world)
        await backend.store.beat("r0", {"n": 1}, TTL)
        facts = {"host": "ü", "pid": 7, "names": ["a"], "more": {"x": None, "y": 1.5}}
        before = await backend.store.now()
        answer = await backend.store.beat("r0", facts, TTL)
        replica = only(await backend.store.replicas(), "living replica")
        assert (replica.id, dict(replica.facts)) == ("r0", facts), (
            f"facts {facts} came back as {replica.facts}"
        )
        assert before <= replica.beat_at <= answer.now, "beat_at is not when it beat"

    @scenario("what open and close do when called twice")
    async def test_open_and_close_are_safe_to_repeat(self, world: World) -> None:
        """After a failure the core opens again; what was committed is still there."""
        backend = await one(world)
        row = await done(backend, step(Row("a"), data=state(1)))
        await backend.open("r0")
        assert (await row_of(backend)).version == row.version, "opening again lost a row"
        await backend.close()
        await backend.close()
        await backend.open("another")
        assert await backend.store.now() > 0, "a backend that was closed could not be opened again"
        await send(backend, trigger())
        await take(backend)
        (holding,) = await backend.store.held()
        assert holding.replica == "another", (
            f"opened as another replica it took something as {holding.replica}"
        )

    @scenario("the attributes `name` and `notice`")
    async def test_a_backend_says_its_name(self, world: World) -> None:
        """Messages name it, and `notice` is text."""
        backend = await one(world)
        assert backend.name, "a backend without a name"
        assert isinstance(backend.notice, str), "notice is no text"

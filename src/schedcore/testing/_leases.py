"""The conditions of `schedcore.protocols.TriggerBus` that concern leases and take-overs."""

from __future__ import annotations

from schedcore.testing.world import (
    BEAT,
    GAP,
    LEASE,
    SECOND,
    TTL,
    World,
    beat,
    delivered,
    lapse,
    live,
    needs,
    one,
    only,
    scenario,
    send,
    take,
    trigger,
)

A = frozenset("a")


class LeaseContract:
    """A lease is its owner's until it has run out, and somebody has taken the delivery over."""

    @scenario("whether renew moves the deadline to the store's now plus ten seconds")
    async def test_a_lease_is_kept_by_renewing_it(self, world: World) -> None:
        """Who renews with each beat keeps the delivery for as long as it takes."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        for _ in range(5):
            await live(world, BEAT, first, second)
            renewal = await first.bus.renew([delivery], {})
            assert delivery in renewal.mine, "the owner's renewal was refused"
        assert list(await second.bus.lapsed(A, 10)) == [], "a renewed lease lapsed"

    @scenario("how lapsed compares: deadlines of ten seconds with the store's now")
    async def test_a_lease_that_is_not_renewed_lapses_and_not_before_its_time(self, world: World) -> None:
        """Two beats after the delivery it still holds; past ten seconds it may be taken over."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        await live(world, 2 * BEAT, first, second)
        assert list(await second.bus.lapsed(A, 10)) == [], "a lease lapsed before its ten seconds were over"
        await live(world, LEASE - 2 * BEAT + SECOND, first, second)
        assert list(await second.bus.lapsed(A, 10)) == [delivery], "a lease that nobody renewed did not lapse"

    @scenario("which deliveries renew renews: those that it is given, not all of the replica's")
    async def test_renewing_one_delivery_renews_no_other(self, world: World) -> None:
        """Of two that a replica has, it renews one, and nothing: the other lapses."""
        first, second = await world.make_backends(2)
        await send(first, trigger(at=1), trigger(at=2))
        kept, left = await take(first)
        for _ in range(4):
            await live(world, BEAT, first, second)
            renewal = await first.bus.renew([kept], {})
            assert renewal.mine == {kept}, f"one delivery was renewed, and mine are {renewal.mine}"
            await first.bus.renew([], {})
        assert list(await second.bus.lapsed(A, 10)) == [left], "what was not renewed, beside another, is kept"

    @scenario("what renew adds ten seconds to: the store's now, not the deadline that was")
    async def test_a_lease_ends_ten_seconds_after_its_last_renewal(self, world: World) -> None:
        """Who renews three times in a moment, and dies, has no longer lease than who renews once."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        for _ in range(3):
            await first.bus.renew([delivery], {})
        await lapse(world, first, second)
        assert list(await second.bus.lapsed(A, 10)) == [delivery], "renewals that came quickly added up"

    @scenario("whether lapsed heeds `limit`")
    async def test_lapsed_lists_at_most_its_limit(self, world: World) -> None:
        """A sweep takes no more than there are places."""
        first, second = await world.make_backends(2)
        await send(first, *(trigger(at=number) for number in (1, 2, 3)))
        await take(first)
        await lapse(world, first, second)
        assert len(await second.bus.lapsed(A, 2)) == 2, "lapsed ignored its limit"

    @scenario("whether renew refuses by deadline (it must not), and take_over looks at the deadline again")
    async def test_a_lapsed_lease_may_be_renewed_until_somebody_has_taken_over(self, world: World) -> None:
        """An owner that was cut off, and comes back first, keeps its run."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        await lapse(world, first, second)
        seen = await second.bus.lapsed(A, 10)
        assert (await first.bus.renew([delivery], {})).mine == {delivery}, (
            "a lapsed lease could not be renewed"
        )
        assert list(await second.bus.take_over(seen)) == [], "what was renewed meanwhile was taken over"

    @scenario("what take_over writes: number + 1, a new token, the new owner and its deadline")
    async def test_take_over_gives_the_next_number_and_a_new_token(self, world: World) -> None:
        """Each take-over counts, and its token is above all before."""
        first, second = await world.make_backends(2)
        old = await delivered(first)
        await lapse(world, first, second)
        new = only(await second.bus.take_over(await second.bus.lapsed(A, 10)))
        assert (new.trigger, new.number) == (old.trigger, 2), f"taken over, it came as {new}"
        assert new.token > old.token, "a take-over did not raise the token"
        await lapse(world, first, second)
        third = only(await first.bus.take_over(await first.bus.lapsed(A, 10)))
        assert (third.number, third.token > new.token) == (3, True), f"taken over again, it came as {third}"

    @scenario("whether take_over compares the token seen with the delivery's")
    async def test_one_of_two_takes_over(self, world: World) -> None:
        """Of two replicas that saw the same lapse one gets it: the token seen is no longer its token."""
        first, second, third = await world.make_backends(3)
        await delivered(first)
        await lapse(world, first, second, third)
        seen = await second.bus.lapsed(A, 10), await third.bus.lapsed(A, 10)
        got = await second.bus.take_over(seen[0]), await third.bus.take_over(seen[1])
        assert [len(part) for part in got] == [1, 0], "two replicas took one delivery over"

    @scenario("whether take_over compares the token seen, not only the deadline")
    async def test_take_over_needs_the_token_that_was_seen(self, world: World) -> None:
        """Who looked before another's take-over takes nothing by it, even when that lease has lapsed too."""
        first, second, third = await world.make_backends(3)
        await delivered(first)
        await lapse(world, first, second, third)
        seen = await third.bus.lapsed(A, 10)
        await second.bus.take_over(await second.bus.lapsed(A, 10))
        await lapse(world, first, second, third)
        assert list(await third.bus.take_over(seen)) == [], "a delivery was taken over under an old token"

    @scenario("the deadline that take_over writes")
    async def test_a_delivery_that_was_taken_over_has_a_lease(self, world: World) -> None:
        """The new owner has its own ten seconds."""
        first, second = await world.make_backends(2)
        await delivered(first)
        await lapse(world, first, second)
        await second.bus.take_over(await second.bus.lapsed(A, 10))
        await live(world, 2 * BEAT, first, second)
        assert list(await first.bus.lapsed(A, 10)) == [], "a take-over came without a lease"

    @scenario("whether each delivery has a deadline from the moment of receive, whoever its owner is")
    async def test_a_receive_whose_reply_was_lost_lapses(self, world: World) -> None:
        """Nobody renews it; it is handed out again, if need be to the same replica."""
        backend = await one(world)
        lost = await delivered(backend)
        await lapse(world, backend)
        assert list(await take(backend)) == [], "an unanswered delivery was handed out within its lease"
        again = only(await backend.bus.take_over(await backend.bus.lapsed(A, 10)))
        assert again.token > lost.token, "a replica could not take over from itself"

    @scenario("whether lapsed and take_over ask how long ago the app's last beat was: 4.5 s at most")
    async def test_nothing_is_taken_over_while_the_app_has_no_beat(self, world: World) -> None:
        """After 4.5 s without any beat the owner may merely have been cut off, like everybody."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        await live(world, 3 * BEAT, first, second)
        await world.advance(GAP + SECOND // 2)
        assert list(await second.bus.lapsed(A, 10)) == [], "in an outage a lease was listed as lapsed"
        assert list(await second.bus.take_over([delivery])) == [], "in an outage a run was taken over"

    @scenario("what a beat notes after a gap above 4.5 s: until when nothing may be taken over")
    async def test_nothing_is_taken_over_for_a_lease_after_a_gap(self, world: World) -> None:
        """An outage steals nothing: owners have a lease's time to renew, then what nobody renewed lapses."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        await live(world, 3 * BEAT, first, second)
        await world.advance(GAP + SECOND // 2)
        await live(world, 2 * BEAT, first, second)
        assert list(await second.bus.lapsed(A, 10)) == [], (
            "right after an outage a lease was listed as lapsed"
        )
        assert list(await second.bus.take_over([delivery])) == [], "right after an outage a run was stolen"
        await live(world, LEASE - 2 * BEAT + SECOND, first, second)
        assert len(await second.bus.take_over([delivery])) == 1, (
            "a lease after an outage it still was not taken over"
        )

    @scenario("deadlines and quiet times that lie ahead of the clock: a beat that finds some shortens them")
    async def test_the_dead_are_taken_over_although_the_clock_was_set_back(self, world: World) -> None:
        """By an hour: not at once, since owners could not renew by it, and not an hour later."""
        needs(world, "sets_back")
        first, second = await world.make_backends(2)
        await beat(first, second)
        held = await delivered(first)
        await world.set_back(3600 * SECOND)
        gap = (await second.store.beat("r1", {}, TTL)).gap
        assert gap == 0, f"a clock that was set back made a gap of {gap}"
        assert not await second.bus.lapsed(A, 10), "taken over before its owner could renew"
        for _ in range(4):
            await world.advance(BEAT)
            alive = (await second.store.beat("r1", {}, TTL)).alive
        assert alive == {"r1"}, "who is dead counts as living for as long as the clock was ahead"
        assert list(await second.bus.lapsed(A, 10)) == [held], "stranded for as long as the clock was ahead"

    @scenario("what lapsed and take_over do in an app without any beat")
    async def test_nothing_is_taken_over_before_the_first_beat(self, world: World) -> None:
        """A store that knows of no beat knows nothing of who lives."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        await world.advance(LEASE + SECOND)
        assert list(await second.bus.take_over([delivery])) == [], "without a beat a run was taken over"

    @scenario("what is a gap: more than 4.5 s without a beat, and nothing shorter")
    async def test_beats_that_are_a_little_late_are_no_gap(self, world: World) -> None:
        """Beats 3.5 s apart, on a busy machine: who died among them is taken over all the same."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        late = BEAT + SECOND // 2
        await second.store.beat("r1", {}, LEASE)
        for _ in range(4):
            await world.advance(late)
            await second.store.beat("r1", {}, LEASE)
        await world.advance(late)
        assert len(await second.bus.take_over([delivery])) == 1, (
            "with beats 3.5 s apart nothing is taken over"
        )

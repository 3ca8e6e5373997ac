"""The conditions of `schedcore.protocols.TriggerBus` that concern what passes from owner to owner."""

from __future__ import annotations

from collections.abc import Sequence

from schedcore.protocols import Delivery
from schedcore.testing.world import (
    World,
    delivered,
    done,
    lapse,
    line,
    one,
    only,
    row_of,
    scenario,
    send,
    step,
    take,
    trigger,
)

A = frozenset("a")


class HandoverContract:
    """The new owner has the trigger as it was sent, and nothing of what concerned the old one."""

    @scenario("what give_back writes: it leaves the number as it is, whatever that is")
    async def test_giving_back_keeps_the_number_after_a_take_over(self, world: World) -> None:
        """What had two owners, and is given back by the second, is delivered as number 2."""
        first, second = await world.make_backends(2)
        await delivered(first)
        await lapse(world, first, second)
        taken = await second.bus.take_over(await second.bus.lapsed(A, 10))
        await second.bus.give_back(taken)
        again = only(await take(first))
        assert again.number == 2, f"a second delivery, given back, came as number {again.number}"

    @scenario("what take_over clears: note, cancel request, and since when it is held")
    async def test_a_new_owner_inherits_nothing_of_the_old_one(self, world: World) -> None:
        """A note was another run's, a cancel request for another holder; `since` is when it was taken."""
        first, second = await world.make_backends(2)
        old = await delivered(first)
        await first.bus.renew([old], {("a", old.trigger.key): "half of it"})
        assert await second.bus.cancel("a", old.trigger.key), "cancel did not tell that the run is held"
        await lapse(world, first, second)
        before = await second.store.now()
        taken = await second.bus.take_over(await second.bus.lapsed(A, 10))
        holding = only(await first.store.held(), "held delivery")
        assert holding.replica == "r1", f"taken over by r1, it is held by {holding.replica}"
        assert holding.note == "", f"the new owner has said nothing, and the note is {holding.note!r}"
        assert holding.since >= before, "since is not when it was taken over"
        assert (await second.bus.renew(taken, {})).cancel == frozenset(), "the new owner was told to cancel"

    @scenario("whether renew and give_back compare the token, and not only whose it is")
    async def test_what_a_replica_had_before_is_no_longer_its_delivery(self, world: World) -> None:
        """It took over what it had held itself: under the old token it renews and gives back nothing."""
        first, second = await world.make_backends(2)
        old = await delivered(first)
        await lapse(world, first, second)
        new = only(await first.bus.take_over(await first.bus.lapsed(A, 10)))
        mine = (await first.bus.renew([old], {})).mine
        assert mine == frozenset(), "an old delivery was renewed, since the new one is the same replica's"
        await first.bus.give_back([old])
        assert list(await take(second)) == [], "what was given back under an old token was handed out"
        assert (await first.bus.renew([new], {})).mine == {new}, (
            "the new delivery is not its owner's any more"
        )

    @scenario("whether held, and `held` of a row, ask for the lease: they do not")
    async def test_what_has_lapsed_is_still_held(self, world: World) -> None:
        """Until somebody takes it over it is its owner's, who can still be asked to cancel."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        await lapse(world, first, second)
        holding = only(await second.store.held(), "held delivery")
        assert (holding.delivery, holding.replica) == (delivery, "r0"), f"held is {holding}"
        held = (await row_of(second)).held
        assert held == frozenset({delivery.trigger.key}), f"with its lease run out, the row holds {held}"
        assert await second.bus.cancel("a", delivery.trigger.key), "cancel did not tell that the run is held"

    @scenario("whether take_over judges each delivery by itself")
    async def test_of_several_those_that_are_still_lapsed_are_taken_over(self, world: World) -> None:
        """One of three was renewed after the sweep looked: the other two are taken."""
        first, second = await world.make_backends(2)
        await send(first, *(trigger(at=number) for number in (1, 2, 3)))
        held = await take(first)
        await lapse(world, first, second)
        seen = await second.bus.lapsed(A, 10)
        await first.bus.renew([d for d in held if d.trigger.key == "2"], {})
        taken = await second.bus.take_over(seen)
        assert keys(taken) == ["1", "3"], f"of 1, 2 and 3, with 2 renewed, {keys(taken)} were taken over"

    @scenario("how triggers are stored, and whether take_over reads all of one: `extra` too")
    async def test_a_trigger_is_handed_over_as_it_was_sent(self, world: World) -> None:
        """Received, given back or taken over, every field is as it was, `extra` and `missed` included."""
        first, second = await world.make_backends(2)
        sent = trigger(payload='"p"', missed=3, extra='{"x":1}')
        await send(first, sent)
        got = [only(await take(first))]
        await first.bus.give_back(got)
        got.append(only(await take(first)))
        await lapse(world, first, second)
        got += await second.bus.take_over(await second.bus.lapsed(A, 10))
        triggers = [delivery.trigger for delivery in got]
        assert triggers == [sent] * 3, f"sent {sent}; received, again and taken over: {triggers}"

    @scenario("how lapsed chooses: by job first, and then it counts to `limit`")
    async def test_lapsed_deliveries_of_other_jobs_hide_none(self, world: World) -> None:
        """Twenty of a job that the caller lacks stand before its own."""
        first, second = await world.make_backends(2)
        await send(first, *(trigger("b", at=number) for number in range(1, 21)), job="b")
        assert len(await take(first, "b")) == 20
        own = await delivered(first)
        await lapse(world, first, second)
        found = list(await second.bus.lapsed(A, 5))
        assert found == [own], f"behind 20 lapsed deliveries of b, five at most of a are {found}"

    @scenario("what receive, lapsed and held do with no names: nothing, instead of all")
    async def test_no_names_are_no_jobs(self, world: World) -> None:
        """A replica without jobs is handed out nothing."""
        backend = await one(world)
        await send(backend)
        nothing = frozenset[str]()
        assert list(await backend.bus.receive(nothing, 10, 0)) == [], "of no jobs, something was received"
        only(await take(backend))
        assert list(await backend.store.held([])) == [], "of no jobs, something is held"
        await lapse(world, backend)
        assert list(await backend.bus.lapsed(nothing, 10)) == [], "of no jobs, something has lapsed"

    @scenario("what a name is: job and key apart, never joined by what may be in them")
    async def test_a_trigger_is_known_by_job_and_key(self, world: World) -> None:
        """`b:1` of a, `1` of a:b, and `1` of a and b are four; cancelling one cancels no other."""
        backend = await one(world)
        names = [("a", "b:1"), ("a:b", "1"), ("a", "1"), ("b", "1")]
        for job, key in names:
            await send(backend, trigger(job, at=1, key=key), job=job)
        held: list[Delivery] = [*await take(backend, "a", "a:b", "b")]
        got = sorted((d.trigger.job, d.trigger.key) for d in held)
        assert got == sorted(names), f"sent {names}, received {got}"
        for name in names[:3]:
            assert await backend.bus.cancel(*name), f"{name} is held, and cancel told that it is not"
        renewal = await backend.bus.renew(held, {})
        assert renewal.mine == set(held), "two triggers were taken for one"
        assert renewal.cancel == set(names[:3]), f"of {names[:3]} asked to cancel were {renewal.cancel}"

    @scenario("how names are compared: character by character, whatever the language of the store thinks")
    async def test_names_that_differ_in_a_character_are_different(self, world: World) -> None:
        """Case, an accent, a blank or a NUL at the end, and what stands for any character elsewhere."""
        backend = await one(world)
        names = ["a", "A", "a ", "a\0", "\u00e1", "a\u0301", "\uff41", "%", "_", "*", "?", "a'"]
        await send(backend, *(trigger("job", at=1, key=key) for key in names), job="job")
        read = (await row_of(backend, "job")).held or ()
        assert sorted(read) == sorted(names), f"sent {names}, a row has {sorted(read)}"
        held = list(await take(backend, "job"))
        assert keys(held) == sorted(names), f"sent {names}, received {keys(held)}"
        await done(backend, step(await row_of(backend, "job"), done=held[:1], runs=(line("job"),)))
        mine = (await backend.bus.renew(held, {})).mine
        assert mine == set(held[1:]), f"{held[0].trigger.key!r} was finished, the rest of {names} is held"
        other = await row_of(backend, "JOB")
        assert (other.version, other.held) == (0, frozenset()), "JOB has what was written of job"
        assert list((await backend.store.runs("JOB"))[0]) == [], "JOB has the history of job"


def keys(deliveries: Sequence[Delivery]) -> list[str]:
    """List their keys in order."""
    return sorted(delivery.trigger.key for delivery in deliveries)

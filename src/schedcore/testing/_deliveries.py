"""The conditions of `schedcore.protocols.TriggerBus` that concern deliveries."""

from __future__ import annotations

import asyncio
import time

import attrs

from schedcore.protocols import Renewal, Verdict
from schedcore.testing.world import (
    SECOND,
    World,
    beat,
    commit,
    delivered,
    done,
    lapse,
    one,
    only,
    row_of,
    scenario,
    send,
    soon,
    step,
    take,
    trigger,
)

A, B = frozenset("a"), frozenset("b")


class DeliveryContract:
    """A delivery has one owner, a lease and a token that grows."""

    @scenario("whether receive marks what it hands out, with owner, token and deadline")
    async def test_a_trigger_is_delivered_to_one_replica(self, world: World) -> None:
        """What one has received nobody else receives; its number is 1."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        assert (delivery.trigger, delivery.number) == (trigger(), 1), f"received {delivery}"
        assert [*await take(second), *await take(first)] == [], "a delivery was handed out twice"
        assert (await row_of(second)).held == frozenset({"60000000"}), "a delivered trigger has left the bus"

    @scenario("how receive chooses: in the order of sending, `limit` at most")
    async def test_receive_takes_at_most_its_limit_in_the_order_sent(self, world: World) -> None:
        """No more than asked for; what remains comes with the next call."""
        backend = await one(world)
        await send(backend, *(trigger(at=number) for number in (1, 2, 3)))
        taken = [await take(backend, limit=2), await take(backend, limit=2)]
        order = [[d.trigger.scheduled_at for d in part] for part in taken]
        assert order == [[1, 2], [3]], f"of three triggers, two at a time, came {order}"
        tokens = [d.token for part in taken for d in part]
        assert tokens == sorted(set(tokens)), f"tokens do not rise: {tokens}"

    @scenario("what receive sorts by: when it was sent, and nothing that has to do with the job")
    async def test_no_job_goes_before_what_was_sent_sooner(self, world: World) -> None:
        """A job that always has something waiting would else keep all others from ever being run."""
        backend = await one(world)
        for job, at in (("b", 3), ("a", 2), ("c", 1), ("a", 4)):
            await send(backend, trigger(job, at=at), job=job)
        taken = [d.trigger for _ in range(2) for d in await take(backend, "a", "b", "c", limit=2)]
        order = [(each.job, each.scheduled_at) for each in taken]
        assert order == [("b", 3), ("a", 2), ("c", 1), ("a", 4)], f"they came as {order}"

    @scenario("how receive waits when nothing is there")
    async def test_receive_waits_for_the_first_and_no_longer_than_told(self, world: World) -> None:
        """Nothing there: it returns empty when its time is up; at once, if it is told to wait for 0."""
        backend = await one(world)
        began = time.monotonic()
        taken = await soon(backend.bus.receive(A, 10, SECOND // 10))
        assert list(taken) == [], "something was received where nothing was sent"
        assert time.monotonic() - began >= 0.09, "receive did not wait"
        took = []
        for _ in range(5):  # the fastest tells, on a busy machine too
            began = time.monotonic()
            await soon(backend.bus.receive(A, 10, 0))
            took.append(time.monotonic() - began)
        assert min(took) < 0.5, f"of five receives that were not to wait each took {min(took):.1f} s and more"

    @scenario("what wakes a waiting receive: a step that sends, and what is given back, of any replica")
    async def test_receive_returns_as_soon_as_something_arrives(self, world: World) -> None:
        """A waiting receive is woken by a step of another replica, and by what is given back."""
        first, second = await world.make_backends(2)
        waiting = asyncio.ensure_future(second.bus.receive(A, 1, 20 * SECOND))
        await asyncio.sleep(0.05)
        await send(first)
        delivery = only(await soon(waiting))
        waiting = asyncio.ensure_future(first.bus.receive(A, 1, 20 * SECOND))
        await asyncio.sleep(0.05)
        await second.bus.give_back([delivery])
        assert len(await soon(waiting)) == 1, "what was given back woke nobody"

    @scenario("whether receive and lapsed choose by job")
    async def test_only_jobs_that_the_caller_names_are_handed_out(self, world: World) -> None:
        """Neither `receive` nor `lapsed` ever gives a replica what it did not ask for."""
        first, second = await world.make_backends(2)
        await send(first, trigger("a"))
        await send(first, trigger("b"), job="b")
        assert [d.trigger.job for d in await take(first, "b")] == ["b"], "receive ignored the names"
        await lapse(world, first, second)
        assert list(await second.bus.lapsed(A, 10)) == [], "lapsed ignored the names"
        assert len(await second.bus.lapsed(B, 10)) == 1, "a lapsed delivery was not listed"

    @scenario("what receive does with triggers of other jobs: it neither takes nor acknowledges them")
    async def test_what_a_caller_does_not_know_waits_where_one_that_knows_it_finds_it(
        self, world: World
    ) -> None:
        """A rolling deploy loses nothing: the new job's trigger waits behind many readers without it."""
        old, new = await world.make_backends(2)
        await send(old, trigger("b"), job="b")
        for _ in range(3):
            assert list(await take(old, "a")) == [], "a replica got a job that it does not know"
        assert [d.trigger.job for d in await take(new, "a", "b")] == ["b"], "what was not known got lost"

    @scenario("what a waiting receive does that is woken by a job it did not name")
    async def test_a_waiting_receive_leaves_unknown_jobs_to_others(self, world: World) -> None:
        """A trigger that wakes a replica without the job goes to one that has it, at once."""
        old, new = await world.make_backends(2)
        ignorant = asyncio.ensure_future(old.bus.receive(A, 10, 2 * SECOND // 10))
        knowing = asyncio.ensure_future(new.bus.receive(B, 10, 20 * SECOND))
        await asyncio.sleep(0.05)
        await send(old, trigger("b"), job="b")
        assert len(await soon(knowing)) == 1, "the replica that knows the job did not get it"
        assert list(await ignorant) == [], "a replica got a job that it does not know"

    @scenario("what receive has taken when it is cancelled: it must have a lease, or still wait")
    async def test_a_cancelled_receive_loses_nothing(self, world: World) -> None:
        """What a cancelled call may have taken is received by somebody, at the latest after its lease."""
        first, second = await world.make_backends(2)
        waiting = asyncio.ensure_future(first.bus.receive(A, 10, 20 * SECOND))
        await asyncio.sleep(0.05)
        await send(second)
        waiting.cancel()
        await asyncio.wait([waiting])
        taken = [] if waiting.cancelled() else list(waiting.result())
        taken += await take(second)
        if not taken:
            await lapse(world, first, second)
            taken += await second.bus.take_over(await second.bus.lapsed(A, 10))
        assert len(taken) == 1, f"after a cancelled receive the trigger was delivered {len(taken)} times"

    @scenario("whether renew compares replica and token")
    async def test_only_its_owner_renews_a_delivery(self, world: World) -> None:
        """Neither a stranger nor an old token renews; the answer names only what is the caller's."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        stale = attrs.evolve(delivery, token=delivery.token - 1)
        assert (await second.bus.renew([delivery], {})).mine == frozenset(), "a stranger renewed"
        assert (await first.bus.renew([stale], {})).mine == frozenset(), "an old token renewed"
        assert (await first.bus.renew([delivery, stale], {})).mine == {delivery}, "the owner did not"

    @scenario("whether give_back compares replica and token, and keeps the number")
    async def test_only_its_owner_gives_a_delivery_back(self, world: World) -> None:
        """A stranger's is ignored; the owner's makes it available at once, under its number."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        await second.bus.give_back([delivery])
        assert list(await take(second)) == [], "a stranger gave a delivery back"
        await first.bus.give_back([delivery])
        again = only(await take(second))
        assert (again.trigger, again.number) == (delivery.trigger, 1), f"given back, it came as {again}"
        assert again.token > delivery.token, "a delivery that was given back has an old token"

    @scenario("whether give_back ignores a token that is no longer the delivery's")
    async def test_giving_back_twice_changes_nothing_more(self, world: World) -> None:
        """The reply may have been lost; meanwhile somebody else may have it."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        await first.bus.give_back([delivery])
        await first.bus.give_back([delivery])
        again = only(await take(second))
        await first.bus.give_back([delivery])
        assert [*await take(first), *await take(second)] == [], (
            "a repeated give_back handed out what somebody has"
        )
        assert (await second.bus.renew([again], {})).mine == {again}, (
            "a repeated give_back took a delivery away"
        )

    @scenario("what give_back leaves: no owner and no token that could match")
    async def test_what_was_given_back_is_no_longer_the_givers(self, world: World) -> None:
        """It can neither renew nor finish it."""
        backend = await one(world)
        delivery = await delivered(backend)
        await backend.bus.give_back([delivery])
        assert (await backend.bus.renew([delivery], {})).mine == frozenset(), (
            "what was given back was renewed"
        )
        answer = await commit(backend, step(await row_of(backend), done=(delivery,)))
        assert answer.verdict is Verdict.NOT_OURS, f"finishing what was given back was {answer.verdict}"

    @scenario("whether take_over writes a new token, and commit, renew and give_back compare it")
    async def test_only_its_owner_finishes_a_delivery(self, world: World) -> None:
        """After a take-over the former owner's result is refused, the new owner's is recorded."""
        first, second = await world.make_backends(2)
        old = await delivered(first)
        await lapse(world, first, second)
        new = only(await second.bus.take_over([old]))
        answer = await commit(first, step(await row_of(first), done=(old,)))
        assert (answer.verdict, tuple(answer.refused)) == (Verdict.NOT_OURS, (old,)), (
            "a thawed owner finished"
        )
        assert (await first.bus.renew([old], {})).mine == frozenset(), "a thawed owner stole its run back"
        await first.bus.give_back([old])
        await done(second, step(await row_of(second), done=(new,)))

    @scenario("where cancel leaves its word: with the delivery, until that ends")
    async def test_who_holds_it_hears_of_a_cancel_request_with_its_next_renewal(self, world: World) -> None:
        """Each renewal until its end tells it, and only for the delivery that was meant."""
        first, second = await world.make_backends(2)
        await send(first, trigger(at=1), trigger(at=2))
        held = await take(first)
        assert await second.bus.cancel("a", "1"), "cancel did not tell that the run is held"
        for _ in range(2):
            renewal = await first.bus.renew(held, {})
            assert renewal.cancel == {("a", "1")}, f"asked to cancel {renewal.cancel}"
        assert renewal.mine == set(held), "a cancel request took the delivery away"

    @scenario("whether a new owner of the trigger starts without a cancel request")
    async def test_a_cancel_request_is_for_who_holds_it_then(self, world: World) -> None:
        """Given back and received again, the trigger is not cancelled by an old request."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        await second.bus.cancel("a", delivery.trigger.key)
        await first.bus.give_back([delivery])
        again = await take(second)
        assert (await second.bus.renew(again, {})).cancel == frozenset(), "the next holder was told to cancel"

    @scenario("whether cancel looks for an owner before it leaves its word")
    async def test_cancel_tells_that_nobody_holds_it(self, world: World) -> None:
        """What waits, and what is not there, is not held; neither is cancelled later by it."""
        backend = await one(world)
        assert not await backend.bus.cancel("a", "60000000"), "an unknown trigger was held"
        await send(backend)
        assert not await backend.bus.cancel("a", "60000000"), "a waiting trigger was held"
        held = await take(backend)
        assert (await backend.bus.renew(held, {})).cancel == frozenset(), (
            "a cancel request outlived its answer"
        )

    @scenario("how renew, give_back and take_over deal with an empty collection")
    async def test_renewing_nothing_is_allowed(self, world: World) -> None:
        """An idle replica may ask."""
        backend = await one(world)
        renewal = await backend.bus.renew([], {})
        assert renewal == Renewal(frozenset()), "nothing was renewed, and something answered"
        await backend.bus.give_back([])
        assert list(await backend.bus.take_over([])) == [], "nothing was seen, and something was taken over"

    @scenario("what a waiting receive occupies: a connection, a lock or the event loop that others need")
    async def test_a_waiting_receive_hinders_nothing_else(self, world: World) -> None:
        """Calls are concurrent: a beat and a commit answer while a receive of the same object waits."""
        backend = await one(world)
        waiting = asyncio.ensure_future(backend.bus.receive(A, 10, 20 * SECOND))
        await asyncio.sleep(0.05)
        await soon(beat(backend))
        await soon(send(backend))
        assert len(await soon(waiting)) == 1, "the receive got nothing"

    @scenario("what receive does while it waits: it awaits, and never sleeps or polls on the event loop")
    async def test_a_waiting_receive_leaves_the_loop_alone(self, world: World) -> None:
        """Beats and renewals go on meanwhile: the loop is not kept from them for a tenth of a second."""
        backend = await one(world)
        delays = []
        for _ in range(3):  # whatever else the machine does, once it has time
            waiting = asyncio.ensure_future(backend.bus.receive(A, 10, 6 * SECOND // 10))
            turns = 0
            while not waiting.done():
                await asyncio.sleep(0.005)
                turns += 1
            await waiting
            delays.append(0.6 / turns)
        assert min(delays) < 0.04, f"while receive waits, the loop turns once in {min(delays):.2f} s"

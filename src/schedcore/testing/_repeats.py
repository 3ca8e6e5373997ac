"""The conditions of `schedcore.protocols.TriggerBus` that concern what comes twice: steps, triggers."""

from __future__ import annotations

from schedcore.protocols import Row, Verdict
from schedcore.testing.world import (
    SECOND,
    World,
    commit,
    delivered,
    done,
    live,
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


class RepeatContract:
    """What was committed is remembered; what was refused is not."""

    @scenario("when a step's id is written down: with what the step changes, and only then")
    async def test_the_id_of_a_refused_step_is_not_remembered(self, world: World) -> None:
        """CHANGED or NOT_OURS, repeated as it is, is refused again; nothing was committed under that id."""
        first, second = await world.make_backends(2)
        delivery = await delivered(first)
        row = await row_of(first)
        changed, foreign = step(Row("a", 5), send=(trigger(at=1),)), step(row, done=(delivery,))
        for refused, verdict in ((changed, Verdict.CHANGED), (foreign, Verdict.NOT_OURS)):
            answers = [(await commit(second, refused)).verdict for _ in range(2)]
            assert answers == [verdict, verdict], f"a step that is {verdict}, sent twice, was {answers}"

    @scenario("when a step's id is written down: with what the step changes, and only then")
    async def test_a_step_that_was_early_or_held_is_committed_when_it_comes_again(self, world: World) -> None:
        """The same step, under the same id, does its work once nothing is in its way."""
        backend = await one(world)
        row = await done(backend, step(Row("a")))
        early = step(row, data=state(5), not_before=await backend.store.now() + SECOND // 2)
        answer = await commit(backend, early)
        assert answer.verdict is Verdict.EARLY, f"half a second too soon was {answer.verdict}"
        await world.advance(SECOND)
        row = await done(backend, early)
        assert row.data == state(5), "a step that had been EARLY is DONE, and has changed nothing"
        held = step(row, data=state(6), send=(trigger(),))
        answer = only(await backend.bus.commit([held], world.refusing(backend)), "answer")
        assert answer.verdict is Verdict.HELD, f"with its name somebody else's a step was {answer.verdict}"
        row = await done(backend, held)
        assert row.data == state(6), "a step that had been HELD is DONE, and has changed nothing"

    @scenario("how long a step's id is kept, and whether a beat, which tidies up, drops it too early")
    async def test_the_last_step_of_a_row_is_still_known_a_minute_later(self, world: World) -> None:
        """An outage may be long, and beats come before the reply that was lost is asked for again."""
        backend = await one(world)
        sent = step(Row("a"), data=state(1), send=(trigger(),))
        await done(backend, sent)
        await live(world, 60 * SECOND, backend)
        answer = await commit(backend, sent)
        assert answer.verdict is Verdict.DONE, f"a committed step, a minute later, was {answer.verdict}"
        assert len(await take(backend)) == 1, "repeating a committed step sent its triggers again"

    @scenario("whether the id of a step is kept that deletes its row, and of one that sends nothing")
    async def test_repeating_a_step_that_deleted_answers_done(self, world: World) -> None:
        """There is no row any more that could tell; the id is known all the same."""
        backend = await one(world)
        row = await done(backend, step(Row("a"), data=state(1)))
        gone = step(row, data=None)
        await done(backend, gone)
        answer = await commit(backend, gone)
        assert answer.verdict is Verdict.DONE, f"a step that deleted, repeated, was {answer.verdict}"

    @scenario("how many ids are remembered: four thousand steps of others, or two minutes, whatever is less")
    async def test_the_last_step_of_a_row_is_still_known_a_thousand_steps_later(self, world: World) -> None:
        """A lost reply of a quiet job is repeated while others are busy."""
        backend = await one(world)
        last = step(Row("a"), data=state(1))
        await done(backend, last)
        for number in range(10):
            await done(backend, *(step(Row(f"b{number}-{each}")) for each in range(100)))
        answer = await commit(backend, last)
        assert answer.verdict is Verdict.DONE, f"repeated after 1000 steps of others, it was {answer.verdict}"

    @scenario("what the second step of a call sees: what the first has changed")
    async def test_of_two_steps_of_one_call_that_saw_one_row_the_second_is_changed(
        self, world: World
    ) -> None:
        """Steps of a call are committed one after the other, each on the rows as they are then."""
        backend = await one(world)
        row = await done(backend, step(Row("a")))
        steps = [step(row, data=state(number), send=(trigger(at=number),)) for number in (1, 2)]
        verdicts = [answer.verdict for answer in await backend.bus.commit(steps, backend.locker)]
        assert verdicts == [Verdict.DONE, Verdict.CHANGED], f"one row, two steps in one call: {verdicts}"
        assert [d.trigger.key for d in await take(backend)] == ["1"], "a refused step sent its trigger"
        assert (await row_of(backend)).data == state(1), "a refused step changed the row"

    @scenario(
        "what commit does with a trigger whose (job, key) is in the bus: it leaves the one that is there"
    )
    async def test_a_trigger_that_is_in_the_bus_is_not_sent_twice(self, world: World) -> None:
        """Waiting or delivered, there is one of each name; its owner keeps it."""
        first, second = await world.make_backends(2)
        for _ in range(2):
            await send(first)
        delivery = only(await take(first))
        await send(first)
        assert list(await take(second)) == [], "what somebody has was sent, and received, a second time"
        assert (await first.bus.renew([delivery], {})).mine == {delivery}, "sending it again took it away"
        await done(first, step(await row_of(first), done=(delivery,)))
        assert (await row_of(first)).held == frozenset(), "a finished trigger is still in the bus"

    @scenario("the order within a step: what is in `done` leaves the bus before `send` is added")
    async def test_a_step_may_finish_a_trigger_and_send_one_of_its_name(self, world: World) -> None:
        """A run that fell back is retried by one step: the new trigger is there, as number 1."""
        backend = await one(world)
        delivery = await delivered(backend)
        again = trigger(missed=1)
        await done(backend, step(await row_of(backend), done=(delivery,), send=(again,)))
        new = only(await take(backend))
        assert (new.trigger, new.number) == (again, 1), f"finished and sent in one step, it came as {new}"

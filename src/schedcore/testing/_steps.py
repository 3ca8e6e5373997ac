"""The conditions of `schedcore.protocols.TriggerBus` that concern steps."""

from __future__ import annotations

import attrs

from schedcore._state import AppState, Pause
from schedcore.protocols import APP_ROW, Row, Verdict
from schedcore.testing.world import (
    SECOND,
    World,
    commit,
    delivered,
    done,
    line,
    one,
    only,
    row_of,
    scenario,
    send,
    snapshot,
    state,
    step,
    take,
    trigger,
)


class StepContract:
    """A step is committed whole or not at all, and only on the rows that its rule saw."""

    @scenario("whether commit writes row, triggers and history together, where every replica reads them")
    async def test_a_committed_step_is_whole(self, world: World) -> None:
        """Row, triggers and history are all there, the same for every replica."""
        first, second = await world.make_backends(2)
        row = await done(
            first,
            step(Row("a"), data=state(7), send=(trigger(), trigger(at=2 * 60 * SECOND)), runs=(line(),)),
        )
        seen = await row_of(second)
        assert (seen.version, seen.data) == (row.version, state(7)), "another replica sees another row"
        assert seen.held == frozenset({"60000000", "120000000"}), (
            f"the bus holds {seen.held}, not what was sent"
        )
        assert list((await second.store.runs("a"))[0]) == [line()], "the step's lines are not in the history"

    @scenario("what commit does with `step.done`: it removes the trigger, its delivery and its lease")
    async def test_done_acknowledges_its_deliveries(self, world: World) -> None:
        """What a step has in `done` leaves the bus; nobody holds or receives it any more."""
        backend = await one(world)
        delivery = await delivered(backend)
        row = await done(backend, step(await row_of(backend), done=(delivery,)))
        assert (await row_of(backend)).held == frozenset(), "a finished trigger is still in the bus"
        assert list(await backend.store.held()) == [], "a finished delivery is still held"
        assert list(await take(backend)) == [], "a finished trigger was handed out"
        assert (await backend.bus.renew([delivery], {})).mine == frozenset(), "what is finished was renewed"
        assert not await backend.bus.cancel("a", delivery.trigger.key), "what is finished is held by somebody"
        assert row.version > 0
        await send(backend, *(trigger(at=at) for at in (1, 2, 3)))
        ended = await take(backend)
        await done(backend, step(await row_of(backend), done=tuple(ended[:2])))
        left = [holding.delivery for holding in await backend.store.held()]
        assert left == [*ended[2:]], f"of three deliveries a step had two in `done`, and held are {left}"

    @scenario("what is left of a finished trigger: nothing that a new one of its key could meet")
    async def test_a_key_that_was_finished_may_be_sent_again(self, world: World) -> None:
        """A bus keeps no memory of finished keys: which are sent is the row's business."""
        backend = await one(world)
        delivery = await delivered(backend)
        await done(backend, step(await row_of(backend), done=(delivery,)))
        again = await delivered(backend)
        assert again.number == 1, f"a new trigger is delivered as number {again.number}"
        assert again.token > delivery.token, "a token came back"

    @scenario("where committed ids are kept: they are looked up before anything else is checked")
    async def test_the_id_of_a_committed_step_repeated_answers_done_and_changes_nothing(
        self, world: World
    ) -> None:
        """A lost reply is simply repeated, also after the row has moved on."""
        backend = await one(world)
        sent = step(Row("a"), data=state(1), send=(trigger(),), runs=(line(),))
        await done(backend, sent)
        await done(backend, step(await row_of(backend), data=state(2)))
        before = await snapshot(backend)
        answer = await commit(backend, sent)
        assert answer.verdict is Verdict.DONE, f"a repeated step was {answer.verdict}"
        assert await snapshot(backend) == before, "repeating a committed step changed something"
        assert len(await take(backend)) == 1, "repeating a committed step sent its triggers again"
        assert answer.rows[0].data == state(2), "a repeated step did not answer with the row as it is now"

    @scenario("the order of checks in commit: the step's id comes before owners and versions")
    async def test_repeating_a_step_that_finished_a_delivery_answers_done(self, world: World) -> None:
        """The deliveries of a committed step are no longer its replica's, which is no reason to refuse."""
        backend = await one(world)
        finish = step(await row_of(backend), done=(await delivered(backend),))
        finish = attrs.evolve(finish, expects=(("a", (await row_of(backend)).version),))
        await done(backend, finish)
        answer = await commit(backend, finish)
        assert answer.verdict is Verdict.DONE, f"a repeated finish was {answer.verdict}"
        assert not answer.refused, f"a repeated finish is DONE, and yet refused {answer.refused}"

    @scenario("the order of checks in commit: the step's id comes before the lock")
    async def test_repeating_a_committed_step_answers_done_whoever_has_the_lock(self, world: World) -> None:
        """Whether a step was committed does not depend on who holds the name by now."""
        backend = await one(world)
        sent = step(Row("a"), send=(trigger(),))
        await done(backend, sent)
        answer = only(await backend.bus.commit([sent], world.refusing(backend)), "answer")
        assert answer.verdict is Verdict.DONE, (
            f"a committed step, repeated under a foreign lock, was {answer.verdict}"
        )

    @scenario("how commit compares `expects`: a missing row has version 0, and every pair counts")
    async def test_changed_if_a_version_differs(self, world: World) -> None:
        """Too old a version, one where there is no row, and none where there is one."""
        first, second = await world.make_backends(2)
        row = await done(first, step(Row("a"), data=state(1)))
        await done(first, step(row, data=state(2)))
        before = await snapshot(first)
        for stale in (row, Row("a"), Row("b", 5)):
            answer = await commit(
                second, step(stale, data=state(3), send=(trigger(stale.job),), runs=(line(),))
            )
            assert answer.verdict is Verdict.CHANGED, (
                f"version {stale.version} of {stale.job} was {answer.verdict}"
            )
        assert await snapshot(first) == before, "a step that was CHANGED changed something"

    @scenario("what a CHANGED answer is made of: one row per pair of `expects`, read with the comparison")
    async def test_changed_carries_the_rows_as_they_are(self, world: World) -> None:
        """The rule can run again at once: every expected row comes with the answer, the step's own first."""
        backend = await one(world)
        row = await done(backend, step(Row("a"), data=state(1)))
        app = await done(backend, step(Row(APP_ROW), data=AppState((Pause(1, None, "n"),))))
        answer = await commit(backend, step(Row("a"), Row(APP_ROW), data=state(9)))
        assert [r.job for r in answer.rows] == ["a", APP_ROW], (
            "the answer does not carry the expected rows in order"
        )
        assert [r.version for r in answer.rows] == [row.version, app.version], "the rows are not as they are"
        assert [r.data for r in answer.rows] == [state(1), AppState((Pause(1, None, "n"),))]

    @scenario("whether commit compares all pairs of `expects`, or only the step's own")
    async def test_a_step_depends_on_every_row_that_it_expects(self, world: World) -> None:
        """A change of the app's row between rule and commit refuses a step that saw it."""
        backend = await one(world)
        row = await done(backend, step(Row("a")))
        app = await row_of(backend, APP_ROW)
        await done(backend, step(app, data=AppState()))
        answer = await commit(backend, step(row, app, data=state(9)))
        assert answer.verdict is Verdict.CHANGED, (
            f"the app's row had changed, and the step was {answer.verdict}"
        )
        current = await row_of(backend, APP_ROW)
        answer = await commit(backend, step(row, current, data=state(9)))
        assert answer.verdict is Verdict.DONE, (
            f"both rows were as expected, and the step was {answer.verdict}"
        )
        assert (await row_of(backend, APP_ROW)).version == current.version, (
            "a row merely expected was changed"
        )

    @scenario("whether commit compares all pairs of `expects`, however many there are")
    async def test_a_step_depends_on_the_third_row_too(self, world: World) -> None:
        """Of three rows one was made meanwhile, each in turn: the step is CHANGED."""
        backend = await one(world)
        for number, made in enumerate(("a", "b", "c")):
            names = [f"{name}{number}" for name in ("a", "b", "c")]
            await done(backend, step(Row(f"{made}{number}")))
            answer = await commit(backend, step(*(Row(name) for name in names)))
            assert answer.verdict is Verdict.CHANGED, (
                f"row {number + 1} of three had changed, and the step was {answer.verdict}"
            )

    @scenario("whether commit takes a new version with every step, and compares it")
    async def test_two_replicas_that_saw_one_row_do_not_both_commit(self, world: World) -> None:
        """Of two steps that expect the same version one is DONE, the other CHANGED."""
        first, second = await world.make_backends(2)
        row = await done(first, step(Row("a")))
        verdicts = [(await commit(b, step(row, send=(trigger(),)))).verdict for b in (first, second)]
        assert verdicts == [Verdict.DONE, Verdict.CHANGED], f"one row, two steps: {verdicts}"
        assert len(await take(first)) == 1, "a scheduled time was sent twice"

    @scenario("whether commit compares `not_before` with the store's clock, not the replica's")
    async def test_early_if_the_stores_now_is_before_not_before(self, world: World) -> None:
        """Too soon by the store's clock is EARLY and changes nothing; in time the same step is DONE."""
        backend = await one(world)
        row = await done(backend, step(Row("a")))
        before = await snapshot(backend)
        at = await backend.store.now() + SECOND // 2
        early = step(row, data=state(5), not_before=at, send=(trigger(),), runs=(line(),))
        answer = await commit(backend, early)
        assert answer.verdict is Verdict.EARLY, f"half a second too soon was {answer.verdict}"
        assert answer.now < at, "an EARLY answer does not carry the store's now"
        assert await snapshot(backend) == before, "a step that was EARLY changed something"
        await world.advance(SECOND)
        await done(backend, early)

    @scenario("whether commit asks the locker that it is given before a step that sends, and heeds it")
    async def test_held_if_the_locker_refuses(self, world: World) -> None:
        """A step that sends needs the lock; refused, it changes nothing and tells the rows."""
        backend = await one(world)
        row = await done(backend, step(Row("a"), data=state(1)))
        before = await snapshot(backend)
        sending = step(row, data=state(2), send=(trigger(),))
        answer = only(await backend.bus.commit([sending], world.refusing(backend)), "answer")
        assert answer.verdict is Verdict.HELD, (
            f"with its name held by somebody else a step was {answer.verdict}"
        )
        assert [r.data for r in answer.rows] == [state(1)], "a HELD answer does not carry the rows"
        assert await snapshot(backend) == before, "a step that was HELD changed something"
        row = await done(backend, sending)
        silent = step(row, data=state(3))
        answer = only(await backend.bus.commit([silent], world.refusing(backend)), "answer")
        assert answer.verdict is Verdict.DONE, (
            f"a step that sends nothing needs no lock, and was {answer.verdict}"
        )

    @scenario("whether commit checks the owner of each delivery in `done` before it writes anything")
    async def test_not_ours_names_the_deliveries_that_are_not_this_replicas(self, world: World) -> None:
        """One foreign delivery refuses the whole step, and is named; the others stay as they are."""
        first, second = await world.make_backends(2)
        await send(first, trigger(), trigger(at=2 * 60 * SECOND))
        mine = only(await take(first, limit=1))
        theirs = only(await take(second, limit=1))
        before = await snapshot(first)
        answer = await commit(
            first, step(await row_of(first), done=(mine, theirs), runs=(line(),), data=state(9))
        )
        assert answer.verdict is Verdict.NOT_OURS, (
            f"finishing another replica's delivery was {answer.verdict}"
        )
        assert tuple(answer.refused) == (theirs,), f"refused {answer.refused} instead of the foreign one"
        assert await snapshot(first) == before, "a step that was NOT_OURS changed something"
        await done(first, step(await row_of(first), done=(mine,)))
        await done(second, step(await row_of(second), done=(theirs,)))

    @scenario("whether commit compares the token of each delivery in `done`")
    async def test_not_ours_if_the_token_is_not_the_deliverys(self, world: World) -> None:
        """A delivery is known by its token: an old one, and one already finished, are refused."""
        backend = await one(world)
        delivery = await delivered(backend)
        for other in (-1, 1):
            wrong = attrs.evolve(delivery, token=delivery.token + other)
            answer = await commit(backend, step(await row_of(backend), done=(wrong,)))
            assert (answer.verdict, tuple(answer.refused)) == (Verdict.NOT_OURS, (wrong,)), (
                f"{'an old' if other < 0 else 'a newer'} token finished a run"
            )
        await done(backend, step(await row_of(backend), done=(delivery,)))
        answer = await commit(backend, step(await row_of(backend), done=(delivery,)))
        assert answer.verdict is Verdict.NOT_OURS, f"finishing twice was {answer.verdict}"

    @scenario("whether a refused step rolls back its neighbours: each is a transaction of its own")
    async def test_each_step_is_committed_by_itself_in_order_with_one_answer_each(self, world: World) -> None:
        """A refused step hinders neither the one before it nor the one after."""
        backend = await one(world)
        good, bad, last = step(Row("a"), data=state(1)), step(Row("b", 3)), step(Row("c"), data=state(3))
        answers = await backend.bus.commit([good, bad, last], backend.locker)
        verdicts = [answer.verdict for answer in answers]
        assert verdicts == [Verdict.DONE, Verdict.CHANGED, Verdict.DONE], f"steps were {verdicts}"
        versions = [answers[0].rows[0].version, answers[2].rows[0].version]
        assert versions[0] < versions[1], "steps of one call were not committed in order"

    @scenario("limits of your store on the size of one call: cut the steps into chunks")
    async def test_many_steps_travel_in_one_call(self, world: World) -> None:
        """A thousand steps of a thousand jobs are committed, none forgotten."""
        backend = await one(world)
        jobs = [f"j{number:04}" for number in range(1000)]
        answers = await backend.bus.commit([step(Row(j), send=(trigger(j),)) for j in jobs], backend.locker)
        assert {answer.verdict for answer in answers} == {Verdict.DONE}
        taken = await take(backend, *jobs, limit=1000)
        assert sorted(d.trigger.job for d in taken) == jobs, f"{len(taken)} of 1000 triggers arrived"

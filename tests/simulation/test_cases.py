"""Cases that the random stories meet too rarely, each played on purpose in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from schedcore.errors import UnknownJobError
from schedcore.protocols import Status

from .checker import violations
from .virtual import START_US, run_virtual
from .world import Faults, Node, World

START = datetime.fromtimestamp(START_US / 1_000_000, UTC)


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def play(story: Callable[[World], Awaitable[None]], *, promise: bool = True) -> World:
    """Play a story; the promise must hold at its end."""

    async def world() -> World:
        world = World(1)
        await story(world)
        await world.end()
        return world

    played = run_virtual(world())
    assert not promise or violations(played) == []
    return played


def nodes(world: World, number: int, *declared: tuple[str, str, float], **options: object) -> list[Node]:
    """Start replicas with these jobs."""
    made = []
    for _ in range(number):
        node = world.node()
        for name, schedule, takes in declared:
            node.declare(name, schedule, takes, **options)
        node.start()
        made.append(node)
    return made


def at(seconds: float) -> str:
    """Tell the key of the scheduled time that is `seconds` after the start."""
    return str(START_US + round(seconds * 1_000_000))


def test_a_run_of_a_killed_replica_is_taken_over_within_14_seconds() -> None:
    """A kill -9 in a run: it starts elsewhere within 14 s, though nothing else happens in the app."""

    async def story(world: World) -> None:
        nodes(world, 2, ("daily", "@every 100s", 30))
        await asyncio.sleep(105)
        (first,) = world.by_key["daily", at(100)]
        killed = world.memory.clock()
        await next(node for node in world.nodes if node.name == first.replica).kill()
        await asyncio.sleep(60)
        second = world.by_key["daily", at(100)][1]
        assert second.at - killed <= 14_000_000
        assert second.delivery == 2
        assert second.token > first.token

    play(story)


def test_a_clean_stop_hands_back_at_once() -> None:
    """A stopped replica's run starts on the other one without waiting for a lease."""

    async def story(world: World) -> None:
        nodes(world, 2, ("long", "@every 100s", 30))
        await asyncio.sleep(101)
        (first,) = world.by_key["long", at(100)]
        node = next(node for node in world.nodes if node.name == first.replica)
        await node.stop(drain=2)
        await asyncio.sleep(0.1)
        assert len(world.by_key["long", at(100)]) == 2
        await asyncio.sleep(60)

    play(story)


def test_a_deploy_loses_no_time_between_the_old_definition_and_the_new() -> None:
    """While pods with the old and with the new schedule live side by side, every time is in one place."""

    async def story(world: World) -> None:
        for node in nodes(world, 3, ("report", "@every 7s", 1)):
            await asyncio.sleep(20)
            await node.stop()
            node.declare("report", "@every 5s", 1)
            node.start()
        await asyncio.sleep(30)
        assert world.state("report").spec.expression == "@every 5s"
        await _rest(world)

    play(story)


def test_a_crash_looping_new_pod_gives_way_to_the_old_definition() -> None:
    """A new pod that dies again and again leaves the old replicas' definition in force, and loses nothing."""

    async def story(world: World) -> None:
        nodes(world, 2, ("report", "@every 10s", 1))
        bad = world.node()
        bad.declare("report", "@every 3600s", 1)
        for _ in range(5):
            await asyncio.sleep(9)
            bad.start()
            await asyncio.sleep(2)
            await bad.kill()
        await asyncio.sleep(20)
        assert world.state("report").spec.expression == "@every 10s"
        await asyncio.sleep(30)
        assert world.started[-1].at > world.memory.clock() - 11_000_000
        await _rest(world)

    play(story)


def test_a_pause_from_another_process_holds_when_it_returns() -> None:
    """Nothing is sent from when pause() returns until resume(); the times are recorded as paused."""

    async def story(world: World) -> None:
        nodes(world, 3, ("a", "@every 5s", 0.1), ("b", "@every 7s", 0.1))
        await asyncio.sleep(21)
        await world.control().pause(None, note="freeze")
        sent = len(world.memory.accepted)
        await asyncio.sleep(60)
        assert len(world.memory.accepted) == sent
        await world.control().resume(None)
        counters = world.state("a").counters
        assert counters[Status.PAUSED] == 12
        (line,) = await world.control().history("a", status="paused")
        assert (line.count, line.detail) == (12, "freeze")
        await asyncio.sleep(10)
        assert len(world.memory.accepted) > sent
        await _rest(world)

    play(story)


def test_a_pause_with_an_end_ends_by_itself() -> None:
    """Replicas fire again after a pause's end without anybody asking."""

    async def story(world: World) -> None:
        nodes(world, 2, ("a", "@every 5s", 0.1))
        await asyncio.sleep(7)
        await world.control().pause("a", until=START + timedelta(seconds=31))
        await asyncio.sleep(60)
        counters = world.state("a").counters
        assert counters[Status.PAUSED] == 5
        assert counters[Status.SUCCEEDED] >= 6
        await _rest(world)

    play(story)


def test_a_key_triggers_once_and_answers_the_same_again() -> None:
    """Asking again with a key, from anywhere, starts nothing more and tells what became of the first."""

    async def story(world: World) -> None:
        nodes(world, 2, ("a", "@every 3600s", 2))
        await asyncio.sleep(1)
        answers = await asyncio.gather(*(world.control().trigger("a", key="k") for _ in range(5)))
        assert {answer.outcome for answer in answers} == {"sent"}
        await asyncio.sleep(5)
        assert (await world.control().trigger("a", key="k")).outcome == "succeeded"
        assert len(world.started) == 1

    play(story)


def test_triggers_without_a_key_are_each_their_own() -> None:
    """Each goes by the overlap policy, and is counted apart from scheduled times."""

    async def story(world: World) -> None:
        nodes(world, 2, ("a", "@every 3600s", 2))
        await asyncio.sleep(1)
        said = [(await world.control().trigger("a")).outcome for _ in range(3)]
        assert said == ["sent", "skipped", "skipped"]
        waited = await world.control().trigger("a", key="later", wait=False)
        assert waited.outcome == "skipped"
        await asyncio.sleep(5)
        done = await world.control().trigger("a", payload="fail", wait=True)
        assert done.outcome == "failed"
        state = world.state("a")
        assert state.manual == {"succeeded": 1, "skipped": 3, "failed": 1}
        assert state.counters == {}

    play(story)


def test_a_job_that_nobody_declares_is_retired_after_an_hour_and_may_come_back() -> None:
    """Its row goes, a line with the sums stays; declared again it begins anew."""

    async def story(world: World) -> None:
        (old, other) = nodes(world, 2, ("keep", "@every 600s", 1))
        old.declare("gone", "@every 60s", 1)
        await asyncio.sleep(130)
        await old.kill()
        del old.jobs["gone"]
        old.start()
        await asyncio.sleep(3500)
        assert "gone" in world.memory.rows
        await asyncio.sleep(1000)
        assert "gone" not in world.memory.rows
        with pytest.raises(UnknownJobError):
            await world.control().trigger("gone")
        lines, _ = world.memory.history.read("gone", None, None, None, 10, "")
        assert lines[0].status is Status.RETIRED
        assert "succeeded 2" in lines[0].detail
        other.declare("gone", "@every 60s", 1)
        await asyncio.sleep(130)
        assert world.state("gone").counters == {"succeeded": 2}
        await _rest(world)

    play(story)


def test_a_one_off_fires_once_and_a_bygone_one_leaves_its_line() -> None:
    """However many replicas declare it, and however often they start."""

    async def story(world: World) -> None:
        soon = (START + timedelta(seconds=20)).isoformat()
        bygone = (START - timedelta(seconds=20)).isoformat()
        for node in nodes(world, 3, ("soon", soon, 1), ("bygone", bygone, 1)):
            await asyncio.sleep(15)
            await node.kill()
            node.start()
        await asyncio.sleep(60)
        assert len(world.by_key["soon", at(20)]) == 1
        counters = world.state("bygone").counters
        assert counters == {Status.MISSED: 1}
        assert len(await world.control().history("bygone")) == 1

    play(story, promise=False)


def test_a_job_that_one_replica_does_not_know_waits_for_one_that_does() -> None:
    """No run is lost, and none is burnt by a replica that cannot run it."""

    async def story(world: World) -> None:
        (knows, _) = nodes(world, 2, ("common", "@every 9s", 0.1))
        knows.declare("special", "@every 10s", 5)
        await asyncio.sleep(22)
        await knows.kill()
        await asyncio.sleep(60)
        knows.start()
        await asyncio.sleep(30)
        assert {run.replica for run in world.started if run.job == "special"} == {knows.name}
        assert len(world.by_key["special", at(20)]) == 2
        await _rest(world)

    play(story)


def test_a_loss_of_data_is_noticed_and_firing_goes_on_from_what_is_remembered() -> None:
    """Within 10 s it is announced; counters and marks come back, and no time is sent twice."""

    async def story(world: World) -> None:
        made = nodes(world, 3, ("a", "@every 5s", 0.1))
        await asyncio.sleep(31)
        before = world.state("a").counters[Status.SUCCEEDED]
        world.memory.clear()
        await asyncio.sleep(10)
        assert all(node.engine is not None and node.engine.losses == 1 for node in made)
        await asyncio.sleep(60)
        after = world.state("a").counters[Status.SUCCEEDED]
        assert after >= before + 12
        keys = [run.key for run in world.started]
        assert len(keys) == len(set(keys))

    play(story, promise=False)


def test_at_most_once_is_started_once_and_lost_when_its_replica_dies() -> None:
    """A take-over of such a job runs nothing, and says lost."""

    async def story(world: World) -> None:
        nodes(world, 2, ("a", "@every 100s", 30), delivery="at_most_once")
        await asyncio.sleep(105)
        (first,) = world.by_key["a", at(100)]
        await next(node for node in world.nodes if node.name == first.replica).kill()
        await asyncio.sleep(30)
        assert len(world.by_key["a", at(100)]) == 1
        assert (await world.control().history("a"))[0].status is Status.LOST
        await _rest(world)

    play(story)


def test_a_job_that_kills_its_process_is_dead_after_five_deliveries() -> None:
    """Each start is delayed more than the one before, and the sixth does not come."""

    async def story(world: World) -> None:
        made = nodes(world, 2, ("bomb", "@every 1200s", 500))
        await asyncio.sleep(1201)
        for _ in range(5):
            await asyncio.sleep(40)  # the lease, and the delay before the next start
            (victim,) = [run for run in world.started if run.ended is None]
            node = next(node for node in made if node.name == victim.replica)
            await node.kill()
            node.start()
        await asyncio.sleep(60)
        runs = world.by_key["bomb", at(1200)]
        assert [run.delivery for run in runs] == [1, 2, 3, 4, 5]
        assert (await world.control().history("bomb"))[0].status is Status.DEAD

    play(story)


def test_a_long_outage_disturbs_no_run_and_steals_nothing() -> None:
    """Owners renew first when the store is back; what ended meanwhile is recorded then."""

    async def story(world: World) -> None:
        nodes(world, 3, ("long", "@every 100s", 90), ("short", "@every 100s", 15))
        await asyncio.sleep(101)
        world.store_up = False
        await asyncio.sleep(60)
        world.store_up = True
        await asyncio.sleep(60)
        assert len(world.by_key["long", at(100)]) == 1
        assert len(world.by_key["short", at(100)]) == 1
        await _rest(world)

    play(story)


def test_on_doubt_cancel_never_lets_two_runs_overlap() -> None:
    """A frozen replica's run is cancelled before its lease can be taken over."""

    async def story(world: World) -> None:
        nodes(world, 2, ("a", "@every 100s", 40), on_doubt="cancel")
        await asyncio.sleep(105)
        (first,) = world.by_key["a", at(100)]
        node = next(node for node in world.nodes if node.name == first.replica)
        node.freeze()
        await asyncio.sleep(60)
        node.thaw()
        await asyncio.sleep(60)
        runs = world.by_key["a", at(100)]
        assert len(runs) == 2
        assert runs[0].ended is not None
        assert runs[0].ended <= runs[1].at
        await _rest(world)

    play(story)


def test_a_machine_whose_clock_is_off_fires_on_time() -> None:
    """Schedules run on the store's clock: 70 s off in both directions changes nothing."""

    async def story(world: World) -> None:
        for skew in (-70_000_000, 70_000_000):
            node = world.node(skew)
            node.declare("a", "@every 5s", 0.1)
            node.start()
        world.faults = Faults(delay=0.01)
        await asyncio.sleep(100)
        late = [run.at - run.scheduled_at for run in world.started]
        assert len(late) >= 19
        assert min(late) >= 0
        assert max(late) < 200_000
        await _rest(world)

    play(story)


async def _rest(world: World) -> None:
    """Send nothing more and let what is outstanding end."""
    await world.quiet(0)
    await world.control().pause(None)
    await asyncio.sleep(120)


def test_a_stop_while_the_store_is_away_runs_nothing_twice_that_is_to_run_at_most_once() -> None:
    """What was cancelled and could not be recorded is left to lapse, not given back; then it is lost."""

    async def story(world: World) -> None:
        nodes(world, 2, ("a", "@every 100s", 30), delivery="at_most_once")
        await asyncio.sleep(105)
        (first,) = world.by_key["a", at(100)]
        node = next(node for node in world.nodes if node.name == first.replica)
        world.store_up = False
        stopping = world.spawn(node.stop(drain=1))
        await asyncio.sleep(5.999)  # a moment before it gives up recording, and hands back what is left
        world.store_up = True
        await stopping
        await asyncio.sleep(60)
        assert len(world.by_key["a", at(100)]) == 1
        await _rest(world)

    play(story)

"""A story is data: drawn from a seed, told in words, played the same again, and made short."""

from __future__ import annotations

from functools import partial

import pytest
from tests.mutants import memories
from tests.simulation.mutants import MutantStore

from schedcore.testing import INVARIANTS, BrokenPromiseError, Story, play, simulate
from schedcore.testing import _events as e
from schedcore.testing import _people as by_hand
from schedcore.testing._drawing import draw
from schedcore.testing._events import SECOND, Event
from schedcore.testing._shrink import shrink
from schedcore.testing._story import Plan


def test_a_seed_draws_everything_there_is() -> None:
    """Among some hundred seeds is every kind of event, of overlap, catch-up, delivery and loss of data."""
    drawn = [draw(seed) for seed in range(200)]
    kinds = {type(event) for story in drawn for event in story.events}
    assert {kind.__name__ for kind in kinds} == {kind.__name__ for kind in Event.__subclasses__()}
    restarts = {event.data for story in drawn for event in story.events if isinstance(event, e.Restarted)}
    assert restarts == {"kept", "lost", "older"}
    options = {
        (name, value) for story in drawn for plan in story.plans for name, value in plan.options.items()
    }
    wanted = {("overlap", each) for each in ("skip", "queue_one", "queue_all", "allow")}
    wanted |= {("catch_up", each) for each in ("latest", "all", "none")}
    assert wanted | {("delivery", "at_most_once")} <= options


def test_a_story_is_told_in_words() -> None:
    """Who starts, what is declared, and what happens when."""
    story = Story(
        7,
        (0, -70 * SECOND),
        (Plan("report", "@every 5s", 2, {"overlap": "skip"}),),
        (e.Frozen(7_200_000, "b", 11 * SECOND), e.Killed(9 * SECOND, "a", 0)),
        60 * SECOND,
    )
    assert str(story).splitlines() == [
        "At 00:00:00.000 start replica a; replica b, whose clock is off by -70 s.",
        "  report is due @every 5s and takes 2 s, overlap skip.",
        "At 00:00:07.200 replica b is frozen for 11 s.",
        "At 00:00:09.000 replica a is killed, and starts again 0 s later.",
        "At 00:01:00.000 all is well again, and comes to rest.",
    ]


def test_every_kind_of_event_tells_itself() -> None:
    """No event is without words, in any story."""
    events = {type(event): event for seed in range(60) for event in draw(seed).events}
    assert all(event.tell() for event in events.values())


@pytest.mark.parametrize(
    "last",
    [
        e.Stopped(10 * SECOND, "a", 0, 5 * SECOND),
        e.KilledInCall(10 * SECOND, "a", "beat", heard=True, down=5 * SECOND),
    ],
)
def test_what_follows_from_the_last_event_has_its_time(last: Event) -> None:
    """Who stops or dies of it starts again when it says so, and not only when all is well."""
    story = Story(1, (0,), (Plan("job", "@every 5s", 0.1, {}),), (last,), 60 * SECOND)
    started = min(run.t for run in play(story).runs if run.pid == 2)
    assert started <= story.start + 30 * SECOND


def test_a_pause_that_outlasts_its_story_ends_with_it() -> None:
    """Whoever would resume later does so no more: what is more than can be run would never come to rest."""
    plan = Plan("too-much", "0,17,40 * * * * *", 25, {"overlap": "queue_all"})
    paused = by_hand.Paused(110 * SECOND, "", 50 * SECOND, ends=False)
    assert play(Story(1, (0, 0, 0), (plan,), (paused,), 120 * SECOND)).broken == ()


def test_a_stop_whose_patience_ends_between_two_ticks_of_the_clock_ends() -> None:
    """What is left of it may be less than a clock can tell; whoever waits for that waits for ever."""
    assert play(draw(970434)).broken == ()


def test_who_cannot_hear_of_a_take_over_tries_a_run_again_beside_the_other() -> None:
    """It was frozen, and the store is away since: each goes from attempt to attempt in its own delivery."""
    assert play(draw(3000379).only({2, 4, 7})).broken == ()


def test_who_was_cut_off_for_a_moment_until_it_died_may_not_have_recorded_an_end() -> None:
    """The run is tried again, as it has to be, and that is no harm done by whoever took it over."""
    assert play(draw(4008532).only({6, 10, 15, 16, 17, 18, 19, 21, 22})).broken == ()


def test_shrinking_keeps_what_matters() -> None:
    """Of many events the two that fail together remain, under the numbers that they had."""
    story = draw(1, minutes=4)
    assert len(story.events) > 20
    short = shrink(story, lambda shorter: {3, 17} <= set(shorter.numbers))
    assert short.numbers == (3, 17)
    assert short.events == (story.events[3], story.events[17])
    assert len(short.plans) == 1


@pytest.fixture(scope="module")
def failure() -> BrokenPromiseError:
    """A broken promise: leases are judged right after an outage."""
    with pytest.raises(BrokenPromiseError) as raised:
        simulate(seeds=range(261, 262), minutes=2, store=partial(MutantStore, mutant=memories.OutageSteals))
    return raised.value


def test_a_failure_tells_seed_invariant_and_a_short_story(failure: BrokenPromiseError) -> None:
    """And how to play it again."""
    said = str(failure)
    assert said.startswith("seed 261 breaks the invariant 'again'")
    assert INVARIANTS["again"] in said
    assert 1 <= len(failure.played.story.events) <= 4
    assert "the store" in said
    assert f"only={{{','.join(map(str, failure.played.story.numbers))}}}" in said


def test_a_short_story_plays_the_same_again(failure: BrokenPromiseError) -> None:
    """From its seed and its numbers, and so for ever."""
    numbers = failure.played.story.numbers
    store = partial(MutantStore, mutant=memories.OutageSteals)
    story = draw(261, minutes=2).only(numbers)
    story = story.without_jobs({p.name for p in story.plans} - {p.name for p in failure.played.story.plans})
    again = play(story, store=store)
    assert again.trace() == failure.played.trace()
    assert "again" in again.invariants
    assert not play(story).broken

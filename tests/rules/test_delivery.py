"""How a delivery's end is recorded, and what is not run again."""

import gc
from collections import Counter
from random import Random

import pytest

from schedcore._draft import Draft, Outcome, parse_key
from schedcore._recovery import LAST_DELIVERY, choose, verdict
from schedcore._state import JobState, Options
from schedcore.protocols import Delivery, Kind, Row, Run, Status, Trigger

from .story import Story, make_spec

ENDS = [Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.LOST, Status.DEAD]


@pytest.mark.parametrize("status", ENDS)
def test_each_end_is_counted(status: Status) -> None:
    """However a run ends: one line, one counter, and the next may go."""
    story = Story()
    story.tick("00:10")
    assert story.finish("00:11", "00:10", status=status) == [f"{status} 00:10"]
    assert story.state.counters == {status: 1}
    assert story.state.outstanding == ()
    assert story.tick("00:20") == ["sent 00:20"]


def test_a_line_tells_the_whole_run() -> None:
    """The line has who ran it, from when to when, in which attempt and delivery, and what was said."""
    state = JobState(make_spec("*/10 * * * *"), 0, 0, "r", 0, outstanding=("7",))
    draft = Draft(Row("job", 1, state))
    delivery = Delivery(Trigger("job", "7", 7, Kind.LATE), 2, 99)
    draft.finish([(delivery, Outcome(Status.FAILED, "ValueError", 10, 20, 3))], "host-1")
    assert draft.runs == [
        Run("job", 7, Status.FAILED, Kind.LATE, "7", None, 1, "ValueError", "host-1", 10, 20, 3, 2)
    ]
    assert draft.done == [delivery]


def test_several_ends_are_one_step() -> None:
    """Ends of one job are folded: each is counted, and one of those that wait follows."""
    story = Story("@every 10s", overlap="allow")
    story.tick("00:00:35")
    assert len(story.finish("00:01", "00:00:10", "00:00:30")) == 2
    assert story.state.counters == {"succeeded": 2}
    assert len(story.state.outstanding) == 1


def test_counters_are_nothing_for_the_garbage_collector() -> None:
    """It walks no dict of plain strings and numbers, of which there is one for each of 100,000 jobs."""
    draft = Draft(Row("job", 1, JobState(make_spec("*/10 * * * *"), 0, 0, "r", 0)))
    draft.count(Status.SUCCEEDED)
    assert draft.state.counters == {"succeeded": 1}
    assert not gc.is_tracked(draft.state.counters)


def test_the_last_success_never_falls() -> None:
    """When the job last succeeded is the latest such end, whatever order they are reported in."""
    story = Story("@every 10s", overlap="allow")
    story.tick("00:00:35")
    story.finish("00:01", "00:00:30")
    latest = story.state.last_success
    story.finish("00:00:50", "00:00:10")
    assert story.state.last_success == latest
    story.finish("00:02", "00:00:20", status=Status.FAILED)
    assert story.state.last_success == latest


def test_an_end_that_the_row_does_not_know_is_not_counted() -> None:
    """After a loss of data a run may end of which the row knows nothing: it leaves its line, uncounted."""
    state = JobState(make_spec("*/10 * * * *"), 0, 0, "r", 0)
    draft = Draft(Row("job", 1, state))
    draft.finish([(Delivery(Trigger("job", "7", 7), 1, 1), Outcome(Status.SUCCEEDED, "", 1, 2))], "r")
    assert [run.status for run in draft.runs] == [Status.SUCCEEDED]
    assert draft.state.counters == {}
    assert draft.state.last_success is None


@pytest.mark.parametrize(
    ("mode", "number", "status"),
    [
        ("at_least_once", 2, None),
        ("at_least_once", LAST_DELIVERY, None),
        ("at_least_once", LAST_DELIVERY + 1, Status.DEAD),
        ("at_most_once", 2, Status.LOST),
        ("at_most_once", LAST_DELIVERY + 1, Status.LOST),
    ],
)
def test_a_take_over(mode: str, number: int, status: Status | None) -> None:
    """A take-over is run, up to the fifth delivery; under at most once it is recorded as lost instead."""
    trigger = Trigger("job", "7", 7, options=Options(delivery=mode))
    outcome = verdict(Delivery(trigger, number, 1))
    assert (outcome and outcome.status) == status


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("1735689600000000", (Kind.SCHEDULED, 1_735_689_600_000_000)),
        ("backfill:5", (Kind.BACKFILL, 5)),
        ("backfill:x", (Kind.MANUAL, None)),
        ("manual:5", (Kind.MANUAL, None)),
        ("manual:", (Kind.MANUAL, None)),
    ],
)
def test_what_a_key_tells(key: str, told: tuple[Kind, int | None]) -> None:
    """Kind and time of a trigger that vanished are read from its key, as far as it has them."""
    assert parse_key(key) == told


def lapsed(*numbers: int) -> list[Delivery]:
    """Deliveries with these numbers, each of a time of its own."""
    return [
        Delivery(Trigger("job", str(at), at, Kind.SCHEDULED), number, at) for at, number in enumerate(numbers)
    ]


def test_what_lost_several_replicas_is_taken_over_in_smaller_and_smaller_parts() -> None:
    """All that lost one replica or all five; half of what lost two or three; one of what lost four."""
    seen = lapsed(*[1] * 7, *[2] * 5, *[3] * 3, *[LAST_DELIVERY - 1] * 4, *[LAST_DELIVERY] * 6)
    taken = choose(seen, Random(1), False)
    numbers = Counter(delivery.number for delivery in taken)
    assert (numbers[1], numbers[2] + numbers[3], numbers[4], numbers[5]) == (7, 4, 1, 6)
    assert len({delivery.token for delivery in taken}) == 18
    assert choose(lapsed(2), Random(1), True) == lapsed(2)
    assert choose(lapsed(LAST_DELIVERY - 1), Random(1), True) == []


def test_what_kills_its_replica_dies_alone() -> None:
    """Of twenty that run beside it none is dead with it, though it kills whoever begins it."""
    random = Random(7)
    numbers, ended = dict.fromkeys(range(21), 1), set[int]()
    while numbers:
        seen = [Delivery(Trigger("job", str(at), at, Kind.SCHEDULED), n, at) for at, n in numbers.items()]
        taken = [delivery.trigger.scheduled_at for delivery in choose(seen, random, False)]
        for at in taken:
            numbers[at] += 1
        if 0 not in taken or numbers[0] > LAST_DELIVERY:
            ended |= set(taken)
            numbers = {at: number for at, number in numbers.items() if at not in taken}
        assert max(numbers.values(), default=0) <= LAST_DELIVERY
    assert ended == set(range(21))

"""What is late, what is missed, and what is caught up on."""

import pytest

from schedcore import _rules

from .story import Story, micros


def test_what_is_on_time_is_sent() -> None:
    """A time is sent when it is due, and not a moment before."""
    story = Story(overlap="allow")
    told = story.ticks("00:09:59", "00:10", "00:10", "00:20:30")
    assert told == [[], ["sent 00:10"], [], ["sent 00:20"]]


@pytest.mark.parametrize(
    ("at", "told"),
    [("00:11", ["sent 00:10"]), ("00:11:00.000001", ["sent late 00:10"])],
)
def test_late_is_what_is_decided_after_its_grace(at: str, told: list[str]) -> None:
    """A time is late when it is decided more than 60 seconds after it was due, by default."""
    assert Story().tick(at) == told


def test_jitter_counts_from_when_it_is_due() -> None:
    """With jitter a time is due that much later: before, nothing is sent; its grace begins only then."""
    story = Story(jitter=300, overlap="allow")
    told = story.ticks("00:14:59", "00:15", "00:26", "00:36:01")
    assert told == [[], ["sent 00:10"], ["sent 00:20"], ["sent late 00:30"]]


def test_all_that_is_not_late_is_sent() -> None:
    """Of several times within their grace each one is sent, in order."""
    story = Story("@every 10s", overlap="allow")
    assert story.tick("00:00:35") == ["sent 00:00:10", "sent 00:00:20", "sent 00:00:30"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, ["missed 00:10 to 00:50, 5", "sent late 01:00"]),
        ({"catch_up": "none"}, ["missed 00:10 to 01:00, 6"]),
        (
            {"catch_up": "all", "overlap": "allow", "max_catch_up": 3},
            ["missed 00:10 to 00:30, 3", "sent late 00:40", "sent late 00:50", "sent late 01:00"],
        ),
        (
            {"catch_up": "all", "max_catch_up": 2},
            ["missed 00:10 to 00:40, 4", "sent late 00:50", "waits late 01:00"],
        ),
        ({"catch_up_within": 300}, ["missed 00:10 to 00:50, 5", "sent late 01:00"]),
        ({"catch_up_within": 299}, ["missed 00:10 to 01:00, 6"]),
        (
            {"catch_up": "all", "catch_up_within": 1000},
            ["missed 00:10 to 00:40, 4", "sent late 00:50", "waits late 01:00"],
        ),
    ],
    ids=str,
)
def test_catching_up(given: dict[str, object], told: list[str]) -> None:
    """After an hour of silence: the newest, none, or the newest few are sent; the rest is one missed line."""
    assert Story(**given).tick("01:05") == told


@pytest.mark.parametrize("catch_up", ["latest", "all"])
def test_latest_is_sent_only_if_nothing_newer_is(catch_up: str) -> None:
    """A late time is given up under "latest" where a newer one is on time; under "all" it goes first."""
    told = Story(catch_up=catch_up, overlap="queue_all").tick("00:20:30")
    expected = {
        "latest": ["missed 00:10", "sent 00:20"],
        "all": ["sent late 00:10", "waits 00:20"],
    }
    assert told == expected[catch_up]


def test_a_daily_job_is_caught_up_on_days_later() -> None:
    """The newest undecided time is sent however late it is."""
    assert Story("30 2 * * *").tick("5d 01:00") == ["missed 02:30 to 3d 02:30, 4", "sent late 4d 02:30"]


def test_a_run_learns_how_many_were_missed() -> None:
    """The trigger carries the number of times that the same decision gave up."""
    story = Story()
    story.tick("01:05")
    (trigger,) = story.ledger.bus.values()
    assert trigger.missed == 5


def test_late_ones_run_one_behind_the_other() -> None:
    """Under "all" a late time begins when the one before it has ended, though overlaps are skipped."""
    story = Story(catch_up="all", overlap="skip")
    assert story.tick("00:35") == ["sent late 00:10", "waits late 00:20", "waits late 00:30"]
    assert story.finish("00:36", "00:10") == ["succeeded 00:10", "sent late 00:20"]
    assert story.tick("00:40") == ["skipped 00:40"]
    assert story.finish("00:41", "00:20") == ["succeeded 00:20", "sent late 00:30"]
    assert story.finish("00:42", "00:30") == ["succeeded 00:30"]
    assert story.tick("00:50") == ["sent 00:50"]


@pytest.mark.parametrize("overlap", ["skip", "allow"])
def test_no_more_is_lined_up_than_may_wait(overlap: str) -> None:
    """However often a job is behind, at most 1,000 wait or are outstanding; the oldest are given up."""
    story = Story("@every 1s", catch_up="all", max_catch_up=900, overlap=overlap, grace=0)
    story.tick("00:20:00.5")
    told = story.tick("00:40:00.5")
    assert told[0] == (
        "missed 00:20:01 to 00:38:19, 1099" if overlap == "skip" else "missed 00:20:01 to 00:38:20, 1100"
    )
    assert len(story.state.waiting) + len(story.state.outstanding) == 1000 + (overlap == "skip")


def test_late_ones_do_not_line_up_behind_what_vanished() -> None:
    """What the bus lost is recorded before anything would wait for it."""
    story = Story(catch_up="all")
    story.tick("00:10")
    story.lose("00:10")
    assert story.tick("00:35") == ["lost 00:10", "sent late 00:20", "waits late 00:30"]


def test_a_new_job_has_nothing_to_catch_up_on() -> None:
    """The life of a job that is seen for the first time begins then."""
    story = Story("30 2 * * *", at="03:00")
    assert story.first == []
    assert story.tick("03:00") == []
    assert story.tick("1d 02:30") == ["sent 1d 02:30"]


def test_bounds_of_a_life() -> None:
    """Before `start_at` and after `until` there are no times; both belong to the life themselves."""
    story = Story(start_at="00:20", until="00:40", catch_up="all", overlap="allow")
    assert story.tick("00:19") == []
    assert story.tick("02:00") == ["sent late 00:20", "sent late 00:30", "sent late 00:40"]
    assert _rules.undecided(story.state) is None
    assert _rules.wake_at(story.ledger.row, story.ledger.app, micros("02:00")) is None


def test_a_disabled_job_has_no_times() -> None:
    """Nothing is due of a disabled job, and nothing is missed of it."""
    story = Story(enabled=False)
    assert story.tick("5d 00:00") == []
    assert story.declare("5d 00:05", "*/10 * * * *") == []
    assert story.tick("5d 00:10") == ["sent 5d 00:10"]


def test_the_night_when_clocks_are_put_forward() -> None:
    """A fixed time that the clock leaps over is due at the first instant after the gap, once."""
    story = Story("30 2 * * *", tz="Europe/Berlin", overlap="allow", at="87d 12:00")
    assert story.ticks("88d 00:59", "88d 01:00", "89d 00:30") == [[], ["sent 88d 01:00"], ["sent 89d 00:30"]]


def test_a_clock_that_is_put_back_repeats_nothing() -> None:
    """What is decided stays decided when the store's clock steps back."""
    story = Story(overlap="allow")
    assert story.ticks("00:20", "00:10", "00:19", "00:30") == [
        ["missed 00:10", "sent 00:20"],
        [],
        [],
        ["sent 00:30"],
    ]


def test_a_schedule_that_cannot_be_read_here_is_left_alone() -> None:
    """A later release may know words that this one does not: nothing is decided, and nobody wakes for it."""
    story = Story()
    story.state.spec = type(story.state.spec)("@fortnightly")
    assert story.tick("5d 00:00") == []
    assert _rules.wake_at(story.ledger.row, story.ledger.app, micros("5d 00:00")) is None

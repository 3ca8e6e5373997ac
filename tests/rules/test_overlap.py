"""What becomes of a time while the run before it is still outstanding."""

import pytest

from schedcore._draft import LIMIT
from schedcore.protocols import Status

from .story import Story


@pytest.mark.parametrize(
    ("overlap", "second", "third"),
    [
        ("skip", ["skipped 00:20"], ["skipped 00:30"]),
        ("queue_one", ["waits 00:20"], ["skipped 00:20", "waits 00:30"]),
        ("queue_all", ["waits 00:20"], ["waits 00:30"]),
        ("allow", ["sent 00:20"], ["sent 00:30"]),
    ],
)
def test_overlap(overlap: str, second: list[str], third: list[str]) -> None:
    """While one is outstanding the next is skipped, waits as the only one, waits in line, or is sent."""
    story = Story(overlap=overlap)
    assert story.ticks("00:10", "00:20", "00:30") == [["sent 00:10"], second, third]


def test_what_waits_goes_when_the_one_before_ends() -> None:
    """Those that wait are sent one behind the other, however the one before them ended."""
    story = Story(overlap="queue_all")
    story.ticks("00:10", "00:20", "00:30")
    assert story.finish("00:31", "00:10", status=Status.FAILED) == ["failed 00:10", "sent 00:20"]
    assert story.finish("00:32", "00:20", status=Status.DEAD) == ["dead 00:20", "sent 00:30"]
    assert story.finish("00:33", "00:30") == ["succeeded 00:30"]


def test_several_times_at_once_are_admitted_in_order() -> None:
    """Of several that are on time the first is sent; the policy decides about the others."""
    told = {
        overlap: Story("@every 10s", overlap=overlap).tick("00:00:45")
        for overlap in ("skip", "queue_one", "queue_all")
    }
    assert told == {
        "skip": ["skipped 00:00:20 to 00:00:40, 3", "sent 00:00:10"],
        "queue_one": ["skipped 00:00:20 to 00:00:30, 2", "sent 00:00:10", "waits 00:00:40"],
        "queue_all": ["sent 00:00:10", "waits 00:00:20", "waits 00:00:30", "waits 00:00:40"],
    }


def test_a_late_one_that_waits_is_not_replaced() -> None:
    """Under "queue_one" a newer time takes the place of one that waits, unless that one is late."""
    story = Story(overlap="queue_one")
    assert story.ticks("00:10", "00:25", "00:30", "00:40") == [
        ["sent 00:10"],
        ["waits late 00:20"],
        ["waits 00:30"],
        ["skipped 00:30", "waits 00:40"],
    ]
    assert story.finish("00:41", "00:10") == ["succeeded 00:10", "sent late 00:20"]


@pytest.mark.parametrize("overlap", ["queue_all", "allow"])
def test_there_is_a_bound(overlap: str) -> None:
    """At most 1,000 wait, or are outstanding where they may overlap; more are skipped."""
    story = Story("@every 1s", overlap=overlap, grace=86_400)
    told = story.tick("00:20:00")
    assert len(story.state.outstanding if overlap == "allow" else story.state.waiting) == LIMIT
    assert told[0] == (
        "skipped 00:16:41 to 00:20, 200" if overlap == "allow" else "skipped 00:16:42 to 00:20, 199"
    )


@pytest.mark.parametrize(
    ("overlap", "told"),
    [
        ("skip", ["lost 00:10", "sent 00:20"]),
        ("queue_one", ["lost 00:10", "sent 00:20"]),
        ("queue_all", ["lost 00:10", "sent 00:20"]),
        ("allow", ["sent 00:20"]),
    ],
)
def test_what_vanished_blocks_nothing(overlap: str, told: list[str]) -> None:
    """An outstanding trigger that the bus no longer holds is recorded as lost where it would block one."""
    story = Story(overlap=overlap)
    story.tick("00:10")
    story.lose("00:10")
    assert story.tick("00:20") == told


def test_what_vanished_takes_no_room() -> None:
    """Under "allow", too, it is found out what has vanished before a time is skipped for want of room."""
    story = Story("@every 1s", overlap="allow", grace=86_400)
    story.tick("00:00:01")
    story.lose("00:00:01")
    assert story.tick("00:16:41")[0] == "lost 00:00:01"
    assert len(story.state.outstanding) == LIMIT


def test_the_next_in_line_follows_what_vanished() -> None:
    """What waited for a lost one is sent, and the newcomer lines up behind it."""
    story = Story(overlap="queue_all")
    story.ticks("00:10", "00:20")
    story.lose("00:10")
    assert story.tick("00:30") == ["lost 00:10", "sent 00:20", "waits 00:30"]


def test_what_waits_respects_the_bound() -> None:
    """What waited under another policy is sent under "allow" as runs end, and never beyond the bound."""
    story = Story("@every 1s", overlap="queue_all", grace=86_400)
    story.tick("00:00:10")
    story.declare("00:00:10", "@every 1s", overlap="allow", grace=86_400)
    story.tick("00:20:00")
    assert (len(story.state.outstanding), len(story.state.waiting)) == (LIMIT, 9)
    assert story.finish("00:20", "00:00:01") == ["succeeded 00:00:01", "sent 00:00:02"]
    assert (len(story.state.outstanding), len(story.state.waiting)) == (LIMIT, 8)


def test_a_trigger_that_is_held_is_not_lost() -> None:
    """Nothing is taken for lost that the bus still holds, though it waits for a replica for hours."""
    story = Story(overlap="skip")
    story.tick("00:10")
    assert story.tick("09:00") == ["missed 00:20 to 08:50, 52", "skipped 09:00"]
    assert story.finish("09:01", "00:10") == ["succeeded 00:10"]

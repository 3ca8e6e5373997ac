"""What is asked for by hand: triggers and backfills, and the keys that are remembered."""

import pytest

from schedcore import _rules
from schedcore._draft import JUST_ENDED, LIMIT, RECENT_KEYS
from schedcore._state import JobState
from schedcore.protocols import Kind, Row, Status, Trigger

from .story import Story, make_spec, micros


@pytest.mark.parametrize(
    ("overlap", "told"),
    [
        ("skip", ["skipped", "skipped manual:a"]),
        ("queue_one", ["waiting", "waits manual:a"]),
        ("queue_all", ["waiting", "waits manual:a"]),
        ("allow", ["sent", "sent manual:a"]),
    ],
)
def test_the_answer_is_what_became_of_it(overlap: str, told: list[str]) -> None:
    """A trigger by hand is sent, waits or is skipped by the same policy as scheduled times, and says so."""
    story = Story(overlap=overlap)
    story.tick("00:10")
    assert story.ask("00:11", "a") == told


def test_the_same_key_answers_the_same() -> None:
    """Asked again with its key, a trigger is not sent again: the answer is what has become of it so far."""
    story = Story()
    assert story.ask("00:01", "a") == ["sent", "sent manual:a"]
    assert story.ask("00:02", "a") == ["sent"]
    story.finish("00:03", "manual:a", status=Status.FAILED)
    assert story.ask("00:04", "a") == ["failed"]
    assert story.ask("00:05", "b") == ["sent", "sent manual:b"]


def test_a_long_detail_is_cut_where_keys_are_remembered() -> None:
    """A row does not grow by a traceback per key; the end of it, which names the error, is kept."""
    row = Story().ledger.row
    _, draft = _rules.ask(row, "a", None, micros("00:01"))
    assert draft is not None
    draft.remember("manual:a", Kind.MANUAL, "failed", "Traceback\n" * 1000 + "ValueError: boom")
    (recent,) = draft.state.recent
    assert len(recent.detail) == 400
    assert recent.detail.endswith("ValueError: boom")


def test_a_waiting_one_is_remembered_as_sent_once_it_is() -> None:
    """The memory of a key follows its trigger from waiting over sent to its end."""
    story = Story(overlap="queue_all")
    story.tick("00:10")
    story.ask("00:11", "a")
    assert story.ask("00:12", "a") == ["waiting"]
    assert story.finish("00:13", "00:10") == ["succeeded 00:10", "sent manual:a"]
    assert story.ask("00:14", "a") == ["sent"]
    story.finish("00:15", "manual:a")
    assert story.ask("00:16", "a") == ["succeeded"]


def test_a_key_is_remembered_for_a_day() -> None:
    """After 24 hours a key may be used anew, unless its trigger is still outstanding."""
    story = Story(enabled=False, overlap="allow")
    story.ask("00:01", "a")
    story.ask("00:01", "open")
    story.finish("00:02", "manual:a")
    assert story.ask("1d 00:00:59", "a") == ["succeeded"]
    assert story.ask("1d 00:01", "a") == ["sent", "sent manual:a"]
    assert story.ask("3d 00:00", "open") == ["sent"]


def test_a_hundred_keys_are_remembered_and_all_that_are_open() -> None:
    """Of those that have ended the newest hundred are kept; none that is open is forgotten."""
    story = Story(enabled=False, overlap="allow")
    for number in range(RECENT_KEYS + 20):
        story.ask("00:01", f"open-{number}")
    for number in range(RECENT_KEYS + 20):
        at = f"{number // 60 + 1:02}:{number % 60:02}"
        story.ask(at, f"done-{number}")
        story.finish(at, f"manual:done-{number}")
    kept = [recent.key for recent in story.state.recent]
    assert kept[: RECENT_KEYS + 20] == [f"manual:open-{number}" for number in range(RECENT_KEYS + 20)]
    assert kept[RECENT_KEYS + 20 :] == [f"manual:done-{number}" for number in range(20, RECENT_KEYS + 20)]


def test_a_key_that_has_just_ended_is_remembered_for_a_minute() -> None:
    """Whoever waits for it learns how it ended, though it was asked for first and hundreds end with it."""
    story = Story(enabled=False, overlap="allow")
    for number in range(3 * RECENT_KEYS):
        story.ask("00:01", f"{number}")
    for number in range(3 * RECENT_KEYS):
        story.finish("00:10", f"manual:{number}", status=Status.FAILED, detail="because")
    story.ask("00:10:30", "new")
    for number in range(3 * RECENT_KEYS):
        assert story.ask("00:11", f"{number}") == ["failed"]
    details = [recent.detail for recent in story.state.recent if recent.detail]
    assert len(details) == RECENT_KEYS - 1, "what is kept for a minute is kept small"
    story.ask("00:11:31", "newer")
    assert len(story.state.recent) == RECENT_KEYS + 1  # with what is open


def test_what_is_remembered_of_a_minute_is_bounded() -> None:
    """As many as can be open at once: a thousand short lines."""
    story = Story(enabled=False, overlap="allow")
    for number in range(JUST_ENDED + 50):
        story.ask("00:01", f"{number}")
        story.finish("00:01", f"manual:{number}")
    assert len(story.state.recent) == JUST_ENDED
    assert story.ask("00:01", "49") == ["sent", "sent manual:49"]


def test_the_mark_is_neither_read_nor_moved() -> None:
    """A trigger by hand takes no scheduled time's place, and is counted apart."""
    story = Story(overlap="allow")
    story.ask("00:15", "a")
    assert story.state.mark == micros("00:00")
    story.finish("00:16", "manual:a")
    assert story.tick("00:20") == ["missed 00:10", "sent 00:20"]
    assert (story.state.counters, story.state.manual) == ({"missed": 1}, {"succeeded": 1})


def test_a_backfill_runs_a_time_again() -> None:
    """A backfill is known by its time; it is no scheduled run, and may be asked for once a day."""
    story = Story()
    at = str(micros("00:10"))
    story.tick("00:10")
    story.finish("00:11", "00:10")
    assert story.ask("05:00", at, back_to="00:10") == ["sent", f"sent backfill:{at}"]
    (trigger,) = story.ledger.bus.values()
    assert (trigger.kind, trigger.scheduled_at) == ("backfill", micros("00:10"))
    assert story.ask("05:01", at, back_to="00:10") == ["sent"]


def test_backfills_wait_behind_each_other() -> None:
    """Under "queue_one" a backfill takes nobody's place, and nobody takes a backfill's."""
    story = Story(overlap="queue_one")
    story.ticks("00:10", "00:20")
    assert story.ask("00:21", "x", back_to="00:01") == ["waiting", "waits backfill:x"]
    assert story.ask("00:22", "y", back_to="00:02") == ["waiting", "waits backfill:y"]
    assert story.tick("00:30") == ["skipped 00:20", "waits 00:30"]
    assert story.finish("00:31", "00:10") == ["succeeded 00:10", "sent backfill:x"]


@pytest.mark.parametrize("overlap", ["queue_one", "queue_all"])
def test_no_more_than_the_bound_wait(overlap: str) -> None:
    """When 1,000 wait already, one more that is asked for by hand is skipped."""
    waiting = tuple(Trigger("job", f"backfill:{at}", at, Kind.BACKFILL) for at in range(LIMIT))
    spec = make_spec("@every 1s", overlap=overlap)
    row = Row("job", 1, JobState(spec, 0, 0, "r", 0, ("x",), waiting), frozenset({"x"}))
    outcome, draft = _rules.ask(row, "late", None, 5, 5)
    assert outcome == "skipped"
    assert draft is not None
    assert draft.state.waiting == waiting
    assert [run.key for run in draft.runs] == ["backfill:late"]


def test_a_newer_one_takes_the_place_of_one_by_hand() -> None:
    """Under "queue_one" what waits and was asked for by hand gives way like any other, and its key tells."""
    story = Story(overlap="queue_one")
    story.tick("00:10")
    story.ask("00:11", "a")
    assert story.tick("00:20") == ["skipped manual:a", "waits 00:20"]
    assert story.ask("00:21", "a") == ["skipped"]


def test_what_vanished_does_not_refuse_anybody() -> None:
    """Before a trigger by hand is skipped it is found out whether the bus still holds what blocks it."""
    story = Story()
    story.ask("00:01", "a")
    story.lose("manual:a")
    assert story.ask("00:02", "b") == ["sent", "lost manual:a", "sent manual:b"]
    assert story.ask("00:03", "a") == ["lost"]


def test_a_lost_one_is_recorded_at_the_time_it_was_asked_for() -> None:
    """The line of a vanished trigger by hand carries the instant of asking."""
    story = Story()
    story.ask("00:05", "a")
    story.lose("manual:a")
    story.ask("00:06", "b")
    assert [line.scheduled_at for line in story.lines] == [micros("00:05")]

"""Who declares a job, what an edit settles, and what becomes of a job that nobody declares."""

import attrs
import pytest

from schedcore import _definitions
from schedcore._definitions import Declarer
from schedcore._draft import HeldUnknownError
from schedcore._state import JobState, Loss, Recent
from schedcore.codec import Unknown
from schedcore.protocols import APP_ROW, Kind, Row, Trigger

from .story import Story, make_spec, micros

APP = Row(APP_ROW)
SPEC, OTHER = make_spec("*/10 * * * *"), make_spec("*/15 * * * *")


def declared(spec: object = SPEC, by: str = "b", at: int = 5) -> Row:
    return Row("job", 1, JobState(spec, 0, 0, by, at))


@pytest.mark.parametrize(
    ("by", "alive", "wins"),
    [
        (Declarer("c", 6), {"b", "c"}, True),
        (Declarer("a", 4), {"a", "b"}, False),
        (Declarer("a", 4), {"a"}, True),
        (Declarer("c", 5), {"b", "c"}, True),
        (Declarer("a", 5), {"a", "b"}, False),
    ],
)
def test_the_latest_living_replica_declares(by: Declarer, alive: set[str], wins: bool) -> None:
    """A definition is that of the most recently started live replica; of two equally young ones by name."""
    draft = _definitions.declare(declared(), APP, OTHER, by, alive, 9)
    assert (draft is not None) is wins
    if draft is not None:
        assert (draft.state.spec, draft.state.declared_by) == (OTHER, by.id)


def test_an_equal_definition_is_signed() -> None:
    """Declaring what is declared already writes who did, settles nothing, and only once."""
    row, by = declared(), Declarer("c", 6)
    draft = _definitions.declare(row, APP, SPEC, by, {"b", "c"}, micros("05:00"))
    assert draft is not None
    assert draft.state == attrs.evolve(row.data, declared_by="c", declared_at=6)
    assert not draft.runs
    assert (
        _definitions.declare(Row("job", 2, draft.state), APP, SPEC, by, {"b", "c"}, micros("05:00")) is None
    )


def test_an_edit_loses_no_time_between_the_two() -> None:
    """A changed definition settles the times of the old one up to now, and starts after now."""
    story = Story(overlap="allow")
    assert story.declare("00:20", "*/20 * * * *", overlap="allow") == ["missed 00:10", "sent 00:20"]
    assert story.ticks("00:30", "00:40") == [[], ["sent 00:40"]]


def test_an_edit_settles_by_scheduled_time() -> None:
    """Times whose jitter has not passed are sent at once, in the step that changes the definition."""
    story = Story(jitter=300)
    assert story.declare("00:12", "*/15 * * * *") == ["sent 00:10"]


@pytest.mark.parametrize(
    "changed",
    [{"tz": "Europe/Berlin"}, {"jitter": 1}, {"retries": 3}, {"until": "5d 00:00"}, {"enabled": False}],
)
def test_each_change_is_an_edit(changed: dict[str, object]) -> None:
    """Whatever of a definition changes: the past is settled by the old one."""
    story = Story()
    assert story.declare("00:10:30", "*/10 * * * *", **changed) == ["sent 00:10"]


def test_an_edit_while_paused_sends_nothing() -> None:
    """What an edit settles during a pause is recorded as paused."""
    story = Story()
    story.pause("00:05")
    assert story.declare("00:25", "*/15 * * * *") == ["paused 00:10 to 00:20, 2"]
    assert story.resume("00:30") == ["sent 00:30"]


def test_what_waits_waits_on() -> None:
    """An edit leaves what waits in its place, whatever the new policy is."""
    story = Story(overlap="queue_all")
    story.ticks("00:10", "00:20", "00:30")
    assert story.declare("00:31", "*/10 * * * *", overlap="skip") == []
    assert story.tick("00:40") == ["skipped 00:40"]
    assert story.finish("00:41", "00:10") == ["succeeded 00:10", "sent 00:20"]
    assert story.finish("00:42", "00:20") == ["succeeded 00:20", "sent 00:30"]


def test_a_run_keeps_the_options_it_was_sent_with() -> None:
    """A trigger carries the options of the definition that it was sent by."""
    story = Story(retries=1)
    story.declare("00:10", "*/10 * * * *", retries=2)
    (trigger,) = story.ledger.bus.values()
    assert trigger.options == make_spec("x", retries=1).options


def test_an_edit_asks_what_has_vanished() -> None:
    """Settling does not skip a time behind a run that the bus has lost."""
    state = JobState(SPEC, 0, micros("00:00"), "b", 5, outstanding=(str(micros("00:00")),))
    row, now = Row("job", 1, state), micros("00:10")
    with pytest.raises(HeldUnknownError):
        _definitions.declare(row, APP, OTHER, Declarer("c", 6), (), now)
    row = attrs.evolve(row, held=frozenset())
    draft = _definitions.declare(row, APP, OTHER, Declarer("c", 6), (), now)
    assert draft is not None
    assert [run.status for run in draft.runs] == ["lost"]
    assert [trigger.scheduled_at for trigger in draft.send] == [micros("00:10")]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, ["missed 00:30"]),
        ({"start_at": "00:40"}, []),
        ({"until": "00:20"}, []),
        ({"until": "00:30"}, ["missed 00:30"]),
        ({"enabled": False}, []),
    ],
    ids=str,
)
def test_a_one_off_in_the_past(given: dict[str, str], told: list[str]) -> None:
    """A one-off that is declared when it is past is done, and leaves its line if it is in the job's life."""
    assert Story("2025-01-01T00:30:00Z", at="01:00", **given).first == told


def test_a_one_off_declared_at_its_very_time() -> None:
    """A life begins after the instant of the declaration: a one-off at that instant is past."""
    story = Story("2025-01-01T00:30:00Z", at="00:30")
    assert story.first == ["missed 00:30"]
    assert story.tick("00:30") == []


def test_a_one_off_is_due_once() -> None:
    """A one-off to come is sent when it is due; nothing follows it, an edit of its options included."""
    story = Story("2025-01-01T00:30:00Z")
    assert story.ticks("00:29", "00:30", "5d 00:00") == [[], ["sent 00:30"], []]
    assert story.declare("5d 00:01", "2025-01-01T00:30:00Z", retries=2) == []


def test_a_job_becomes_a_one_off_in_the_past() -> None:
    """The step that declares a one-off in the past writes its line, after those that it settles."""
    story = Story("0 * * * *")
    assert story.declare("01:00", "2025-01-01T00:30:00Z") == ["missed 00:30", "sent 01:00"]


def test_a_one_off_that_ran_is_not_missed_when_it_comes_back() -> None:
    """Edits back and forth, as deploys and rollbacks make them, count its time once."""
    story = Story("2025-01-01T00:30:00Z")
    assert story.tick("00:30") == ["sent 00:30"]
    story.finish("00:31", "00:30")
    for hour in (2, 4, 6):
        assert story.declare(f"0{hour}:00", "@every 24h") == []
        assert story.declare(f"0{hour + 1}:00", "2025-01-01T00:30:00Z") == []
    assert story.state.counters == {"succeeded": 1}


def test_a_one_off_that_was_missed_is_missed_once() -> None:
    """It was past when it was declared first, and it still is, with other bounds and in other words."""
    story = Story("2025-01-01T00:30:00Z", at="01:00")
    story.declare("02:00", "@every 24h")
    assert story.declare("03:00", "2025-01-01T01:30:00+01:00") == []
    assert story.declare("04:00", "2025-01-01T00:40:00Z") == ["missed 00:40"]
    assert story.declare("05:00", "2025-01-01T00:30:00Z", start_at="00:20") == []
    assert story.state.counters == {"missed": 2}


def test_a_one_off_whose_time_a_cron_line_had_is_not_counted_again() -> None:
    """The very time was decided by a definition before; its other times were not in the job's life."""
    story = Story("2025-01-01T00:30:00Z")
    story.declare("00:10", "*/10 * * * *", overlap="allow", until="00:50")
    story.ticks("00:20", "00:30", "00:40")
    story.declare("00:45", "@every 24h")
    story.declare("00:46", "*/15 * * * *", enabled=False)
    assert story.declare("01:00", "2025-01-01T00:30:00Z") == []
    assert story.declare("01:01", "2025-01-01T00:10:00Z") == ["missed 00:10"]
    assert story.declare("01:02", "2025-01-01T00:35:00Z") == ["missed 00:35"]
    assert story.declare("01:03", "2025-01-01T00:50:00Z") == ["missed 00:50"]
    assert story.state.counters == {"missed": 3}


def test_what_a_row_remembers_of_past_definitions_is_bounded() -> None:
    """The last sixteen, and one that comes back at once without a time between continues the former."""
    story = Story("*/10 * * * *")
    for minute in range(1, 31):
        story.declare(f"00:0{minute // 6}:{minute % 6}0", "*/10 * * * *", retries=minute)
    assert len(story.state.past) == 1
    for minute in range(10, 59):
        story.declare(f"00:{minute}", f"{minute} * * * *")
    assert len(story.state.past) == 16


def test_an_edit_by_a_clock_that_was_put_back() -> None:
    """The mark only rises: times that the old definition decided are not decided by the new one."""
    story = Story(overlap="allow")
    story.tick("00:20")
    assert story.declare("00:07", "*/5 * * * *", overlap="allow") == []
    assert story.ticks("00:20", "00:25") == [[], ["sent 00:25"]]
    assert story.state.since == micros("00:20")


@pytest.mark.parametrize(
    "row",
    [Row("job", 1, Unknown(b'{"format":2}')), declared()],
    ids=["job", "app"],
)
def test_what_a_later_release_wrote_is_not_declared_over(row: Row) -> None:
    """A job whose row, or whose app's row, is of a later format is an unknown job: it is left as it is."""
    app = APP if isinstance(row.data, Unknown) else Row(APP_ROW, 1, Unknown(b'{"format":2}'))
    assert _definitions.declare(row, app, OTHER, Declarer("c", 6), (), 9) is None


def test_retiring_waits_for_who_holds_a_run() -> None:
    """A job is not deleted while the bus holds anything of it."""
    story = Story()
    story.tick("00:10")
    assert story.retire("00:15") == []
    story.finish("00:16", "00:10")
    assert story.retire("00:17") == ["retired 00:17"]


def test_retiring_leaves_one_line_with_the_sums() -> None:
    """What was still owed is decided, and the last line tells all counters."""
    story = Story(overlap="queue_all")
    story.ticks("00:10", "00:20")
    story.finish("00:21", "00:10")
    story.lose("00:20")
    assert story.retire("00:45") == ["lost 00:20", "missed 00:30 to 00:40, 2", "retired 00:45"]
    assert story.declare("01:00", "*/10 * * * *") == []
    assert story.state.counters == {}


def test_retiring_what_waits() -> None:
    """What still waits when its job is retired is lost, with the reason, and so is what had vanished."""
    story = Story(overlap="queue_all")
    story.ticks("00:10", "00:20")
    story.lose("00:10")
    assert story.retire("00:25") == ["lost 00:20", "lost 00:10", "retired 00:25"]


def test_retiring_a_paused_job() -> None:
    """Times that fell in a pause of the job or the app are recorded as paused."""
    story = Story()
    story.pause("00:15", "00:25")
    assert story.retire("00:35") == ["missed 00:10", "paused 00:20", "missed 00:30", "retired 00:35"]
    story = Story()
    story.pause("00:15", app=True)
    assert story.retire("00:35") == ["paused 00:10 to 00:30, 3", "retired 00:35"]


def test_nobody_declares_it() -> None:
    """Since when no live replica declares a job is noted once, and anew after the app itself was away."""
    row = declared(by="b")
    assert _definitions.orphaned(row, {"b"}, 100, 0) is None
    draft = _definitions.orphaned(row, {"a"}, 100, 0)
    assert draft is not None
    assert draft.state.orphaned_at == 100
    row = Row("job", 2, draft.state)
    assert _definitions.orphaned(row, {"a"}, 200, 50) is None
    again = _definitions.orphaned(row, {"a"}, 300, 250)
    assert again is not None
    assert again.state.orphaned_at == 300


def test_declared_again_it_is_no_orphan() -> None:
    """Whoever declares a job takes the note away, with a definition that is equal, too."""
    row = Row("job", 1, attrs.evolve(declared().data, orphaned_at=5))
    draft = _definitions.declare(row, APP, SPEC, Declarer("b", 5), {"b"}, 9)
    assert draft is not None
    assert draft.state.orphaned_at is None


def test_the_highest_mark_wins_after_a_loss() -> None:
    """What is remembered is put back if it knows more than the row, or if there is none."""
    remembered = JobState(
        SPEC, 0, 50, "b", 5, counters={"succeeded": 3}, recent=(Recent("manual:a", 1, "sent"),)
    )
    less = attrs.evolve(remembered, mark=40, counters={})
    for row in (Row("job", held=frozenset()), Row("job", 7, less, held=frozenset())):
        draft = _definitions.restore(row, remembered, 90)
        assert draft is not None
        assert draft.state == attrs.evolve(remembered, losses=(Loss(row.version, 90),))
        assert draft.state is not remembered
    for data in (attrs.evolve(remembered, counters={}), Unknown(b'{"format":2}')):
        assert _definitions.restore(Row("job", 7, data), remembered, 90) is None


def test_a_loss_is_noted_once_by_all_who_put_something_back() -> None:
    """Who remembers more than the first one keeps its note; the last sixteen losses are remembered."""
    first, later = Loss(0, micros("10:00")), micros("10:00") + 3_000_000
    stored = JobState(SPEC, 0, 40, "b", 5, losses=(first,))
    remembered = JobState(SPEC, 0, 50, "b", 5)

    def noted(losses: tuple[Loss, ...], now: int) -> tuple[Loss, ...]:
        row = Row("job", 7, attrs.evolve(stored, losses=losses), held=frozenset())
        draft = _definitions.restore(row, attrs.evolve(remembered, losses=losses[:-1]), now)
        assert draft is not None
        return draft.state.losses

    assert noted((first,), later) == (first,)
    assert noted((first,), micros("11:00")) == (first, Loss(7, micros("11:00")))
    many = tuple(Loss(0, at) for at in range(16))
    assert noted(many, micros("11:00")) == (*many[1:], Loss(7, micros("11:00")))


def test_what_was_asked_for_since_a_loss_is_kept() -> None:
    """Nobody remembers it: it runs, goes next, or is answered the same, whoever puts back what was."""
    old, new, next_, done = (Recent(f"manual:{key}", at, "sent") for at, key in enumerate("abcd"))
    remembered = JobState(SPEC, 0, 50, "b", 5, recent=(old,))
    waits = [Trigger("job", recent.key, recent.at, Kind.MANUAL) for recent in (old, next_)]
    stored = attrs.evolve(
        remembered,
        mark=40,
        recent=(old, new, next_, done),
        outstanding=(old.key, new.key),
        waiting=tuple(waits),
    )
    draft = _definitions.restore(Row("job", 7, stored, held=frozenset((old.key, new.key))), remembered, 90)
    assert draft is not None
    state = draft.state
    assert (state.mark, state.recent) == (50, (old, new, next_, done))
    assert (state.outstanding, state.waiting) == ((new.key,), (waits[1],))


def test_a_row_that_fell_back_is_noticed() -> None:
    """A row whose mark is below the one remembered has lost something; others have not."""
    row = declared()
    assert isinstance(row.data, JobState)
    assert _definitions.remembered_more(row, attrs.evolve(row.data, mark=1))
    assert not _definitions.remembered_more(row, row.data)
    assert not _definitions.remembered_more(row, None)
    assert not _definitions.remembered_more(Row("job"), row.data)

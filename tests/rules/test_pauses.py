"""What a pause stops, and what becomes of the times that fall in it."""

import pytest

from schedcore import _definitions, _rules
from schedcore._state import JobState, Pause
from schedcore.codec import Unknown
from schedcore.protocols import APP_ROW, Row

from .story import Story, make_spec, micros

of_job_or_app = pytest.mark.parametrize("app", [False, True], ids=["job", "app"])


@of_job_or_app
def test_nothing_is_sent_during_a_pause(app: bool) -> None:
    """A time that falls in a pause, of the job or of all, is recorded as paused when the pause has ended."""
    story = Story(overlap="allow")
    story.tick("00:10")
    assert story.pause("00:15", app=app) == []
    assert story.ticks("00:20", "00:30", "00:40") == [[], [], []]
    assert story.resume("00:45", app=app) == ["paused 00:20 to 00:40, 3"]
    assert story.ticks("00:45", "00:50") == [[], ["sent 00:50"]]


@of_job_or_app
def test_a_pause_with_an_end_ends_by_itself(app: bool) -> None:
    """A timed pause concerns the times before its end; the end itself is no longer in it."""
    story = Story(overlap="allow")
    story.pause("00:05", "00:30", app=app)
    assert story.ticks("00:10", "00:20", "00:29:59") == [[], [], []]
    assert story.tick("00:30") == ["paused 00:10 to 00:20, 2", "sent 00:30"]


def test_a_long_pause_is_recorded_by_and_by() -> None:
    """Times in a pause are recorded together once the first of them is an hour old."""
    story = Story()
    story.pause("00:05")
    assert story.tick("01:09:59") == []
    assert story.tick("01:10") == ["paused 00:10 to 01:10, 7"]
    assert story.resume("01:30") == ["paused 01:20", "sent 01:30"]


def test_the_instant_at_which_a_pause_begins_is_in_it() -> None:
    """A time at the very beginning of a pause is paused, if it was not sent before; its end is not in it."""
    story = Story()
    story.pause("00:10")
    assert story.resume("00:20") == ["paused 00:10", "sent 00:20"]


def test_what_was_due_before_the_pause_is_missed() -> None:
    """Times before an ended pause that were still undecided are missed: there is nothing to catch up on."""
    story = Story(catch_up="all")
    story.pause("00:25", "00:45")
    assert story.tick("00:45:30") == ["missed 00:10 to 00:20, 2", "paused 00:30 to 00:40, 2"]


def test_a_time_decided_during_a_pause_is_paused() -> None:
    """A time from before the pause, decided while it holds, counts as paused."""
    story = Story()
    story.pause("00:25")
    assert story.tick("01:10") == ["paused 00:10 to 01:10, 7"]


@of_job_or_app
def test_jitter_does_not_carry_a_time_out_of_a_pause(app: bool) -> None:
    """The scheduled time decides, not when it is due: one in the pause is paused, one after it is sent."""
    story = Story(jitter=300, overlap="allow")
    story.pause("00:05", app=app)
    assert story.resume("00:12", app=app) == []
    assert story.ticks("00:15", "00:25") == [["paused 00:10"], ["sent 00:20"]]


def test_a_pause_stops_nothing_else() -> None:
    """What already waits still goes, and triggers by hand are sent."""
    story = Story(overlap="queue_all")
    story.ticks("00:10", "00:20")
    story.pause("00:25")
    assert story.finish("00:26", "00:10") == ["succeeded 00:10", "sent 00:20"]
    assert story.finish("00:27", "00:20") == ["succeeded 00:20"]
    assert story.ask("00:28", "now") == ["sent", "sent manual:now"]


def test_job_and_app_are_paused_apart() -> None:
    """Resuming all does not resume a job that is paused itself; a stretch in both is counted once."""
    story = Story(overlap="allow")
    story.pause("00:05", app=True)
    story.pause("00:15")
    assert story.resume("00:25", app=True) == []
    assert story.resume("00:35") == ["paused 00:10 to 00:20, 2", "paused 00:30"]
    assert story.tick("00:40") == ["sent 00:40"]


def test_pausing_again_replaces_the_end() -> None:
    """A second pause takes the place of the one that holds, from that one's start."""
    first = _rules.pause((), 10, 50, "deploy")
    assert _rules.pause(first, 20, None, "incident") == (Pause(10, None, "incident"),)
    assert _rules.pause(first, 60, None, "incident") == (*first, Pause(60, None, "incident"))


def test_resuming_ends_what_holds() -> None:
    """Only pauses that hold are ended; what a later release wrote beside them stays."""
    ended, running = Pause(1, 5), Pause(10, None, "why", '{"by":"me"}')
    assert _rules.resume((ended, running), 20) == (ended, Pause(10, 20, "why", '{"by":"me"}'))


def test_a_job_keeps_no_pause_longer_than_it_needs() -> None:
    """A pause leaves the row once no undecided time can fall in it."""
    story = Story(overlap="allow")
    story.pause("00:05", "00:15")
    story.tick("00:10")
    assert story.state.pauses
    assert story.tick("00:20") == ["paused 00:10", "sent 00:20"]
    assert story.state.pauses == ()


def test_the_app_keeps_a_pause_while_a_time_may_fall_in_it() -> None:
    """The app's row keeps a pause until no undecided time of any job, new ones included, can fall in it."""
    hour = 3600 * 1_000_000
    now = micros("10:00")
    daily = JobState(make_spec("0 3 * * *"), 0, micros("00:00"), "r", 0)
    disabled = JobState(make_spec("* * * * *", enabled=False), 0, 0, "r", 0)
    pauses = (
        Pause(micros("01:00"), micros("03:00")),
        Pause(micros("02:00"), micros("03:01")),
        Pause(now - 1, now - 1),
        Pause(now, None),
    )
    assert _definitions.pauses_to_keep(pauses, [daily, disabled], now) == pauses[1:]
    assert _definitions.pauses_to_keep(pauses, [disabled], now + 2 * hour) == pauses[3:]


def test_who_is_paused_looks_at_the_row_again() -> None:
    """While a pause holds the row is read when the job is due: somebody may have ended the pause."""
    story = Story()
    story.pause("00:05")
    wake = [
        _rules.wake_at(story.ledger.row, story.ledger.app, micros(at)) for at in ("00:05", "00:10", "00:11")
    ]
    assert wake == [micros("00:10"), micros("00:20"), micros("00:20")]


def test_a_timed_pause_is_settled_when_it_ends() -> None:
    """A rare job's paused time is not left undecided until its next one."""
    story = Story("10 0 * * *")
    story.pause("00:05", "00:40")
    assert _rules.wake_at(story.ledger.row, story.ledger.app, micros("00:10")) == micros("00:40")
    assert story.tick("00:40") == ["paused 00:10"]


def test_nobody_looks_more_often_than_once_a_second() -> None:
    """A frequent job that is paused does not have its row read at each of its times."""
    story = Story("@every 100ms")
    story.pause("00:05")
    now = micros("00:06")
    assert _rules.wake_at(story.ledger.row, story.ledger.app, now) == now + 1_000_000


def test_nothing_is_decided_where_the_pauses_cannot_be_read() -> None:
    """While the app's row is of a later format nothing is decided; it is looked at now and then."""
    story = Story()
    story.ledger.app = Row(APP_ROW, 1, Unknown(b'{"format":2}'))
    assert story.tick("00:10") == []
    assert story.tick("5d 00:10") == []
    now = micros("5d 00:10")
    assert _rules.wake_at(story.ledger.row, story.ledger.app, now) == now + 2_000_000

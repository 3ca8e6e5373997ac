"""The schedule against the history, time by time; `unaccounted` is said only where it is known."""

from datetime import timedelta

import attrs
import pytest

from schedcore import ConfigurationError
from schedcore._audit import Audit, audit
from schedcore._state import JobState, Loss, Options, Past, Pause, Spec
from schedcore._units import to_datetime
from schedcore.protocols import Kind, Micros, Run, Status, Trigger

S = 1_000_000
T0 = 1_767_225_600 * S
"""2026-01-01, when the job of these tests was declared; it is due each second."""


def at(number: float) -> Micros:
    return T0 + round(number * S)


def state(mark: float, spec: Spec | None = None, **more: object) -> JobState:
    values: dict[str, object] = {"since": T0, "declared_by": "r0", "declared_at": T0, **more}
    return JobState(spec=spec or Spec("@every 1s"), mark=at(mark), **values)


def run(number: int, status: Status = Status.SUCCEEDED, **more: object) -> Run:
    values: dict[str, object] = {"ended_at": at(number + 0.5), "delivery": 1, **more}
    return Run("a", at(number), status, key=str(at(number)), **values)


def stretch(first: int, last: int, status: Status, detail: str = "") -> Run:
    return Run("a", at(first), status, last_at=at(last), count=last - first + 1, detail=detail)


def found(
    job: JobState,
    lines: list[Run],
    after: float = 0,
    until: float = 5,
    now: float = 1000,
    pauses: tuple[Pause, ...] = (),
) -> Audit:
    """Audit a job whose counters, if the test gives none, are the sums of its lines."""
    if not job.counters:
        job = attrs.evolve(job, counters=sums(lines))
    return audit("a", job, lines[::-1], pauses, at(after), at(until), at(now))


def sums(lines: list[Run]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for line in lines:
        counted[line.status] = counted.get(line.status, 0) + line.count
    return counted


def words(result: Audit) -> list[tuple[int, str]]:
    return [(stretch.count, stretch.found) for stretch in result.stretches]


def test_a_line_of_no_scheduled_time_is_told() -> None:
    """Whoever added it is found out; what another life of the job, or a hand, left is no such line."""
    lines = [
        Run("a", at(-1.5), Status.SUCCEEDED, key="x", ended_at=at(-1)),
        run(1),
        Run("a", at(1.5), Status.FAILED, key="x", ended_at=at(2)),
        Run("a", at(2.5), Status.SUCCEEDED, Kind.MANUAL, key="manual:x", ended_at=at(3)),
        *(run(number) for number in range(2, 6)),
        Run("a", at(5.5), Status.SUCCEEDED, key="x", ended_at=at(6)),
    ]
    result = found(state(10), lines, after=-5, until=5.5)
    assert words(result) == [(1, "ran once"), (1, "unscheduled"), (4, "ran once"), (1, "unscheduled")]
    assert result.stretches[1].detail == "there was no such time, but a line: failed"
    assert (result.unaccounted, result.is_sound) == (0, False)
    assert found(state(10), [run(number) for number in range(1, 6)]).is_sound


def test_each_time_is_found_once() -> None:
    """What ran, ran again, was skipped, missed, paused, lost or given up is told apart, with the reason."""
    lines = [
        run(1),
        run(2, Status.FAILED, detail="Traceback\nValueError: no paper"),
        run(3, delivery=2),
        stretch(4, 6, Status.MISSED, "late"),
        stretch(7, 8, Status.PAUSED, "the bank is down"),
        Run("a", at(9), Status.SKIPPED, key=str(at(9)), detail="busy"),
        run(10, Status.LOST, detail="gone"),
        run(11, Status.DEAD, detail="dead"),
        run(12, kind=Kind.LATE),
        run(13, Status.TIMED_OUT),
    ]
    result = found(state(13), lines, until=13)
    assert [(each.count, each.found, each.status, each.detail) for each in result.stretches] == [
        (1, "ran once", "succeeded", ""),
        (1, "ran once", "failed", "ValueError: no paper"),
        (1, "ran again", "succeeded", "in delivery 2, after its replica was gone"),
        (3, "missed", "", "late"),
        (2, "paused", "", "the bank is down"),
        (1, "skipped", "", "busy"),
        (1, "lost", "", "gone"),
        (1, "dead", "", "dead"),
        (1, "ran once", "succeeded", ""),
        (1, "ran once", "timed out", ""),
    ]
    assert result.unaccounted == 0
    assert result.notes == ()


def test_what_is_nowhere_is_unaccounted() -> None:
    """A time that is decided, not outstanding, and has no line, ought to have one."""
    result = found(state(5), [run(1), run(3), run(4)])
    assert words(result) == [(1, "ran once"), (1, "unaccounted"), (2, "ran once"), (1, "unaccounted")]
    assert result.counts == {"ran once": 3, "unaccounted": 2}
    assert result.unaccounted == 2


def test_a_trigger_by_hand_is_no_scheduled_time() -> None:
    """A run that was asked for at the very instant accounts for nothing."""
    manual = Run("a", at(1), Status.SUCCEEDED, Kind.MANUAL, "manual:k")
    assert words(found(state(2), [manual, run(2)], until=2)) == [(1, "unaccounted"), (1, "ran once")]


def test_what_is_outstanding_waits_or_is_not_decided() -> None:
    """A key that the row has is outstanding; what lies behind the mark is undecided, or paused."""
    waiting = (Trigger("a", str(at(2)), at(2)),)
    job = state(3, outstanding=(str(at(1)),), waiting=waiting)
    assert words(found(job, [run(3)], until=4)) == [(2, "outstanding"), (1, "ran once"), (1, "undecided")]
    paused = found(job, [run(3)], until=4, pauses=(Pause(at(3.5)),))
    assert words(paused)[-1] == (1, "paused")
    ended = found(job, [run(3)], until=4, pauses=(Pause(at(3.5), at(3.6)),))
    assert words(ended)[-1] == (1, "undecided")


def test_two_lines_of_one_time_are_told() -> None:
    """A time that ran and has a second line was sent again; all its lines are named."""
    lost = run(1, Status.LOST)
    result = found(state(1), [lost, run(1)], until=1)
    assert [(each.found, each.detail) for each in result.stretches] == [
        ("ran again", "its lines: lost, succeeded")
    ]


def test_what_is_not_due_yet_is_left_out() -> None:
    """The future is not audited, nor what jitter has not made due."""
    assert words(found(state(2), [run(1), run(2)], until=10, now=2.5)) == [(2, "ran once")]
    jittery = Spec("@every 1s", jitter=S // 2)
    assert words(found(state(2, jittery), [run(1), run(2)], until=10, now=3.2)) == [(2, "ran once")]


def test_trimmed_history_is_unknown() -> None:
    """Where the job has as many lines as it may, what is older than its oldest success cannot be known."""
    spec = Spec("@every 1s", options=Options(history=3))
    failure = run(2, Status.FAILED)
    result = found(state(9, spec), [failure, run(7), run(8), run(9)], until=9)
    assert words(result) == [(1, "unknown"), (1, "ran once"), (4, "unknown"), (3, "ran once")]
    assert result.notes == (
        "the history reaches back to 2026-01-01T00:00:07.500000+00:00: older lines are trimmed",
    )


def test_what_the_store_lost_is_unknown() -> None:
    """Of times of that stretch nobody can tell, and the detail says why; behind it all is known."""
    job = state(9, losses=(Loss(at(2.5), at(5.5)),))
    lines = [run(1), run(2), run(7), run(8)]
    result = found(attrs.evolve(job, counters={"succeeded": 9}), [*lines, run(4)], until=9)
    assert words(result) == [
        *((2, "ran once"), (1, "unknown"), (1, "ran once"), (1, "unknown")),
        *((1, "unaccounted"), (2, "ran once"), (1, "unaccounted")),
    ]
    assert result.stretches[1].detail == "the store lost data at 2026-01-01T00:00:05.500000+00:00"
    assert result.notes == (), "nothing was trimmed"


def test_a_long_run_may_have_outlived_the_lines_of_later_times() -> None:
    """While the oldest line's run went on, others ended whose lines are older, and may be trimmed."""
    spec = Spec("@every 1s", options=Options(history=2))
    lines = [run(2, ended_at=at(5.5)), run(7)]
    result = found(state(7, spec), lines, until=7)
    assert words(result) == [
        *((1, "unknown"), (1, "ran once"), (3, "unknown")),
        *((1, "unaccounted"), (1, "ran once")),
    ]


def test_history_that_has_grown_old_is_unknown() -> None:
    """Lines older than the job's history_days are gone, however few there are."""
    spec = Spec("@every 1s", options=Options(history_days=5 / 86_400))
    result = found(state(10, spec), [run(9), run(10)], until=10, now=10.5)
    assert words(result) == [(5, "unknown"), (3, "unaccounted"), (2, "ran once")]


def test_nothing_is_known_of_the_time_before_the_first_declaration() -> None:
    """The job had no times then, and that is said."""
    result = found(state(2), [run(1), run(2)], after=-100, until=2)
    assert words(result) == [(2, "ran once")]
    assert result.notes == (
        "nothing is known of the time before 2026-01-01T00:00:00+00:00: the job was first declared then",
    )


def test_an_edit_within_is_said_and_each_definition_has_its_times() -> None:
    """Before the edit the old schedule's times are looked for, behind it the new one's."""
    past = Past("@every 1s", at(0), at(4.5))
    job = state(8, Spec("@every 2s"), since=at(4.5), past=(past,))
    lines = [run(1), run(2), run(3), run(4), run(6), run(8)]
    result = found(job, lines, until=9)
    assert words(result) == [(6, "ran once")]
    assert result.notes == ("the definition was edited at 2026-01-01T00:00:04.500000+00:00",)
    assert found(job, lines[1:], until=9, after=5).notes == ()


def test_a_time_without_a_definition_is_said() -> None:
    """Between two definitions, or behind the last, the job may have been disabled."""
    past = Past("@every 1s", at(0), at(2))
    off = attrs.evolve(Spec("@every 1s"), enabled=False)
    disabled = found(state(9, off, since=at(2), past=(past,)), [run(1), run(2)], until=9)
    assert words(disabled) == [(2, "ran once")]
    assert disabled.notes == ("since 2026-01-01T00:00:02+00:00 the job is disabled",)
    again = state(9, since=at(7), past=(past,))
    result = found(again, [run(1), run(2), run(8), run(9)], until=9)
    assert words(result) == [(4, "ran once")]
    assert any("the job had no scheduled times" in note for note in result.notes)


def test_a_schedule_that_cannot_be_read_is_said() -> None:
    """A zone that this machine does not know makes no times, and no error."""
    result = found(state(2, Spec("@daily", tz="Mars/Olympus")), [])
    assert words(result) == []
    assert "'@daily' in Mars/Olympus cannot be read here" in result.notes[0]
    trimmed = state(2, Spec("@fortnightly", options=Options(history=3)), counters={Status.SUCCEEDED: 9})
    assert "'@fortnightly' in UTC cannot be read here" in found(trimmed, [run(1)]).notes[0]


def test_too_many_times_are_refused() -> None:
    """A stretch with more than a hundred thousand times is to be cut."""
    with pytest.raises(ConfigurationError, match="more than 100,000 scheduled times"):
        found(state(200_000), [], until=200_000, now=200_001)


def test_an_audit_tells_its_stretch() -> None:
    """What was asked for, but no later than now."""
    result = found(state(2), [run(1), run(2)], until=10, now=3)
    assert (result.job, result.until - result.after) == ("a", timedelta(seconds=3))
    assert result.after == to_datetime(T0)


def test_the_lines_behind_a_time_and_one_success_before_it_suffice() -> None:
    """Whether all lines are given, or those behind the first time with an older success, is the same."""
    spec = Spec("@every 1s", options=Options(history=9))
    lines = [run(number) for number in range(2, 10) if number != 7]
    whole = found(state(9, spec), lines, after=5, until=9)
    assert whole.counts == {"ran once": 3, "unaccounted": 1}
    some = [line for line in lines if line.scheduled_at > at(5)]
    assert found(state(9, spec), [run(4), *some], after=5, until=9) == whole


def test_what_is_lacking_in_a_trimmed_history_is_told_and_not_what_was_trimmed() -> None:
    """A job that had more lines than are kept has as many as are kept: of the newest times."""
    spec = Spec("@every 1s", options=Options(history=4))
    job = state(20, spec, counters={"succeeded": 20}, manual={"succeeded": 0})
    kept = [run(number) for number in range(17, 21)]
    assert words(found(job, kept, until=20)) == [(16, "unknown"), (4, "ran once")]
    for gone in range(4):
        lines = kept[:gone] + kept[gone + 1 :]
        result = found(job, lines, until=20)
        assert result.counts == {"unknown": 16, "unaccounted": 1, "ran once": 3}
        (nowhere,) = [each for each in result.stretches if each.found == "unaccounted"]
        assert nowhere.first == to_datetime(at(17 + gone))
    assert found(job, [], until=20).counts == {"unknown": 16, "unaccounted": 4}
    assert found(job, [], after=18, until=20).counts == {"unaccounted": 2}


def test_a_line_by_hand_that_is_gone_is_no_scheduled_time() -> None:
    """What is lacking may have been of a trigger by hand: then nothing is said of older times."""
    spec = Spec("@every 1s", options=Options(history=4))
    job = state(20, spec, counters={"succeeded": 20}, manual={"succeeded": 1})
    assert found(job, [run(18), run(19), run(20)], until=20).counts == {"unknown": 17, "ran once": 3}


def test_lines_that_the_counters_do_not_know_contradict() -> None:
    """A line that was added, or whose status was changed; what ended since the row was read does not."""
    job = state(4, counters={"succeeded": 3, "failed": 1})
    lines = [run(1), run(2), run(3), run(4, Status.FAILED)]
    assert found(job, lines, until=4).is_sound
    changed = found(job, [*lines[:2], run(3, Status.FAILED), lines[3]], until=4)
    assert changed.contradictions == (
        "its lines tell of 2 failed, its counters of 1: somebody added or changed a line, or the store lost "
        "data",
    )
    assert not changed.is_sound
    assert changed.unaccounted == 0
    open_one = state(4, counters={"succeeded": 3}, outstanding=(str(at(4)),))
    assert found(open_one, lines, until=4).is_sound
    assert found(job, [*lines, run(5)], until=4).is_sound
    earlier_life = run(-5)
    assert found(job, [earlier_life, *lines], until=4).is_sound


def test_a_line_that_is_there_twice_contradicts() -> None:
    """Also where the counters cannot tell, because the history is trimmed; two deliveries are two lines."""
    job = state(9, counters={"succeeded": 90, "lost": 1})
    assert found(job, [run(1), run(1), run(2)], until=2).contradictions == (
        "a line of 2026-01-01T00:00:01+00:00 is there more than once: somebody added it",
    )
    assert found(job, [run(1, Status.LOST), run(1), run(2)], until=2).is_sound


def test_a_stretch_that_is_wrong_contradicts() -> None:
    """A line that tells of more or fewer times than lie between its first and its last one."""
    job = state(9, counters={"missed": 9, "succeeded": 9})
    right, wrong = stretch(1, 3, Status.MISSED), attrs.evolve(stretch(1, 3, Status.MISSED), count=1)
    assert found(job, [right, run(4), run(5)]).is_sound
    assert found(job, [wrong, run(4), run(5)]).contradictions == (
        "a line tells of 1 times (missed) from 2026-01-01T00:00:01+00:00 to 2026-01-01T00:00:03+00:00, where "
        "there are 3: somebody changed it",
    )

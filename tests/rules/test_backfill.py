"""Which times a backfill runs, when it may send the next one, and what an audit says of it."""

from typing import Any

import pytest

from schedcore import ConfigurationError, _backfill
from schedcore._audit import audit
from schedcore._backfill import Planned, key_of, plan, send
from schedcore._draft import HeldUnknownError, parse_key
from schedcore._state import JobState, Options, Recent, Spec
from schedcore.protocols import Kind, Row, Run, Status

S = 1_000_000
T0 = 1_767_225_600 * S


def at(number: float) -> int:
    return T0 + round(number * S)


def state(**more: Any) -> JobState:
    values: dict[str, Any] = {
        "spec": Spec("@every 1s"),
        "since": T0,
        "mark": at(10),
        "declared_by": "r0",
        "declared_at": T0,
        **more,
    }
    return JobState(**values)


def line(number: int, status: Status = Status.SUCCEEDED, kind: Kind = Kind.SCHEDULED, key: str = "") -> Run:
    return Run("a", at(number), status, kind, key or str(at(number)), ended_at=at(number + 0.5), delivery=1)


def planned(
    job: JobState, lines: list[Run], begin: float = 0, end: float = 4, **options: Any
) -> list[Planned]:
    return plan(job, lines, (), at(begin), at(end), at(11), **options)


def chosen(found: list[Planned]) -> list[int]:
    return [(each.at - T0) // S for each in found if not each.left_out]


LINES = [
    line(4, Status.FAILED),
    Run("a", at(3), Status.MISSED, last_at=at(3), detail="late"),
    line(2),
    line(1),
]


def test_what_has_succeeded_is_left_out() -> None:
    """What failed or was missed is run; with `everything` all of them."""
    found = planned(state(), LINES)
    assert [each.was for each in found] == ["ran once", "ran once", "missed", "ran once"]
    assert chosen(found) == [3, 4]
    assert {each.left_out for each in found[:2]} == {_backfill.SUCCEEDED}
    assert chosen(planned(state(), LINES, everything=True)) == [1, 2, 3, 4]


def test_what_is_open_is_left_out_whatever_is_asked_for() -> None:
    """A time that is outstanding, or due and not decided, has its turn still to come."""
    job = state(outstanding=(str(at(3)),), mark=at(3))
    found = planned(job, LINES[2:], everything=True)
    assert [each.was for each in found[2:]] == ["outstanding", "undecided"]
    assert chosen(found) == [1, 2]


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED])
def test_what_was_backfilled_is_not_run_once_more(status: Status) -> None:
    """Whether its line tells, or the row, whatever came of it; under another name it is."""
    lines = [line(3, status, Kind.BACKFILL, f"backfill:{at(3)}"), *LINES]
    recent = (Recent(f"backfill:{at(4)}", at(10), str(status)),)
    for everything in (False, True):
        found = planned(state(recent=recent), lines, everything=everything)
        assert [each.left_out for each in found[2:]] == [_backfill.AGAIN] * 2
    again = planned(state(recent=recent), lines, everything=True, name="fixed")
    assert chosen(again) == [1, 2, 3, 4]
    assert again[0].key == f"fixed/{at(1)}"


def test_times_before_the_job_was_declared_are_its_times_too() -> None:
    """Nothing is known of them; what `start_at`, `until` and now bound is not run."""
    found = planned(state(), LINES, begin=-3, end=1)
    assert [(each.was, bool(each.left_out)) for each in found] == [("", False)] * 3 + [("ran once", True)]
    assert len(planned(state(spec=Spec("@every 1s", start_at=at(2))), LINES)) == 3
    assert len(planned(state(spec=Spec("@every 1s", until=at(2))), LINES)) == 2
    assert len(planned(state(), LINES, end=100)) == 11
    assert planned(state(), LINES, begin=20, end=30) == []


def test_too_many_times_are_refused() -> None:
    """Nobody meant to run a job ten thousand times."""
    assert len(planned(state(), [], begin=1 - _backfill.MOST, end=1)) == _backfill.MOST
    with pytest.raises(ConfigurationError, match="more than 10,000 scheduled times lie between the two"):
        planned(state(), [], begin=-_backfill.MOST, end=1)


@pytest.mark.parametrize("overlap", ["skip", "queue_one", "queue_all"])
def test_while_something_is_outstanding_the_next_one_waits_outside(overlap: str) -> None:
    """It is neither skipped nor queued: the job's own times do not stand behind it."""
    spec = Spec("@every 1s", options=Options(overlap=overlap))
    busy = Row("a", 1, state(spec=spec, outstanding=("1",)), held=frozenset(["1"]))
    assert send(busy, at(1), key_of(at(1)), 10, at(11)) == (_backfill.FULL, None)
    said, draft = send(Row("a", 1, state(spec=spec)), at(1), key_of(at(1)), 10, at(11))
    assert said == "sent"
    assert draft is not None
    assert [(each.kind, each.scheduled_at) for each in draft.send] == [("backfill", at(1))]


def test_a_job_that_allows_overlap_has_so_many_backfills_at_once() -> None:
    """Its other runs do not count."""
    spec = Spec("@every 1s", options=Options(overlap="allow"))
    keys = ("1", "2", "manual:x", f"backfill:{at(1)}")
    row = Row("a", 1, state(spec=spec, outstanding=keys), held=frozenset(keys))
    assert send(row, at(2), key_of(at(2)), 1, at(11)) == (_backfill.FULL, None)
    assert send(row, at(2), key_of(at(2)), 2, at(11))[0] == "sent"


def test_what_vanished_from_the_bus_is_in_nobodys_way() -> None:
    """It is recorded as lost, and the next look finds room."""
    row = Row("a", 1, state(outstanding=("1",)), held=frozenset())
    said, draft = send(row, at(1), key_of(at(1)), 10, at(11))
    assert said == _backfill.FULL
    assert draft is not None
    assert [run.status for run in draft.runs] == [Status.LOST]
    with pytest.raises(HeldUnknownError):
        send(Row("a", 1, row.data), at(1), key_of(at(1)), 10, at(11))


def test_the_same_time_is_sent_once() -> None:
    """Two who backfill at the same time are told the same, and one trigger is sent."""
    row = Row("a", 1, state(recent=(Recent(f"backfill:{at(1)}", at(10), "sent"),), outstanding=("1",)))
    assert send(row, at(1), key_of(at(1)), 10, at(11)) == ("sent", None)


@pytest.mark.parametrize("name", ["", "fixed", "a/b:c"])
def test_its_key_tells_the_time(name: str) -> None:
    """So that one which is lost is recorded as a backfill of that time."""
    assert parse_key(f"backfill:{key_of(at(1), name)}") == (Kind.BACKFILL, at(1))


def found(lines: list[Run], **more: Any) -> list[tuple[str, str, str]]:
    result = audit("a", state(**more), lines, (), T0, at(4), at(11))
    return [(each.found, each.status, each.detail) for each in result.stretches]


def test_an_audit_tells_what_was_backfilled() -> None:
    """Of what did not run it says so, of what ran that it ran again; why it did not run is still told."""
    lines = [line(number, Status.SUCCEEDED, Kind.BACKFILL, f"backfill:{at(number)}") for number in (3, 2)]
    assert found([*lines, *LINES])[1:3] == [
        ("ran again", "succeeded", "backfilled: succeeded"),
        ("backfilled", "succeeded", "missed: late"),
    ]


def test_a_backfill_accounts_for_nothing() -> None:
    """A time whose line is gone is unaccounted for, although it was backfilled; so it is while it is open."""
    lines = [line(number, Status.FAILED, Kind.BACKFILL, f"backfill:{at(number)}") for number in (3, 4)]
    job = {"outstanding": (str(at(4)),)}
    assert found([*lines, *LINES[2:]], **job)[1:] == [
        ("unaccounted", "", "backfilled: failed"),
        ("outstanding", "", "backfilled: failed"),
    ]
    dead = line(3, Status.DEAD, Kind.BACKFILL, f"backfill:{at(3)}")
    assert found([dead, *LINES])[1] == ("missed", "", "late")

"""`H`, hashed on a key."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from schedcore.errors import ScheduleError
from schedcore.schedules import parse_schedule

START = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=1)


def first(expression: str, key: str) -> datetime:
    at = parse_schedule(expression, key=key).next_after(START)
    assert at is not None
    return at


def test_all_slots_of_a_day_are_used() -> None:
    """`H H` reaches each of the 1,440 minutes, none much more often than another."""
    slots: dict[tuple[int, int], int] = {}
    for number in range(16_000):
        at = first("H H * * *", f"job-{number}")
        slots[at.hour, at.minute] = slots.get((at.hour, at.minute), 0) + 1
    assert len(slots) == 1_440
    assert max(slots.values()) < 35  # 11 on average


def test_the_hash_is_known() -> None:
    """The same key has the same times in each process, on each machine, in each release."""
    assert first("H H * * *", "billing") == datetime(2026, 1, 1, 14, 43, tzinfo=UTC)
    assert first("H H H * *", "billing").day == 27


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("H/15 * * * *", {15}),
        ("H(0-29)/10 * * * *", {10, 40}),
        ("H,H * * * *", {60}),
        ("H(10-10) * * * *", {60}),
    ],
)
def test_a_step_keeps_its_distance(expression: str, expected: set[int]) -> None:
    """`H/n` and `H(a-b)/n` are n apart, from an offset that the key decides."""
    for key in ("a", "b", "c", "d"):
        times = parse_schedule(expression, key=key).upcoming(START, 30)
        apart = {(later - earlier) // timedelta(minutes=1) for earlier, later in pairwise(times)}
        assert apart == expected


def test_a_range_bounds_the_hash() -> None:
    """`H(a-b)` stays in its range and reaches both ends."""
    minutes = {first("H(3-6) * * * *", str(number)).minute for number in range(200)}
    assert minutes == {3, 4, 5, 6}


def test_a_hashed_day_exists_in_each_month() -> None:
    """`H` as day of month is 1 to 28."""
    days = {first("0 0 H * *", str(number)).day for number in range(1_000)}
    assert days == set(range(1, 29))


def test_a_hashed_weekday_is_each_weekday() -> None:
    """`H` as day of week reaches all seven and counts Sunday once."""
    number = [first("0 0 * * H", str(number)).weekday() for number in range(2_100)]
    assert {number.count(weekday) > 220 for weekday in range(7)} == {True}
    assert max(number.count(weekday) for weekday in range(7)) < 400


def test_fields_are_hashed_independently() -> None:
    """Minute and hour, seconds and minutes do not follow from one another."""
    pairs = {(at.minute, at.second) for at in (first("H H * * * *", str(number)) for number in range(3_000))}
    assert len(pairs) > 1_800


def test_the_key_counts_only_with_an_h() -> None:
    """Schedules with `H` differ by key; others are one object whatever the key, names with an h included."""
    assert parse_schedule("H * * * *", key="a") != parse_schedule("H * * * *", key="b")
    assert parse_schedule("H * * * *", key="a") is parse_schedule("H * * * *", key="a")
    for line in ("0 0 * mar thu", "@hourly", "@every 1h", "2026-12-24T18:00:00Z"):
        schedule = parse_schedule(line, key="a")
        assert schedule is parse_schedule(line, key="b")
        assert (schedule.key, schedule.hashed) == ("", False)
    assert parse_schedule("0 h * * *", key="a").hashed


@pytest.mark.parametrize("line", ["H * * * *", "0 0 * * H", "0 H/3 * * *"])
def test_h_without_a_key_is_refused(line: str) -> None:
    """Without a key there is nothing to hash, and the error says what to pass."""
    with pytest.raises(ScheduleError, match="key="):
        parse_schedule(line)


@pytest.mark.parametrize(
    "line", ["H(9-3) * * * *", "H/0 * * * *", "H(0-60) * * * *", "H5 * * * *", "0-H * * * *"]
)
def test_a_malformed_h_is_refused(line: str) -> None:
    """Reversed, empty and impossible ranges of `H` are refused, naming the field."""
    with pytest.raises(ScheduleError, match="field 'minute'"):
        parse_schedule(line, key="job")

"""The ends of time, long stretches, and odd zones."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from schedcore.schedules import parse_schedule

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
EDGES = [
    FIRST,
    LAST,
    FIRST + timedelta(hours=30),
    LAST - timedelta(hours=30),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))),
]


@pytest.mark.parametrize(
    "tz", ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Etc/GMT+12", "America/New_York"]
)
@pytest.mark.parametrize(
    "line", ["* * * * *", "59 23 31 12 *", "0 0 1 1 *", "0 0 29 2 *", "* * * * * *", "@every 7s"]
)
def test_time_ends_without_an_error(line: str, tz: str) -> None:
    """Before the first and after the last possible instant there is nothing, and no overflow either."""
    schedule = parse_schedule(line, tz=tz)
    for when in EDGES:
        following, last = schedule.next_after(when), schedule.last_before(when)
        assert following is None or following > when
        assert last is None or last < when
        assert len(schedule.upcoming(when, 3)) <= 3
    assert schedule.next_after(LAST) is None
    assert schedule.last_before(FIRST) is None
    assert schedule.count(LAST, FIRST) == 0


def test_instants_beyond_all_datetimes_are_no_error() -> None:
    """Microseconds that no datetime can hold are before or after everything."""
    for line in ("* * * * *", "@every 1h", "2026-01-01T00:00Z"):
        schedule = parse_schedule(line, tz="Europe/Berlin")
        assert schedule.next_after_us(10**30) is None
        assert schedule.last_before_us(-(10**30)) is None
        assert schedule.next_after_us(-(10**30)) is not None
        assert schedule.last_before_us(10**30) is not None
        assert schedule.count_us(-(10**30), 10**30, 1) == 1


def test_years_of_seconds_are_counted_not_walked() -> None:
    """A quarter of a century of seconds takes no time, to the second, also where clocks change."""
    start, end = datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    for tz in ("UTC", "Europe/Berlin"):
        seconds = parse_schedule("* * * * * *", tz=tz)
        assert seconds.count(start, end) == (end - start) // timedelta(seconds=1)
        assert seconds.count(start, end, 1_000) == 1_000
        assert seconds.last_before(end) == end - timedelta(seconds=1)


def test_daily_times_are_one_a_day_over_decades() -> None:
    """Whatever the clocks do, a daily job is due once a day."""
    start, end = datetime(1990, 1, 1, 12, tzinfo=UTC), datetime(2030, 1, 1, 12, tzinfo=UTC)
    for tz in (
        "Europe/Berlin",
        "America/Santiago",
        "Africa/Casablanca",
        "Antarctica/Troll",
        "Australia/Lord_Howe",
    ):
        for line in ("0 0 * * *", "30 2 * * *", "15 1 * * *", "0 3 * * *"):
            assert parse_schedule(line, tz=tz).count(start, end) == (end - start).days, (tz, line)


def test_a_leap_day_on_a_monday_is_found_from_afar() -> None:
    """Rare days are found decades away, over a century that has no leap day too."""
    schedule = parse_schedule("0 0 29 2 */1", tz="Europe/Berlin")
    assert schedule.next_after(datetime(2096, 3, 1, tzinfo=UTC)) == datetime(2104, 2, 28, 23, tzinfo=UTC)
    assert schedule.last_before(datetime(2104, 2, 1, tzinfo=UTC)) == datetime(2096, 2, 28, 23, tzinfo=UTC)
    fifth = parse_schedule("0 0 * 2 1#5")
    assert fifth.next_after(datetime(2072, 3, 1, tzinfo=UTC)) == datetime(2112, 2, 29, tzinfo=UTC)
    assert fifth.last_before(datetime(2112, 2, 29, tzinfo=UTC)) == datetime(2072, 2, 29, tzinfo=UTC)
    assert fifth.count(datetime(2000, 1, 1, tzinfo=UTC), datetime(2400, 1, 1, tzinfo=UTC)) == 15


def test_a_search_that_begins_in_a_fold_sees_its_second_pass() -> None:
    """A wild line fires in the second pass although no wall clock shows its next match for a year."""
    wild = parse_schedule("*/30 1 2 11 *", tz="America/New_York")
    first, second = datetime(2025, 11, 2, 5, 30, tzinfo=UTC), datetime(2025, 11, 2, 6, tzinfo=UTC)
    assert wild.next_after(first) == second
    assert wild.last_before(second) == first
    fixed = parse_schedule("30 1 2 11 *", tz="America/New_York")
    assert fixed.next_after(first) == datetime(2026, 11, 2, 6, 30, tzinfo=UTC)
    assert fixed.last_before(second) == first


def test_local_mean_time_has_seconds() -> None:
    """Where the offset has seconds, minutes begin at odd seconds of UTC."""
    schedule = parse_schedule("0 * * * *", tz="Europe/Berlin")
    assert schedule.next_after(datetime(1850, 6, 1, tzinfo=UTC)) == datetime(1850, 6, 1, 0, 6, 32, tzinfo=UTC)


def test_a_stretch_of_a_week_is_seen() -> None:
    """A summer time of one week, such as Brazil's north-east had in 2000, is not overlooked."""
    schedule = parse_schedule("0 12 * * 1", tz="America/Recife")
    mondays = schedule.upcoming(datetime(2000, 10, 1, tzinfo=UTC), 3)
    assert [at.hour for at in mondays] == [15, 14, 15]


def test_a_fifth_weekday_that_a_month_lacks_is_no_day_of_the_next() -> None:
    """Beside another day, a weekday's fifth occurrence adds nothing to a February of four weeks."""
    schedule = parse_schedule("0 0 13 2 1#5,0#5")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert schedule.upcoming(start, 2) == [
        datetime(2026, 2, 13, tzinfo=UTC),
        datetime(2027, 2, 13, tzinfo=UTC),
    ]


def test_sunday_ends_a_week_as_seven() -> None:
    """`a-7/n` counts on from a to the Sunday at the week's end, for all a and n."""
    week = datetime(2026, 1, 4, tzinfo=UTC)  # a Sunday
    for first in range(7):
        for step in range(1, 9):
            found = parse_schedule(f"0 0 * * {first}-7/{step}").upcoming(week - timedelta(seconds=1), 7)
            expected = {number % 7 for number in range(first, 8, step)}
            assert {at.isoweekday() % 7 for at in found} == expected, (first, step)

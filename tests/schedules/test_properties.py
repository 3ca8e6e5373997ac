"""What holds for any schedule, tried on random ones."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.schedules import brute

from schedcore.errors import ScheduleError
from schedcore.schedules import Schedule, parse_schedule

quick = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
walking = settings(quick, max_examples=120)

# The drawn bounds of hypothesis are naive.
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
PRESENT = st.datetimes(datetime(2024, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
ZONES = st.sampled_from(list(brute.CHANGES))
ANY_LINE = st.one_of(brute.LINES, brute.DENSE_LINES, brute.SIX_FIELDS)
EVERY = st.integers(100_000, 10**10).map(lambda us: f"@every {us}us")


# 28 years hold all kinds of year.
MONTH_ENDS = [datetime(2000, 1, 1, tzinfo=UTC) + timedelta(n) for n in range(28 * 365 + 7)]
MONTH_ENDS = [at for at in MONTH_ENDS if at.day > 26]


def parsed(line: str, tz: str = "UTC") -> Schedule:
    try:
        return parse_schedule(line, tz=tz)
    except ScheduleError as error:
        assume("no year has such a day" not in str(error))
        raise


@walking
@given(
    st.one_of(brute.DENSE_LINES, brute.SIX_FIELDS),
    brute.MOMENTS,
    st.integers(-2000, 300),
    st.integers(1, 1200),
)
def test_times_are_those_that_a_walk_finds(
    line: str, moment: tuple[str, str], before: int, span: int
) -> None:
    """Around changes of the clock, next, last and count agree with a walk from minute to minute."""
    tz, change = moment
    after = datetime.fromisoformat(change) + timedelta(minutes=before, seconds=before % 60)
    until = after + timedelta(minutes=span)
    schedule = parsed(line, tz)
    expected = list(brute.walk(line, tz, after, until))
    assert [at for at in schedule.upcoming(after, len(expected) + 1) if at <= until] == expected
    assert schedule.count(after, until) == len(expected)
    last = schedule.last_before(until + timedelta(microseconds=1))
    assert [at for at in [last] if at is not None and at > after] == expected[-1:]


@walking
@given(
    brute.fields("day"),
    brute.fields("month"),
    brute.fields("week"),
    st.integers(1990, 2110),
)
def test_days_are_those_that_a_walk_finds(day: str, month: str, week: str, year: int) -> None:
    """Over two years, the days are those that the calendar gives, forwards, backwards and counted."""
    line = f"0 0 {day} {month} {week}"
    start, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 2, 1, 1, tzinfo=UTC)
    words = line.lower().split()
    expected = [
        at for at in (start + timedelta(n) for n in range((end - start).days)) if brute.matches(words, at)
    ]
    schedule = parsed(line)
    before = start - timedelta(seconds=1)
    assert [at for at in schedule.upcoming(before, len(expected) + 1) if at < end] == expected
    assert schedule.count(before, end - timedelta(seconds=1)) == len(expected)
    if expected:
        assert schedule.last_before(end) == expected[-1]


@quick
@given(
    st.sampled_from(["29", "30", "31", "30,31", "31W", "29-31/2", "30W"]),
    brute.terms("month"),
    st.sampled_from(["*", "?", "*/7"]),
)
def test_only_what_never_matches_is_refused(day: str, month: str, week: str) -> None:
    """A line is refused exactly if no kind of year has such a day."""
    words = ["0", "0", day.lower(), month, week]
    possible = any(brute.matches(words, at) for at in MONTH_ENDS)
    try:
        parse_schedule(f"0 0 {day} {month} {week}")
    except ScheduleError:
        assert not possible
    else:
        assert possible


@quick
@given(ANY_LINE, ZONES, INSTANTS)
def test_times_rise_and_each_is_the_last_before_the_next(line: str, tz: str, after: datetime) -> None:
    """Times rise strictly, and `last_before` undoes `next_after`."""
    schedule = parsed(line, tz)
    times = schedule.upcoming(after, 8)
    assert all(at > after for at in times)
    for earlier, later in pairwise(times):
        assert later > earlier
        assert schedule.last_before(later) == earlier
    if times:
        just_before = schedule.last_before(times[0])
        assert just_before is None or just_before <= after


@quick
@given(ANY_LINE, brute.MOMENTS, st.integers(-2_000, 200), PRESENT)
def test_no_two_times_are_closer_than_the_shortest_gap(
    line: str, moment: tuple[str, str], before: int, present: datetime
) -> None:
    """Around a change of the clock, and anywhere else, two times are at least the shortest gap apart."""
    tz, change = moment
    schedule = parsed(line, tz)
    gap = schedule.shortest_gap()
    assert gap is not None
    for after in (datetime.fromisoformat(change) + timedelta(minutes=before), present):
        times = schedule.upcoming(after, 60) if after.year >= 2024 else []
        assert all(later - earlier >= gap for earlier, later in pairwise(times))


@quick
@given(st.one_of(ANY_LINE, EVERY), ZONES, INSTANTS, st.integers(0, 60))
def test_count_is_what_walking_counts(line: str, tz: str, after: datetime, limit: int) -> None:
    """`count` of (after, until] is the number of steps from one to the other, and respects its limit."""
    schedule = parsed(line, tz)
    times = schedule.upcoming(after, 50)
    assume(times)
    for position in (0, len(times) // 2, len(times) - 1):
        until = times[position]
        assert schedule.count(after, until) == position + 1
        assert schedule.count(after, until - timedelta(microseconds=1)) == position
        assert schedule.count(after, until, limit) == min(position + 1, limit)


@walking
@given(st.one_of(ANY_LINE, EVERY), ZONES, INSTANTS, INSTANTS, INSTANTS)
def test_counts_of_neighbouring_stretches_add_up(
    line: str, tz: str, one: datetime, two: datetime, three: datetime
) -> None:
    """Over decades too, what is counted in two parts is what is counted at once."""
    schedule = parsed(line, tz)
    first, middle, last = sorted((one, two, three))
    assert schedule.count(first, middle) + schedule.count(middle, last) == schedule.count(first, last)


@quick
@given(st.one_of(ANY_LINE, EVERY), ZONES)
def test_a_schedule_is_made_again_from_its_text(line: str, tz: str) -> None:
    """Expression, zone and key make an equal schedule, and while the first lives the very same."""
    schedule = parsed(f"  {line}\t", tz)
    assert parse_schedule(schedule.expression, tz=schedule.tz, key=schedule.key) is schedule


ALPHABET = st.sampled_from(
    [*list("0123456789*/,-?#LWHRhlw@ \t\n.+:TZ()monfriµ\x00"), "@every ", " * * *", "٣", "2026-"]
)


@quick
@given(
    st.one_of(st.text(), st.lists(ALPHABET, max_size=25).map("".join)),
    st.one_of(st.just("UTC"), st.text(max_size=20)),
)
def test_no_text_raises_anything_but_our_error(text: str, tz: str) -> None:
    """Whatever the text, and whatever the zone, it is a schedule or a `ScheduleError`."""
    try:
        schedule = parse_schedule(text, tz=tz, key="job")
    except ScheduleError:
        pass
    else:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        schedule.next_after(now)
        schedule.last_before(now)


@quick
@given(ZONES, st.datetimes(datetime(1985, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001
def test_a_local_one_off_is_the_first_instant_that_shows_it(tz: str, wall: datetime) -> None:
    """A time without an offset is its first pass, or the end of the gap that it lies in."""
    at = parse_schedule(wall.isoformat(), tz=tz).next_after(datetime.min.replace(tzinfo=UTC))
    assert at is not None
    zone = ZoneInfo(tz)
    shown = at.astimezone(zone)
    if shown.replace(tzinfo=None) == wall:
        assert not shown.fold
    else:
        assert shown.replace(tzinfo=None) > wall
        assert (at - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None) < wall

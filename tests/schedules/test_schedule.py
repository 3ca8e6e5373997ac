"""What a `Schedule` is: a value, of a cron line, a period or a single time, in a zone."""

import copy
import gc
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from schedcore import schedules
from schedcore.errors import ScheduleError
from schedcore.schedules import parse_duration, parse_schedule

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_croniter_is_imported_when_something_is_parsed() -> None:
    """Importing the module costs neither croniter nor dateutil."""
    program = (
        "import sys, schedcore.schedules as s; before = {'croniter', 'dateutil'} & set(sys.modules);"
        "s.parse_schedule('* * * * *'); print(before, 'croniter' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set() True"


def test_equal_schedules_are_one_object() -> None:
    """The same text in the same zone is parsed once, blanks aside; another zone is another schedule."""
    schedule = parse_schedule("*/5 * * * *")
    assert parse_schedule(" */5  *\t* * *\n") is schedule
    assert parse_schedule("*/5 * * * *", tz="Europe/Berlin") != schedule
    assert parse_schedule("0-59/5 * * * *") != schedule


def test_what_is_in_use_stays_one_object() -> None:
    """However many others come by, a schedule in use is found again, and those out of use are gone."""
    schedule = parse_schedule("7 7 7 7 *")
    for number in range(4_000):
        parse_schedule(f"@every {number + 1000}s")
    gc.collect()
    assert parse_schedule("7 7 7 7 *") is schedule
    assert len(schedules._in_use) < 3_000


def test_a_schedule_is_a_value() -> None:
    """It is hashable, immutable, pickled and copied by its text, and says what it is."""
    schedule = parse_schedule("0 9 * * mon-fri", tz="Europe/Berlin")
    assert pickle.loads(pickle.dumps(schedule)) is schedule
    assert copy.deepcopy({schedule: 1}) == {schedule: 1}
    assert repr(schedule) == "Schedule('0 9 * * mon-fri', tz='Europe/Berlin')"
    with pytest.raises(AttributeError):
        schedule.tz = "UTC"


@pytest.mark.parametrize(
    ("line", "wild"),
    [
        ("* 2 * * *", True),
        ("0 */2 * * *", True),
        ("@hourly", True),
        ("@daily", False),
        ("* 0 2 * * *", False),
        ("0 0-23 * * *", False),
    ],
)
def test_a_line_is_wild_by_its_minute_or_hour(line: str, wild: bool) -> None:
    """Only a leading star of minute or hour makes a line wild."""
    assert parse_schedule(line).wild is wild


def test_aliases_are_their_lines() -> None:
    """Each alias, in any case, has the times of the line that it stands for."""
    lines = {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
    }
    lines |= {"@daily": "0 0 * * *", "@Midnight": "0 0 * * *", "@HOURLY": "0 * * * *"}
    for alias, line in lines.items():
        found = parse_schedule(alias, tz="Asia/Kolkata").upcoming(NOW, 5)
        assert found == parse_schedule(line, tz="Asia/Kolkata").upcoming(NOW, 5)


def test_every_counts_from_the_epoch() -> None:
    """`@every 24h` is midnight UTC in any zone, for all replicas alike."""
    schedule = parse_schedule("@every 24h", tz="Asia/Tokyo")
    assert schedule.next_after(NOW) == datetime(2026, 1, 2, tzinfo=UTC)
    assert schedule.last_before(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2025, 12, 31, tzinfo=UTC)
    assert schedule.shortest_gap() == timedelta(hours=24)
    assert schedule.count(NOW, NOW + timedelta(days=10_000), 100) == 100


DURATIONS = {
    "1h30m": 5_400_000_000,
    "1.5s": 1_500_000,
    "+.5m": 30_000_000,
    "2us": 2,
    "2\u00b5s": 2,  # both of Unicode's mus
    "2\u03bcs": 2,
    "1.h": 3_600_000_000,
    "3000ns": 3,
    "0": 0,
    "0s": 0,
    "1m1m": 120_000_000,
    "0.1ms": 100,
}


@pytest.mark.parametrize(("text", "microseconds"), DURATIONS.items())
def test_durations_are_read_as_go_reads_them(text: str, microseconds: int) -> None:
    """All of Go's units, fractions and sums, exactly."""
    assert parse_duration(text) == timedelta(microseconds=microseconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "-1s",
        "1 s",
        "1d",
        "1e3s",
        ".s",
        "1500ns",
        "0.0000000001s",
        "300000000h",
        "9" * 200 + "h",
        None,
    ],
)
def test_other_durations_are_refused(text: str) -> None:
    """Unknown units, signs, blanks, parts of microseconds and more than Go can hold are refused."""
    with pytest.raises(ScheduleError) as caught:
        parse_duration(text)
    assert caught.value.remedy


def test_a_period_has_a_least_length() -> None:
    """100 ms are accepted, less is not."""
    assert parse_schedule("@every 100ms").shortest_gap() == timedelta(milliseconds=100)
    with pytest.raises(ScheduleError, match="100 ms"):
        parse_schedule("@every 99ms")


def test_a_one_off_is_due_once() -> None:
    """A single time is next before it, last after it, counted once, and has no distance to another."""
    at = datetime(2026, 12, 24, 18, tzinfo=timezone(timedelta(hours=1)))
    schedule = parse_schedule(at)
    moment = timedelta(microseconds=1)
    assert schedule is parse_schedule("2026-12-24T18:00:00+01:00") is parse_schedule("2026-12-24 17:00Z")
    assert schedule.expression == "2026-12-24T17:00:00Z"
    assert schedule.next_after(at - moment) == at
    assert schedule.next_after(at) is None
    assert schedule.last_before(at) is None
    assert schedule.last_before(at + moment) == at
    assert [schedule.count(at - moment, at), schedule.count(at, at + moment), schedule.count(NOW, at, 0)] == [
        1,
        0,
        0,
    ]
    assert schedule.upcoming(NOW, 3) == [at]
    assert schedule.shortest_gap() is None
    assert not schedule.wild


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-07-01T12:00:00", "2026-07-01T10:00:00Z"),
        ("2026-10-25T02:30", "2026-10-25T00:30:00Z"),  # twice: the first
        ("2026-03-29T02:30:00.5", "2026-03-29T01:00:00Z"),  # never: the end of the gap
        ("2026-07-01T12:00:00.000001", "2026-07-01T10:00:00.000001Z"),
    ],
)
def test_a_one_off_without_offset_is_local(text: str, utc: str) -> None:
    """ISO text without an offset is read in the schedule's zone, and kept as the instant that it is."""
    schedule = parse_schedule(text, tz="Europe/Berlin")
    assert schedule.expression == utc
    assert parse_schedule(utc, tz="Europe/Berlin") is schedule


@pytest.mark.parametrize(
    "wrong",
    [
        "2026-12-24",
        "2026-13-01T00:00Z",
        "2026-12-24T25:00Z",
        "2026-12-24T18:00+99:00",
        "2026-12-24T18:00:00.1234567Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        datetime(2026, 1, 1),  # noqa: DTZ001
        5,
        None,
        b"* * * * *",
        ["@daily"],
    ],
)
def test_no_instant_and_no_text_is_refused(wrong: object) -> None:
    """Malformed and unreachable times, naive datetimes and other types are refused with a remedy."""
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(wrong, tz="Europe/Berlin")
    assert caught.value.remedy


def test_instants_need_a_zone() -> None:
    """A naive datetime never is an instant."""
    schedule = parse_schedule("@daily")
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    for ask in (schedule.next_after, schedule.last_before, lambda when: schedule.count(when, NOW)):
        with pytest.raises(
            ScheduleError, match=r"^time datetime.*: an instant is an aware datetime .write e\.g"
        ):
            ask(naive)
    with pytest.raises(ScheduleError, match=r"^time '2026-01-01': an instant is an aware datetime"):
        schedule.next_after("2026-01-01")


def test_what_was_meant_as_a_time_is_named_as_such() -> None:
    """A date without a time of day, and a zone that is no text, are refused for what they are."""
    with pytest.raises(ScheduleError, match=r"^schedule '2026-12-24': a date without a time of day"):
        parse_schedule("2026-12-24")
    with pytest.raises(ScheduleError, match=r"^tz None: NoneType is no text .pass a name, such as 'Europe"):
        parse_schedule("@daily", tz=None)
    with pytest.raises(ScheduleError, match=r"^schedule 'tomorrow': 1 field instead of .* e\.g\. '\*/5"):
        parse_schedule("tomorrow")


@pytest.mark.parametrize(
    ("tz", "near"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("utc", "UTC"),
        ("Europe/Belin", "Europe/Berlin"),
    ]
    + [
        (name, "Europe/Berlin")
        for name in ("", "..", "../UTC/..", "/etc/localtime", "localtime", "posixrules", "x" * 5000, "a\0b")
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest(tz: str, near: str) -> None:
    """A zone is an IANA name in its own spelling, never a path and never the host's."""
    with pytest.raises(ScheduleError, match=r"^time zone '.*: ") as caught:
        parse_schedule("* * * * *", tz=tz)
    assert near in caught.value.remedy or not tz.isalpha()


def test_the_hosts_zone_does_not_matter() -> None:
    """The default is UTC whatever TZ says."""
    program = (
        "import os, time; os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()\n"
        "from datetime import UTC, datetime; from schedcore.schedules import parse_schedule as parse\n"
        "now = datetime(2026, 1, 1, 12, tzinfo=UTC)\n"
        "print(parse('0 0 * * *').next_after(now), parse('2026-07-01T00:00').expression)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2026-01-02 00:00:00+00:00 2026-07-01T00:00:00Z"


@pytest.mark.parametrize(
    ("line", "field", "hint"),
    [
        ("0 22-6 * * *", "hour", "22-23,0-6"),
        ("0 0 * * sat-sun", "day of week", "6-7"),
        ("0 0 1,15W * *", "day of month", "second job"),
        ("0 0 R * *", "day of month", "H"),
        ("0 0 1 1 * * 2026", "", "until="),
        ("0 0 * * L", "day of week", "5L"),
        ("@reboot", "", "starts"),
        ("0 0 29 2W *", "month", "day of month"),
        ("0 0 30W 2 *", "day of month", "months"),
    ],
)
def test_an_error_names_field_and_remedy(line: str, field: str, hint: str) -> None:
    """What cannot be understood is answered with what to write."""
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(line)
    assert (caught.value.expression, caught.value.field) == (line, field)
    assert hint in caught.value.remedy


@pytest.mark.parametrize(
    ("line", "tz", "gap"),
    [
        ("* * * * *", "Europe/Berlin", timedelta(minutes=1)),
        ("*/7 * * * * *", "UTC", timedelta(seconds=4)),
        ("0 9,17 * * *", "UTC", timedelta(hours=8)),
        ("0,50 1,2 * * *", "UTC", timedelta(minutes=10)),
        ("0,50 0,1 * * * *", "UTC", timedelta(seconds=10)),
        ("0 0 * * 0", "UTC", timedelta(days=7)),
        ("0 0 * * 0", "Europe/Berlin", timedelta(days=7, hours=-1)),
        ("0 0 1 * *", "UTC", timedelta(days=28)),
        ("30 2 * * *", "Europe/Berlin", timedelta(hours=23, minutes=30)),  # 3:00 and then 2:30
        ("30 12 * * *", "Europe/Berlin", timedelta(hours=23)),
        ("45 * * * *", "Australia/Lord_Howe", timedelta(minutes=30)),  # both passes
        ("59 1,2 * * *", "Europe/Berlin", timedelta(minutes=1)),  # 1:59, and 2:59 moved to 3:00
    ],
)
def test_the_shortest_gap_regards_the_clocks(line: str, tz: str, gap: timedelta) -> None:
    """The least distance of two times is that of the day on which clocks change, if that is less."""
    assert parse_schedule(line, tz=tz).shortest_gap() == gap

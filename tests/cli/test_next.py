"""`schedcore next`: which times it shows, and what it says about daylight saving."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schedcore._cli_main import invoke
from schedcore._cli_next import instant, oddity
from schedcore.errors import ConfigurationError
from schedcore.schedules import parse_schedule


@pytest.mark.parametrize(
    ("expression", "at", "expected"),
    [
        (
            "30 2 * * *",
            "2026-03-29T03:00+02:00",
            "clocks go from 02:00 to 03:00: 02:30 does not exist, shifted to here",
        ),
        (
            "15,45 2 * * *",
            "2026-03-29T03:00+02:00",
            "clocks go from 02:00 to 03:00: 02:15, 02:45 do not exist, shifted to here",
        ),
        (
            "*/20 * * * *",
            "2026-03-29T03:00+02:00",
            "clocks go from 02:00 to 03:00: 3 times in between left out",
        ),
        ("*/20 * * * *", "2026-03-29T03:20+02:00", ""),
        ("10 * * * *", "2026-03-29T03:10+02:00", "clocks go from 02:00 to 03:00: 1 time in between left out"),
        ("0 3 * * *", "2026-03-29T03:00+02:00", ""),
        ("30 2 * * *", "2026-03-28T02:30+01:00", ""),
        ("30 2 * * *", "2026-03-30T02:30+02:00", ""),
        ("30 2 * * *", "2026-10-25T02:30+02:00", "02:30 exists twice: this is the first, the only one used"),
        ("*/30 * * * *", "2026-10-25T02:30+02:00", "02:30 exists twice: this is the first"),
        ("*/30 * * * *", "2026-10-25T02:30+01:00", "02:30 exists twice: this is the second"),
        ("@every 1h", "2026-10-25T02:00+01:00", "02:00 exists twice: this is the second"),
        ("@every 1h", "2026-03-29T03:00+02:00", ""),
        ("2026-10-25T02:30+02:00", "2026-10-25T02:30+02:00", "02:30 exists twice: this is the first"),
    ],
)
def test_daylight_saving_is_marked(expression: str, at: str, expected: str) -> None:
    """A time that is shifted, left out or shown twice says so, and no other time says anything."""
    assert oddity(parse_schedule(expression, tz="Europe/Berlin"), datetime.fromisoformat(at)) == expected


def test_a_day_without_a_midnight_is_marked() -> None:
    """A gap at the day's beginning shifts a daily job, and is told with that zone's own clocks."""
    schedule = parse_schedule("@daily", tz="America/Santiago")
    (at,) = schedule.upcoming(datetime(2026, 9, 5, 12, tzinfo=UTC), 1)
    assert oddity(schedule, at) == "clocks go from 00:00 to 01:00: 00:00 does not exist, shifted to here"


def test_a_day_that_was_left_out_is_marked() -> None:
    """Over a jump too long for daylight saving nothing is shifted: its times are left out, which is told."""
    schedule = parse_schedule("0 12 * * *", tz="Pacific/Apia")
    (at,) = schedule.upcoming(datetime(2011, 12, 30, tzinfo=UTC), 1)
    said = "clocks go from 2011-12-30 00:00 to 2011-12-31 00:00: 1 time in between left out"
    assert oddity(schedule, at) == said


def test_an_ordinary_year_in_utc_has_no_oddities() -> None:
    """Nothing is ever marked in a zone that changes no clocks."""
    schedule = parse_schedule("30 */6 * * *")
    assert {oddity(schedule, at) for at in schedule.upcoming(datetime(2026, 1, 1, tzinfo=UTC), 1500)} == {""}


def test_an_instant_is_read_in_the_zone() -> None:
    """--after takes a date, a local time or one with an offset; a cron line is no instant."""
    assert instant("2026-03-28", "Europe/Berlin") == datetime(2026, 3, 27, 23, tzinfo=UTC)
    assert instant("2026-03-28 12:00", "Europe/Berlin") == datetime(2026, 3, 28, 11, tzinfo=UTC)
    assert instant("2026-03-28T12:00+05:00", "Europe/Berlin") == datetime(2026, 3, 28, 7, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="no instant"):
        instant("0 0 * * *", "UTC")


def test_an_expression_shows_local_time_and_utc(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line has the local time with its offset, the zone, UTC, and what is odd about it."""
    assert invoke(["next", "30 2 * * *", "--tz", "Europe/Berlin", "--after", "2026-03-28", "-n", "2"]) == 0
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["LOCAL", "TIME", "ZONE", "UTC", "NOTE"]
    assert first == "Sat 2026-03-28 02:30:00+01:00  Europe/Berlin  2026-03-28 01:30:00Z"
    assert second.startswith("Sun 2026-03-29 03:00:00+02:00  Europe/Berlin  2026-03-29 01:00:00Z  clocks go")


def test_an_expression_needs_no_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    """Words that the shell has split are one expression again."""
    assert invoke(["next", "@every", "1h", "--after", "2026-01-01", "-n", "1", "--json"]) == 0
    (due,) = json.loads(capsys.readouterr().out)
    assert (due["utc"], due["schedule"]) == ("2026-01-01T01:00:00+00:00", "@every 1h")


def test_the_zone_is_utc_and_not_the_hosts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --tz times are UTC, whatever TZ says."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert invoke(["next", "0 12 * * *", "--after", "2026-01-01", "-n", "1"]) == 0
    assert "2026-01-01 12:00:00+00:00  UTC   2026-01-01 12:00:00Z" in capsys.readouterr().out


def test_what_is_hashed_depends_on_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    """--key is the job's name that H is hashed on."""
    shown = []
    for key in ("a", "b", "a"):
        assert invoke(["next", "H H * * *", "--key", key, "--after", "2026-01-01", "-n", "1"]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[2] != shown[1]


def test_nothing_more_to_come_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A one-off that has passed is no error; it says that nothing is due."""
    assert invoke(["next", "2020-01-01T00:00"]) == 0
    assert "nothing is due any more" in capsys.readouterr().err


def test_a_crontab_is_shown_in_order_of_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines of a crontab come in order of their times, with job and command; bad ones are reported."""
    file = tmp_path / "tab"
    file.write_text("0 9 * * * late\nCRON_TZ=Europe/Berlin\n0 8 * * * early\n61 * * * * never\n")
    assert invoke(["next", "--crontab", str(file), "--after", "2026-01-01", "--json"]) == 2
    told = capsys.readouterr()
    shown = [(due["command"], due["tz"], due["utc"]) for due in json.loads(told.out)]
    assert shown == [
        ("early", "Europe/Berlin", "2026-01-01T07:00:00+00:00"),
        ("late", "UTC", "2026-01-01T09:00:00+00:00"),
    ]
    assert f"{file}:4: " in told.err
    assert invoke(["next", "--crontab", str(file), "--skip-invalid"]) == 0


def test_reboot_lines_are_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line with @reboot is shown as what follows each start."""
    file = tmp_path / "tab"
    file.write_text("@Reboot warm-up\n")
    assert invoke(["next", "--crontab", str(file), "--json"]) == 0
    (due,) = json.loads(capsys.readouterr().out)
    assert due["note"] == "@reboot: once after each start of `run`"


@pytest.mark.parametrize("text", ["", "\n# a comment\nA=1\n", "61 * * * * x\n"])
def test_a_crontab_without_commands_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Where no line is a command there is nothing to show, which is not that all times have passed."""
    (tmp_path / "tab").write_text(text)
    assert invoke(["next", "--crontab", str(tmp_path / "tab"), "--skip-invalid"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[-1] == f"schedcore: {tmp_path}/tab holds no command that can be run"


def test_a_long_command_is_shortened_in_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The beginning of a command is enough to know it by; JSON has all of it."""
    command = "echo " + "x" * 5000
    (tmp_path / "tab").write_text(f"@daily {command}\n")
    assert invoke(["next", "--crontab", str(tmp_path / "tab")]) == 0
    assert capsys.readouterr().out.endswith(command[:197] + "...\n")
    assert invoke(["next", "--crontab", str(tmp_path / "tab"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["command"] == command


def test_control_characters_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command's escape sequences and bytes that are no text are replaced."""
    file = tmp_path / "tab"
    file.write_bytes(b"0 9 * * * echo \x1b[31m\xff red\n")
    assert invoke(["next", "--crontab", str(file)]) == 0
    assert "echo ?[31m? red" in capsys.readouterr().out

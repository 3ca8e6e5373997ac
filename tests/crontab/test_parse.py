"""Crontabs: what Debian's cron makes of a file we make of it too, and what it cannot use is named."""

import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schedcore import _crontab
from schedcore._accounts import Account, current_user
from schedcore._crontab import CrontabLine, is_system_crontab, load_crontab, parse_crontab, stable_name
from schedcore.errors import ConfigurationError, CrontabError, ScheduleError
from schedcore.schedules import parse_schedule

DATA = Path(__file__).parents[1] / "data/crontab"
DEBIAN = json.loads((DATA / "debian.json").read_text())
SOON = "2030-01-01T00:00:00+00:00"
VALID_NAME = re.compile(r"[A-Za-z0-9._:/-]{1,200}")


def anybody(name: str) -> None:
    """Let a line be for whomever it names."""


def parse(content: str | bytes, **options: Any) -> tuple[list[CrontabLine], list[CrontabError]]:
    return parse_crontab(content, **{"file": "tab", "user": "me", **options})


def only(content: str | bytes, **options: Any) -> CrontabLine:
    lines, errors = parse(content, **options)
    assert errors == []
    (line,) = lines
    return line


def refused(content: str | bytes, **options: Any) -> str:
    lines, errors = parse(content, **options)
    assert lines == []
    (error,) = errors
    return str(error)


def facts(line: CrontabLine) -> dict[str, Any]:
    told = ("name", "line", "schedule", "user", "command")
    return {name: getattr(line, name) for name in told} | {"environment": dict(line.environment)}


@pytest.mark.parametrize("file", sorted(DEBIAN))
def test_debians_own_files_are_understood_as_they_are(file: str) -> None:
    """Of each file that Debian's packages install every line is a job, with a name that stays."""
    content = (DATA / file).read_bytes()
    lines, errors = parse(content, system=True, look_up=anybody, at_start=SOON)
    assert errors == []
    assert [facts(line) for line in lines] == DEBIAN[file]


def test_no_file_of_debian_is_left_out() -> None:
    """What is known of Debian's files covers each of them, and none of them is empty."""
    assert {str(path.relative_to(DATA)) for path in DATA.glob("etc/**/*") if path.is_file()} == set(DEBIAN)
    assert all(DEBIAN.values())


def test_comments_and_blank_lines_are_nothing() -> None:
    """A line of blanks, or one whose first sign after blanks is #, is passed over; elsewhere # is a sign."""
    assert parse("\n  \t\n# a\n \t # * * * * * b\n") == ([], [])
    assert only("* * * * * echo a # b").command == "echo a # b"


def test_a_line_tells_all_about_itself() -> None:
    """Blanks before a line and between its fields count for nothing, blanks in the command do."""
    line = only("A=1\n \t5\t 4 * *   sun  echo  'a  b' \nB=2\n", file="/x/tab", user="joe", tz="Asia/Tokyo")
    expected = CrontabLine(
        name=line.name,
        schedule="5 4 * * sun",
        tz="Asia/Tokyo",
        user="joe",
        command="echo  'a  b' ",
        environment={"A": "1"},
        file="/x/tab",
        line=2,
        source="5\t 4 * *   sun  echo  'a  b' ",
    )
    assert line == expected
    assert len({line, expected}) == 1


@pytest.mark.parametrize(
    ("written", "name", "value"),
    [
        ("A=b", "A", "b"),
        ("  A \t=\t b c  ", "A", "b c"),
        ("A=", "A", ""),
        ('A=""', "A", ""),
        ('A = "  b  "', "A", "  b  "),
        ("A='b \"c\" d'  ", "A", 'b "c" d'),
        ('"A"=b', "A", "b"),
        ("'A' = 'b'", "A", "b"),
        ("A=b#c # d", "A", "b#c # d"),
        ("A=$HOME/bin:~/x", "A", "$HOME/bin:~/x"),
        ("A=b=c", "A", "b=c"),
        ("A=don't", "A", "don't"),
        ("A=\\%", "A", "\\%"),
        ("A=Zürich", "A", "Zürich"),
    ],
)
def test_variables_are_taken_as_written(written: str, name: str, value: str) -> None:
    """Blanks around sign and value go, one pair of quotes too; nothing is expanded, nothing is a comment."""
    assert dict(only(f"{written}\n@daily x").environment) == {name: value}


def test_variables_hold_for_the_lines_below() -> None:
    """Each line has the variables above it, the last value of each, and nobody can change them later."""
    lines, errors = parse("@daily a\nA=1\n@daily b\nB=2\nA=3\n@daily c")
    assert errors == []
    assert [dict(line.environment) for line in lines] == [{}, {"A": "1"}, {"A": "3", "B": "2"}]
    with pytest.raises(TypeError):
        lines[0].environment["A"] = "9"


@pytest.mark.parametrize("word", ["0=1", "@a=b", "*=1", "5 * * * * a=b"])
def test_what_begins_like_a_schedule_is_none_of_the_variables(word: str) -> None:
    """An equals sign in a command, or after a digit, a star or an at, makes no variable."""
    lines, _ = parse(f"{word}\n@daily x")
    assert lines[-1].environment == {}


def test_cron_tz_is_the_zone_of_the_lines_below() -> None:
    """CRON_TZ counts from its line on; an empty one restores the default; TZ is for the command only."""
    text = "@daily a\nCRON_TZ=Europe/Berlin\n@daily b\nTZ=Asia/Tokyo\n@daily c\nCRON_TZ=\n@daily d"
    lines, errors = parse(text, tz="America/Lima")
    assert errors == []
    assert [line.tz for line in lines] == ["America/Lima", "Europe/Berlin", "Europe/Berlin", "America/Lima"]
    assert lines[2].environment == {"CRON_TZ": "Europe/Berlin", "TZ": "Asia/Tokyo"}


def test_the_default_zone_is_utc() -> None:
    """Without CRON_TZ a line is in UTC, whatever zone the host is in."""
    assert only("@daily a").tz == "UTC"


def test_an_unknown_zone_stops_the_lines_below_it() -> None:
    """No line runs in another zone than the one it was given; the next good CRON_TZ ends that."""
    lines, errors = parse("@daily a\nCRON_TZ=Mars/Base\n@daily b\nCRON_TZ=UTC\n@daily c")
    assert [line.line for line in lines] == [1, 5]
    assert [error.line for error in errors] == [2, 3]
    assert "Mars/Base" in errors[0].reason
    assert "line 2" in errors[1].reason


# The second, third and fourth as Debian's cron 3.0pl1-162 was seen to run them; the others follow its manual.
PERCENT = [
    (r"date +\%d", "date +%d", ""),
    (r"printf '\%s' 'a\\\\b\%c'", r"printf '%s' 'a\\b%c'", ""),
    (r"cat%one%two\%three\\four%", "cat", "one\ntwo%three\\\\four\n"),
    (r"printf '\\%s' q", "printf '\\", "s' q\n"),
    (r"test \! -d /x", r"test \! -d /x", ""),
    (
        'mail -s "It\'s 10pm" joe%Joe,%%Where are your kids?%',
        'mail -s "It\'s 10pm" joe',
        "Joe,\n\nWhere are your kids?\n",
    ),
    ("cat%", "cat", ""),
    ("cat%%", "cat", "\n"),
    ("a\\", "a\\", ""),
]


@pytest.mark.parametrize(("written", "command", "stdin"), PERCENT)
def test_percent_signs_are_as_debian_has_them(written: str, command: str, stdin: str) -> None:
    r"""The first bare % ends the command, later ones are newlines of its input; \% is a percent sign."""
    line = only(f"* * * * * {written}")
    assert (line.command, line.stdin) == (command, stdin)


def test_schedules_have_five_fields_or_a_name() -> None:
    """The sixth word begins the command, so no line has seconds; @every takes a word, others none."""
    lines, errors = parse("0 0 1 1 * 5 x\n@hourly 5 x\n@every 90s 5 x\n@every\t2m y")
    assert errors == []
    told = [(line.schedule, line.command) for line in lines]
    assert told == [("0 0 1 1 *", "5 x"), ("@hourly", "5 x"), ("@every 90s", "5 x"), ("@every 2m", "y")]


def test_the_user_of_a_system_crontab_stands_after_the_schedule() -> None:
    """In the system format a word between schedule and command names the user, also after an alias."""
    lines, errors = parse("@daily root a b\n0 5\t* * *\tnobody\tc", system=True, look_up=anybody)
    assert errors == []
    assert [(line.user, line.command) for line in lines] == [("root", "a b"), ("nobody", "c")]
    assert only("@daily root a").command == "root a"


def test_a_line_for_another_user_is_refused_with_the_reason() -> None:
    """Whoever may not become the line's user refuses the line; the others stay."""
    lines, errors = parse("@daily root a\n@daily me b", system=True)
    assert [line.command for line in lines] == ["b"]
    assert str(errors[0]) == "tab:1: it cannot be run as 'root': only 'me' is allowed here"
    assert "no user 'no-such-user'" in refused("@daily no-such-user a", system=True, look_up=Account.of)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("hello world", "neither NAME=value nor schedule and command"),
        ("* * * * *", "neither NAME=value nor"),
        ("* * * * * ", "no command follows"),
        ("* * * * * %input", "no command follows"),
        ("@daily", "neither NAME=value nor"),
        ("@dayly x", "@dayly"),
        ("61 * * * * x", "61"),
        ("0 0 30 2 * x", "0 0 30 2 *"),
        ("0 0\u00a01 * * * x", "schedule"),
        ("* * * * *\u2003x", "neither NAME=value nor"),
        ('A="b', "is not closed"),
        ("A='b\" ", "is not closed"),
        ('A="b" # c', "follows the closing quote"),
        ("* * * * * a\0b", "NUL"),
        ("A=a\0b", "NUL"),
        ("A=a\ud800b", "surrogates not allowed"),
        ("* * * * * \x0c", "no command follows"),
        ("* * * * * a\ud800b", "surrogates not allowed"),
        ("@reboot x", "@reboot names no time"),
    ],
)
def test_what_is_not_understood_is_reported(written: str, reason: str) -> None:
    """An error tells file, line and reason, in this order, and can be printed anywhere."""
    message = refused(f"# one\n\n{written}\n", file="/etc/tab")
    assert message.startswith("/etc/tab:3: ")
    assert reason in message
    message.encode("utf-8")


def test_a_system_line_without_a_command_is_reported() -> None:
    """The five fields and a user alone are told to be too little."""
    assert "schedule, user and command" in refused("* * * * * root", system=True, look_up=anybody)
    assert "no command follows the schedule and the user" in refused("@daily root ", system=True)


def test_one_bad_line_takes_no_other_with_it() -> None:
    """All lines that are understood are returned beside the errors, both in the file's order."""
    lines, errors = parse("61 * * * * a\n@daily b\nbad\n@daily c")
    assert [line.command for line in lines] == ["b", "c"]
    assert [error.line for error in errors] == [1, 3]


def test_reboot_is_the_time_that_the_caller_gives() -> None:
    """An @reboot line gets the schedule of the start, and keeps its name from one start to the next."""
    first = only("@reboot x y", at_start=SOON)
    second = only("@reboot x y", at_start=SOON.replace("2030", "2031"))
    assert first.schedule == SOON
    assert first.command == "x y"
    assert first.name == second.name


def test_names_of_schedules_may_be_written_in_capitals() -> None:
    """@REBOOT and @Daily are what they are in small letters."""
    lines, errors = parse("@REBOOT x\n@Daily y", at_start=SOON)
    assert errors == []
    assert [line.schedule for line in lines] == [SOON, "@Daily"]
    assert "@reboot names no time" in refused("@Reboot x")


def test_lines_end_with_newlines_only() -> None:
    """Other signs that some call line ends are part of a line; a carriage return before one is not."""
    assert only("* * * * * a\x0cb\u2028c\x85d\x0be\r\n").command == "a\x0cb\u2028c\x85d\x0be"
    assert only("A=b\r\n@daily c\r").environment == {"A": "b"}


def test_the_last_line_needs_no_newline_and_the_first_no_mark() -> None:
    """A file that ends within a line, or begins with a byte order mark, is read whole."""
    assert only("@daily a").command == "a"
    assert only(b"\xef\xbb\xbf@daily a").command == "a"


def test_bytes_that_are_no_text_are_kept() -> None:
    """What is not UTF-8 comes out of a line as the bytes that went into it."""
    line = only(b"A=caf\xe9\n* * * * * echo \xff\xc3\xbc%\xfe")
    assert line.command.encode("utf-8", "surrogateescape") == b"echo \xff\xc3\xbc"
    assert line.stdin.encode("utf-8", "surrogateescape") == b"\xfe\n"
    assert line.environment["A"].encode("utf-8", "surrogateescape") == b"caf\xe9"
    assert VALID_NAME.fullmatch(line.name)


def test_names_do_not_change_when_other_lines_do() -> None:
    """Lines, variables and comments added, removed and moved around it leave a line's name alone."""
    before = {line.command: line.name for line in parse("@daily a\n@daily b\n@daily c")[0]}
    text = "A=1\n@daily c\nCRON_TZ=Asia/Tokyo\n# x\n@hourly a\n5 5 * * * d\n  @daily \t b"
    after = {(line.schedule, line.command): line.name for line in parse(text)[0]}
    assert after["@daily", "b"] == before["b"]
    assert after["@daily", "c"] == before["c"]
    assert after["@hourly", "a"] != before["a"]


def test_only_exact_duplicates_are_numbered() -> None:
    """Two equal lines are two jobs; one that differs in anything, input included, needs no number."""
    lines, errors = parse("@daily a\n@daily a%x\n@daily  a\n@daily a ")
    assert errors == []
    names = [line.name for line in lines]
    assert len(set(names)) == 4
    assert names[2] == names[0] + "-2"
    assert [name for name in names if name.endswith("-2")] == names[2:3]


def test_a_refused_duplicate_takes_no_number() -> None:
    """A line that is no job leaves the names of its duplicates alone."""
    lines, _ = parse("CRON_TZ=Mars/Base\n@daily a\nCRON_TZ=\n@daily a")
    assert [line.name for line in lines] == [stable_name("@daily", "me", "a")]


def test_equal_lines_of_two_users_have_two_names() -> None:
    """The user is part of a name, so that lines of a system crontab are told apart."""
    lines, _ = parse("@daily joe a\n@daily ann a", system=True, look_up=anybody)
    assert len({line.name for line in lines}) == 2


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("/opt/bin/backup.sh --all", "backup.sh"),
        ("cd /srv && ./manage.py clearsessions", "manage.py"),
        ("python3 -m shop.report --key s3cret", "shop.report"),
        ("TOKEN=s3cret nice -n 10 sync-orders", "sync-orders"),
        ("[ -x /usr/bin/a ] && if [ ! -d /b ]; then /usr/lib/c; fi", "c"),
        ("test -x /a || { cd / && run-parts --report /etc/cron.daily; }", "cron.daily"),
        ("command -v sa1 > /dev/null && sa1 1 1", "sa1"),
        ("TOKEN=/run/key sync-orders", "sync-orders"),
        ("(cd /tmp; find . -delete)", "find"),
        ("( sweep )", "sweep"),
        ("$HOME/bin/daily.job >> $HOME/tmp/out 2>&1", "daily.job"),
        ("bash -c 'exit 3'", "bash"),
        ("mysqldump -ps3cret shop | gzip > /b.gz", "mysqldump"),
        ("echo 's3cret'", "command"),
        ("Ä", "command"),
        ("true", "command"),
        ("x" * 500, "x" * 60),
    ],
)
def test_names_tell_the_program_and_none_of_its_arguments(command: str, program: str) -> None:
    """A name begins with what the command is about, past tests and wrappers, and carries no secret."""
    name = only(f"@daily {command}").name
    assert re.fullmatch(re.escape(program) + "-[0-9a-f]{8}", name)
    assert "s3cret" not in name
    assert VALID_NAME.fullmatch(name)


SCHEDULES = ("*", "5", "1-5/2", "H", "L", "@daily", "@every", "90s", "@reboot")
OTHERS = ("A", "=", "CRON_TZ=", "UTC", "%", "\\", "'", '"', "#", "root", "echo")
SIGNS = (" ", "\t", "\n", "\r\n", "\0", "\ud800", "\udcff", "\x85", "\ufeff", "\u00a0")
WORDS = st.sampled_from((*SCHEDULES, *OTHERS, *SIGNS))


@given(st.text() | st.binary() | st.lists(WORDS).map("".join) | st.lists(WORDS).map(" ".join), st.booleans())
@example("@every 1s" + "9" * 5000 + " x", False)
@example("9" * 5000 + " * * * * x", False)
@example("CRON_TZ=../../etc/passwd\n@daily x", False)
@example("CRON_TZ=\udcff\n@daily x", False)
@example("@daily \udcff x", True)
@example("H H * * H x", False)
def test_no_content_is_an_accident(content: str | bytes, system: bool) -> None:
    """Whatever a file holds, its lines are jobs that can be declared, or errors that can be printed."""
    lines, errors = parse(content, system=system, look_up=anybody, at_start=SOON)
    assert len({line.name for line in lines}) == len(lines)
    for line in lines:
        parse_schedule(line.schedule, tz=line.tz, key=line.name)
        assert VALID_NAME.fullmatch(line.name)
        assert line.command.strip()
        line.command.encode("utf-8", "surrogateescape")
    for error in errors:
        assert type(error) is CrontabError
        assert error.line >= 1
        assert error.reason.isprintable()


@given(st.text())
def test_the_users_of_a_file_are_looked_up_without_accident(user: str) -> None:
    """Whatever stands where a user is expected, the line is a job or an error."""
    lines, errors = parse(f"@daily {user} x", system=True, look_up=Account.of)
    assert len(lines) + len(errors) >= 1


def test_a_file_is_read_for_the_user_of_this_process(tmp_path: Path) -> None:
    """Without a word about the format a file is this user's own crontab."""
    path = tmp_path / "tab"
    path.write_bytes(b"@daily a \xff\nbad\n")
    lines, errors = load_crontab(path, tz="Asia/Tokyo")
    assert [(line.user, line.tz, line.file) for line in lines] == [(current_user(), "Asia/Tokyo", str(path))]
    assert [str(error).partition(": ")[0] for error in errors] == [f"{path}:2"]


def test_a_system_file_names_users_that_exist(tmp_path: Path) -> None:
    """A user that the machine does not know, or that only root can become, is refused with the reason."""
    path = tmp_path / "tab"
    path.write_text(f"@daily {current_user()} a\n@daily no-such-user b\n")
    lines, errors = load_crontab(path, system=True)
    assert [line.command for line in lines] == ["a"]
    assert "'no-such-user'" in errors[0].reason


def test_only_root_runs_as_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without root's rights refuses the lines of others, root's own among them."""
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    path = tmp_path / "tab"
    path.write_text("@daily root a\n@daily 54321 b\n")
    lines, errors = load_crontab(path, system=True)
    assert [line.command for line in lines] == ["b"]  # a user without a name is called by its number
    assert "only root can run as others" in errors[0].reason


@pytest.mark.parametrize(
    ("path", "system"),
    [
        ("/etc/crontab", True),
        ("/etc/cron.d/php", True),
        ("/etc/../etc/cron.d/./php", True),
        ("/etc/cron.daily/php", False),
        ("/etc/cron.d/sub/php", False),
        ("/srv/etc/crontab", False),
        ("crontab", False),
    ],
)
def test_system_crontabs_are_known_by_their_place(path: str, system: bool) -> None:
    """The two places where cron expects users in the lines are known; elsewhere one has to say so."""
    assert is_system_crontab(path) is system


def test_the_place_decides_how_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read in the format of its place, unless the caller says which."""
    path = tmp_path / "tab"
    path.write_text(f"@daily {current_user()} a")
    monkeypatch.setattr(_crontab, "is_system_crontab", lambda path: True)
    assert load_crontab(path)[0][0].command == "a"
    assert load_crontab(path, system=False)[0][0].command == f"{current_user()} a"


def test_a_file_that_cannot_be_read_is_an_error_of_its_own(tmp_path: Path) -> None:
    """Nothing, a directory and a file without end are refused, naming the path."""
    for path, reason in [
        (tmp_path / "absent", "No such file"),
        (tmp_path, "is a directory"),
        (Path("/dev/zero"), "larger than"),
        ("a\0b", "cannot be read"),
    ]:
        with pytest.raises(ConfigurationError, match=reason) as caught:
            load_crontab(path)
        assert str(path) in str(caught.value)


def test_a_file_may_be_a_pipe() -> None:
    """`<(crontab -l)` is a file too."""
    reader, writer = os.pipe()
    thread = threading.Thread(target=lambda: (os.write(writer, b"@daily a"), os.close(writer)))
    thread.start()
    lines, errors = load_crontab(f"/dev/fd/{reader}")
    thread.join()
    os.close(reader)
    assert ([line.command for line in lines], errors) == (["a"], [])


def test_an_unknown_default_zone_is_refused_line_by_line() -> None:
    """A zone that the caller gives and nobody knows stops each line, not the caller."""
    assert "Mars" in refused("@daily a", tz="Mars/Base")
    with pytest.raises(ScheduleError):
        parse_schedule("@daily", tz="Mars/Base")

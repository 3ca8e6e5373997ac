"""What the command line says when it is told something unusable: one line, a remedy, a status."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from schedcore._cli_main import invoke

Shell = Callable[..., "subprocess.CompletedProcess[str]"]

APP = """
from schedcore import Scheduler
scheduler = Scheduler("shop", backend="ram")
@scheduler.job("30 2 * * *", tz="Europe/Berlin", jitter=5)
async def report(): ...
@scheduler.job("@every 1s")
def tick(): ...
scheduler.add_job("off", "* * * * *", tick, enabled=False)
other = 3
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs `schedcore` in a directory with a few modules, as a user would."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "broken.py").write_text("\n1 / 0\n")
    (tmp_path / "needy.py").write_text("import a_module_that_is_nowhere\n")
    (tmp_path / "wrong.py").write_text(APP + "scheduler.add_job('x', '99 * * * *', tick)\n")

    def run(*words: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "schedcore", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == status, done
        return done

    return run


@pytest.mark.parametrize(
    ("target", "status", "said"),
    [
        ("app", 2, "there is app:scheduler"),
        ("app:", 2, "such as app:scheduler"),
        ("app:nothing", 2, "has no 'nothing'; there is app:scheduler"),
        ("app:other", 2, "is no Scheduler but int; there is app:scheduler"),
        ("app.py:scheduler", 2, "is a path; write the module: app:scheduler"),
        ("apps.shop:scheduler", 2, "no module 'apps'"),
        ("broken:scheduler", 1, "broken.py:2: ZeroDivisionError: division by zero"),
        ("needy:scheduler", 1, "No module named 'a_module_that_is_nowhere'"),
        ("wrong:scheduler", 2, "wrong.py:10: schedule '99 * * * *', field 'minute'"),
    ],
)
def test_a_target_that_names_no_scheduler(shell: Shell, target: str, status: int, said: str) -> None:
    """Whatever is wrong with MODULE:ATTR is one line on standard error, with the remedy."""
    done = shell("jobs", target, status=status)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_debug_shows_the_traceback(shell: Shell) -> None:
    """With --debug, before or behind the command, the traceback comes first and the line last."""
    for words in (("--debug", "jobs", "broken:x"), ("jobs", "broken:x", "--debug")):
        done = shell(*words, status=1)
        assert done.stderr.startswith("Traceback")
        assert done.stderr.splitlines()[-1].startswith("schedcore: importing 'broken' failed")


def test_jobs_lists_what_is_declared(shell: Shell) -> None:
    """Each job has its schedule, zone, next time and the place where it is declared, without colours."""
    header, *lines = shell("jobs", "app:scheduler").stdout.splitlines()
    assert header.split() == ["JOB", "SCHEDULE", "ZONE", "NEXT", "DECLARED", "IN"]
    assert [line.split()[0] for line in lines] == ["off", "report", "tick"]
    assert "never" in lines[0]
    assert "02:30:00" in lines[1]
    assert "Europe/Berlin" in lines[1]
    assert lines[2].endswith("app.py:6")


def test_next_of_an_application(shell: Shell) -> None:
    """`next MODULE:ATTR JOB` shows its times, and what its jitter adds; for an unknown job its neighbours."""
    done = shell("next", "app:scheduler", "report", "-n", "1", "--after", "2026-10-24T12:00")
    assert "02:30 exists twice: this is the first, the only one used; due " in done.stdout
    assert "its share of the jitter" in done.stdout
    assert "did you mean 'report'?" in shell("next", "app:scheduler", "reprot", status=2).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nxt"], "Did you mean 'next'?"),
        (["run"], "name either an application"),
        (["run", "app:scheduler", "--crontab", "tab"], "name either an application"),
        (["run", "app:scheduler", "--tz", "UTC"], "--tz goes with --crontab only"),
        (["run", "--crontab", "tab", "--timeout", "soon"], "is no length of time; write e.g. 90s"),
        (["run", "--crontab", "/a/file/that/is/nowhere"], "cannot be read: No such file"),
        (["run", "--crontab", "/dev/null", "--tz", "Europe/Berln"], "did you mean Europe/Berlin"),
        (["run", "--crontab", "/dev/null"], "holds no command"),
        (["run", "--crontab", "tab", "--drain", "99999999999"], "is no length of time; write e.g. 90s"),
        (["next"], "name either a schedule"),
        (
            ["next", "@daily", "--after", "yesterday"],
            "--after 'yesterday' is no instant; write e.g. 2026-12-24",
        ),
        (["next", "@daily", "--after", "24.12.2026"], "--after '24.12.2026' is no instant"),
        (["next", "@daily", "--after", "2026-02-30"], "--after '2026-02-30' is no instant"),
        (["next", "@daily", "--after", "@daily"], "--after '@daily' is no instant"),
        (["next", "@daily", "--after", "0001-01-01", "--tz", "Asia/Tokyo"], "is no instant"),
        (
            ["next", "@daily", "--after", "x", "--tz", "Berlin"],
            "time zone 'Berlin': there is none of this name",
        ),
        (["next", "app:scheduler", "--tz", "Berlin"], "did you mean Europe/Berlin"),
        (["next", "app:scheduler", "--key", "a"], "--key goes with an EXPRESSION only"),
        (["next", "--crontab", "tab", "--key", "a"], "--key goes with an EXPRESSION only"),
        (["next", "--crontab", "tab", "--app-dir", "a"], "--app-dir goes with MODULE:ATTR only"),
        (["next", "@daily", "--user"], "--system or --user goes with --crontab only"),
        (["next", "@daily", "--skip-invalid"], "--skip-invalid goes with --crontab only"),
        (["next", "2026-12-24"], "a date without a time of day (write e.g. 2026-12-24T18:00"),
        (["next", "tomorrow"], "1 field instead of 5 or 6"),
        (["jobs", "..:x"], "'..:x' names no scheduler"),
        (["next", "* * * *"], "schedule '* * * *'"),
        (["next", "-n", "0", "@daily"], "0 is not in the range"),
    ],
)
def test_usage_errors_are_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be used ends with status 2 and one line that says what can."""
    assert invoke(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert said in told.err


def test_help_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Alone, or with --help, it lists its commands and ends with status 0."""
    for words in ([], ["--help"], ["-h"]):
        assert invoke(words) == 0
        out = capsys.readouterr().out
        assert all(f"  {command}" in out for command in ("backends", "jobs", "next", "run"))


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_one_line_says_what_to_install(missing: str, tmp_path: Path) -> None:
    """Without click or rich there is a remedy and no traceback."""
    code = f"import sys; sys.modules[{missing!r}] = None; from schedcore._cli import main; main(['jobs'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"{missing} is missing" in done.stderr
    assert "schedcore[cli]" in done.stderr


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    """`schedcore next ... | head -1` shows no traceback."""
    for number, reader in (("9000", "head -1"), ("2", "true")):
        command = f"{sys.executable} -m schedcore next '* * * * *' -n {number} | {reader}"
        done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stderr == ""


def test_backends_tells_which_one_is_taken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each installed backend is listed with its version, and why one of them would be taken, or none."""
    monkeypatch.setenv("SCHEDCORE_BACKEND", "ram")
    assert invoke(["backends"]) == 0
    out = capsys.readouterr().out
    assert f"sched-ram     {version('sched-ram')}" in out
    assert "ram is taken where none is named: SCHEDCORE_BACKEND says so" in out
    monkeypatch.setenv("SCHEDCORE_BACKEND", "rom")
    assert invoke(["backends"]) == 0
    assert "backend 'rom' is not installed" in capsys.readouterr().out

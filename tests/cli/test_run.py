"""`schedcore run`: an application or a crontab in the foreground, until a signal."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from schedcore._cli_main import invoke

Start = Callable[..., "Running"]


class Running:
    """A `schedcore run` in the background, and what it has logged."""

    def __init__(self, directory: Path, *words: str) -> None:
        self.path = directory / "log"
        with self.path.open("w") as log:
            command = [sys.executable, "-m", "schedcore", "run", *words]
            self.process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)

    def log(self) -> str:
        return self.path.read_text()

    def until(self, condition: Callable[[], object], what: str = "it") -> None:
        limit = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < limit, f"{what} never came:\n{self.log()}"
            time.sleep(0.05)

    def until_logged(self, text: str) -> None:
        self.until(lambda: text in self.log(), text)

    def end(self, *, status: int = 0) -> str:
        assert self.process.wait(20) == status, self.log()
        return self.log()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `schedcore run` in a directory of its own; nothing outlives the test."""
    started: list[Running] = []

    def begin(*words: str) -> Running:
        started.append(Running(tmp_path, *words))
        return started[-1]

    yield begin
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


def crontab(directory: Path, text: str) -> str:
    file = directory / "tab"
    file.write_text(text)
    return str(file)


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_an_application_runs_until_a_signal(tmp_path: Path, start: Start) -> None:
    """Its jobs are listed at start, RAM says what it is, they run, and SIGTERM ends it with status 0."""
    (tmp_path / "app.py").write_text(
        "from schedcore import Scheduler\n"
        "scheduler = Scheduler('shop', backend='ram')\n"
        "@scheduler.job('@every 100ms')\n"
        "def tick(): open('ticked', 'w').close()\n"
    )
    running = start("app:scheduler")
    running.until((tmp_path / "ticked").exists, "the first run")
    running.process.send_signal(signal.SIGTERM)
    log = running.end()
    assert "app shop on backend ram, 1 jobs" in log
    assert "job tick: @every 100ms, next " in log
    assert "nothing survives a restart" in log
    assert "Traceback" not in log


def test_the_applications_own_logging_is_left_alone(tmp_path: Path, start: Start) -> None:
    """What the module has set up itself is not set up again."""
    (tmp_path / "app.py").write_text(
        "import logging\n"
        "from schedcore import Scheduler\n"
        "logging.basicConfig(level='INFO', format='MINE %(message)s')\n"
        "scheduler = Scheduler('shop', backend='ram')\n"
    )
    running = start("app:scheduler")
    running.until_logged("MINE the RAM backend")
    running.process.send_signal(signal.SIGINT)
    assert all(line.startswith("MINE ") for line in running.end().splitlines())


def test_a_crontab_runs_its_commands(tmp_path: Path, start: Start) -> None:
    """Variables, % and comments are understood; exit code and output are logged; the zone is said."""
    tab = crontab(
        tmp_path,
        "# a comment\nGREETING=hello there\n"
        '@every 200ms echo "$GREETING, \\%"; cat%of one line%and another\n'
        "@every 200ms echo oops; exit 3\n",
    )
    running = start("--crontab", tab, "--backend", "ram", "--tz", "Europe/Berlin")
    running.until_logged(f'{tab}:3 (echo "$GREETING, %"; cat): exit 0: ... and another')
    running.until_logged(f"{tab}:4 (echo oops; exit 3): exit 3: oops")
    running.process.send_signal(signal.SIGTERM)
    log = running.end()
    assert "2 jobs" in log
    assert "times are Europe/Berlin" in log


def test_system_crontabs_run_as_they_are(tmp_path: Path, start: Start) -> None:
    """A file in the format of /etc/crontab works, with run-parts on an empty directory."""
    (tmp_path / "hourly").mkdir()
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    tab = crontab(
        tmp_path,
        "SHELL=/bin/sh\n"
        f"17 *\t* * *\t{user}\tcd / && run-parts --report /etc/cron.hourly\n"
        f"@every 200ms {user} cd / && test -d {tmp_path}/hourly && echo parts\n",
    )
    running = start("--crontab", tab, "--system", "--backend", "ram")
    running.until_logged("exit 0: parts")
    running.process.send_signal(signal.SIGTERM)
    running.end()


def test_a_command_is_killed_as_a_group_when_its_time_is_up(tmp_path: Path, start: Start) -> None:
    """After --timeout nothing of the command is left, nor of what it has started."""
    child = tmp_path / "child"
    tab = crontab(tmp_path, f"@every 500ms test -e {child} || (sleep 300 & echo $! > {child}; wait)\n")
    running = start("--crontab", tab, "--backend", "ram", "--timeout", "300ms")
    running.until_logged("timed out")
    running.until(lambda: not alive(int(child.read_text())), "the end of the child")
    running.process.send_signal(signal.SIGTERM)
    running.end()


def test_a_second_signal_kills_what_runs(tmp_path: Path, start: Start) -> None:
    """The first signal waits for a running command; the second kills its whole group at once."""
    child = tmp_path / "child"
    stubborn = f"trap '' TERM; (sleep 300 & echo $! > {child}; wait)"
    tab = crontab(tmp_path, f"@every 500ms test -e {child} || ({stubborn})\n")
    running = start("--crontab", tab, "--backend", "ram")
    running.until(lambda: child.exists() and child.read_text().strip(), "the command")
    running.process.send_signal(signal.SIGTERM)
    running.until_logged("a second signal stops now")
    pid = int(child.read_text())
    assert alive(pid)
    running.process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    log = running.end()
    # A command that is cancelled instead, and not killed, is given some seconds, and this one takes them.
    assert "killed by SIGKILL" in log or time.monotonic() - told < 2.5
    running.until(lambda: not alive(pid), "the end of the child")


@pytest.mark.parametrize(("overlap", "several"), [("allow", True), ("skip", False)])
def test_overlap_is_as_under_cron_unless_told_otherwise(
    tmp_path: Path, start: Start, overlap: str, several: bool
) -> None:
    """A command that still runs is started again, as by cron; with --overlap skip it is not."""
    starts = tmp_path / "starts"
    tab = crontab(tmp_path, f"@every 200ms echo x >> {starts}; sleep 300\n@every 200ms echo beat\n")
    given = [] if overlap == "allow" else ["--overlap", overlap]
    running = start("--crontab", tab, "--backend", "ram", "--drain", "0", *given)
    running.until(lambda: starts.exists() and running.log().count("beat") > 4, "a few beats")
    assert (len(starts.read_text().split()) > 2) is several
    running.process.send_signal(signal.SIGTERM)
    running.end()


def test_nothing_is_started_while_a_line_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each bad line is reported with file, line and reason, and nothing runs."""
    tab = crontab(tmp_path, "@every 100ms touch ran\n61 * * * * x\n* * * * *\nhello\n")
    assert invoke(["run", "--crontab", tab, "--backend", "ram"]) == 2
    first, second, third, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{tab}:2: ")
    assert "minute" in first
    assert second.startswith(f"{tab}:3: ")
    assert third.startswith(f"{tab}:4: it is neither NAME=value nor")
    assert "nothing was started: 3 of 4 lines" in last
    assert "--skip-invalid" in last


def test_skip_invalid_runs_the_rest(tmp_path: Path, start: Start) -> None:
    """With --skip-invalid the bad lines are reported and the others run."""
    tab = crontab(tmp_path, "@every 200ms echo fine\n61 * * * * x\n")
    running = start("--crontab", tab, "--backend", "ram", "--skip-invalid")
    running.until_logged("exit 0: fine")
    running.process.send_signal(signal.SIGTERM)
    assert f"{tab}:2: " in running.end()


def test_a_line_of_another_user_needs_root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A user that does not exist, or whom this process may not become, is refused with the line."""
    tab = crontab(tmp_path, "* * * * * nobody-of-that-name true\n")
    assert invoke(["run", "--crontab", tab, "--system", "--backend", "ram"]) == 2
    assert f"{tab}:1: it cannot be run as 'nobody-of-that-name'" in capsys.readouterr().err


def test_a_system_crontab_is_not_mistaken_for_a_users(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where each command begins with a user's name, --system or --user has to be said."""
    tab = crontab(tmp_path, "17 * * * * root cd / && run-parts --report /etc/cron.hourly\n")
    assert invoke(["run", "--crontab", tab, "--backend", "ram"]) == 2
    assert "say --system" in capsys.readouterr().err
    assert invoke(["next", "--crontab", tab, "--user"]) == 0


@pytest.mark.parametrize(
    ("commands", "refused", "doubted"),
    [
        (["root cd / && true", "daemon true"], True, []),
        (["root\ttrue", "daemon true", "sync true"], True, []),
        (["root true", "echo daemon true"], False, [1]),
        (["true", "root true", "daemon\t/bin/true", "date"], False, [2, 3]),
        (["sync /", "sync true"], False, []),
        (["root", "daemon --all", "root/x y", "$root x", "root; x"], False, []),
        (["nobody-of-that-name true"], False, []),
    ],
)
def test_users_where_programs_are_expected(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    commands: list[str],
    refused: bool,
    doubted: list[int],
) -> None:
    """A user that is no program, and a command behind it, is told line by line; where all are so, refused."""
    tab = crontab(tmp_path, "".join(f"* * * * * {command}\n" for command in commands))
    assert invoke(["next", "--crontab", tab]) == (2 if refused else 0)
    err = capsys.readouterr().err.splitlines()
    if refused:
        assert err == [
            f"schedcore: each command of {tab} begins with the name of a user, as in a system crontab; "
            "say --system if these are users, or --user if they are programs"
        ]
    else:
        assert [line.partition(": ")[0] for line in err] == [f"{tab}:{number}" for number in doubted]
        assert all("which is a user and no program here; say --system" in line for line in err)
    assert invoke(["next", "--crontab", tab, "--user"]) == 0
    assert capsys.readouterr().err == ""


def test_a_program_of_a_users_name_is_looked_for_where_the_crontab_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program called like a user, on the crontab's own PATH, is no reason to doubt its line."""
    (tmp_path / "daemon").write_text("#!/bin/sh\n")
    (tmp_path / "daemon").chmod(0o755)
    tab = crontab(tmp_path, f"PATH={tmp_path}:/bin\n@daily daemon start\n")
    assert invoke(["next", "--crontab", tab]) == 0
    assert capsys.readouterr().err == ""


def test_equal_lines_of_two_files_are_two_jobs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several crontabs may be given, and the same line in both has two names."""
    tabs = [tmp_path / name for name in ("one", "two")]
    for tab in tabs:
        tab.write_text("@daily backup-all\n")
    assert invoke(["next", "--crontab", str(tabs[0]), "--crontab", str(tabs[1])]) == 0
    names = [word for word in capsys.readouterr().out.split() if word.startswith("backup-all-")]
    assert len(set(names)) == 2
    assert names[1] == f"{names[0]}-2"
    tabs[0].write_text("@daily backup-all\n" * 2)
    assert invoke(["next", "--crontab", str(tabs[0]), "--crontab", str(tabs[1])]) == 0
    names = [word for word in capsys.readouterr().out.split() if word.startswith("backup-all-")]
    assert sorted(names) == [names[0], f"{names[0]}-2", f"{names[0]}-3"]


def test_the_log_in_json(tmp_path: Path, start: Start) -> None:
    """With --log-format json each line of the log is an object, with the event and whose it is."""
    (tmp_path / "app.py").write_text(
        "from schedcore import Scheduler\nscheduler = Scheduler('told-in-json', backend='ram')\n"
    )
    running = start("app:scheduler", "--log-format", "json")
    running.until_logged("backend.notice")
    running.process.send_signal(signal.SIGINT)
    lines = [json.loads(line) for line in running.end().splitlines()]
    assert [(line["event"], line.get("app")) for line in lines] == [
        ("app.jobs", "told-in-json"),
        ("backend.notice", None),
        ("stop.begun", None),
    ]


def test_the_probes_of_a_replica(tmp_path: Path, start: Start) -> None:
    """With --health-port the process says that it is ready; a port that is taken is one line, status 2."""
    (tmp_path / "app.py").write_text(
        "from schedcore import Scheduler\nscheduler = Scheduler('shop', backend='ram')\n"
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        told = start("app:scheduler", "--health-port", where).end(status=2).splitlines()[-1]
        assert told.startswith("schedcore: ")
        assert f"the port {where.rpartition(':')[2]} for probes cannot be listened on" in told
    running = start("app:scheduler", "--health-port", where, "--metrics")
    url, opener = f"http://{where}/ready", urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ready() -> bool:
        try:
            with opener.open(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()  # it is an answer, too
        except OSError:
            pass
        return False

    running.until(ready, "ready")
    with opener.open(f"http://{where}/metrics", timeout=5) as answer:
        assert 'schedcore_ready{app="shop"} 1.0' in answer.read().decode()
    running.process.send_signal(signal.SIGTERM)
    running.end()


@pytest.mark.parametrize("address", ["http", "1:2:x", "70000", ""])
def test_what_is_no_port_is_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what a port looks like."""
    assert invoke(["run", "app:scheduler", "--health-port", address]) == 2
    assert "is no port; write e.g. 8080" in capsys.readouterr().err


def test_metrics_without_a_port_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """There would be nobody to ask for them."""
    assert invoke(["run", "app:scheduler", "--metrics"]) == 2
    assert "--metrics goes with --health-port" in capsys.readouterr().err

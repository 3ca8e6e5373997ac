"""`make demo`: what it shows, and that its books can fail."""

import importlib.util
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from schedcore import JobInfo, Kind, RunInfo, Status

DEMO = Path(__file__).parents[1] / "examples/demo.py"
START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(seconds=4)


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    """The demo as a module."""
    spec = importlib.util.spec_from_file_location("the_demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def run(second: int, status: Status = Status.SUCCEEDED, **more: Any) -> RunInfo:
    values = {
        "job": "beat",
        "scheduled_at": at(second),
        "status": status,
        "kind": Kind.SCHEDULED,
        "key": "",
        "last_at": None,
        "count": 1,
        "detail": "",
        "replica": "",
        "started_at": None,
        "ended_at": None,
        "attempt": 1,
        "delivery": 1,
    }
    return RunInfo(**{**values, **more})


def job(outstanding: tuple[str, ...] = (), **counters: int) -> JobInfo:
    nothing: dict[str, Any] = {"last_success": None, "manual": {}, "declared_by": ""}
    return JobInfo(
        name="beat",
        schedule="@every 1s",
        tz="UTC",
        state="idle",
        next_at=None,
        decided_until=END,
        outstanding=outstanding,
        waiting=(),
        counters=counters,
        **nothing,
    )


def test_piped_it_prints_lines_and_balances() -> None:
    """Without a terminal it prints plain lines, every job has its row in the books, and the status is 0."""
    done = subprocess.run(
        [sys.executable, DEMO, "--seconds", "4"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    rows = [line for line in done.stdout.splitlines() if line.endswith("  balance")]
    assert [row.split("-")[0].split()[0] for row in rows] == ["date", "flaky", "primes", "pulse", "slow"]
    assert "skipped: the previous run was still outstanding" in done.stdout
    assert "are accounted for, each exactly once." in done.stdout.splitlines()[-1]


def test_in_a_terminal_it_draws_a_table() -> None:
    """In a terminal there is a live table, and the status is 0 as well."""
    mine, its = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "110", "LINES": "30"}
    command = [sys.executable, DEMO, "--seconds", "1"]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment) as process:
        os.close(its)
        seen = bytearray()
        try:
            while data := os.read(mine, 65536):
                seen += data
        except OSError:  # Linux's way of telling that nobody writes any more
            pass
        os.close(mine)
    assert process.returncode == 0
    text = seen.decode()
    assert "\x1b[" in text
    assert "skipped" in text
    assert "are accounted for, each exactly once." in text


def test_books_that_balance(demo: ModuleType) -> None:
    """Runs, stretches and what is still open account for every time; a trigger by hand is not counted."""
    runs = [
        run(4, kind=Kind.MANUAL),
        run(2, Status.SKIPPED, last_at=at(3), count=2),
        run(1),
    ]
    key = str(int(at(4).timestamp()) * 1_000_000)
    account = demo.account(job((key,), succeeded=1, skipped=2), runs, START, END)
    assert account.wrong == []
    assert (account.expected, account.open) == (4, 1)


@pytest.mark.parametrize(
    ("info", "runs", "said"),
    [
        (job(succeeded=3), [run(1), run(2), run(4)], "is nowhere"),
        (job(succeeded=4), [run(1), run(2), run(3), run(3)], "is nowhere"),
        (job(succeeded=5), [run(n) for n in (1, 2, 3, 3, 4)], "is recorded 2 times"),
        (job(succeeded=5), [run(n) for n in (1, 2, 3, 4, 5)], "is no time of its schedule"),
        (job(succeeded=3), [run(n) for n in (1, 2, 3, 4)], "the counters say"),
        (job(failed=4), [run(n) for n in (1, 2, 3, 4)], "the counters say"),
    ],
)
def test_books_that_do_not_balance(
    demo: ModuleType, capsys: pytest.CaptureFixture[str], info: JobInfo, runs: list[RunInfo], said: str
) -> None:
    """A time that is lost, doubled or miscounted is named, and the demo's status is 1."""
    account = demo.account(info, runs, START, END)
    assert any(said in what for what in account.wrong)
    assert demo.report(demo.Console(), [account]) == 1
    assert "NOT ACCOUNTED FOR  beat: " in capsys.readouterr().out

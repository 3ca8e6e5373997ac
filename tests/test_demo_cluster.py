"""`make demo-cluster`: a short version of it, and that its books can fail."""

import importlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from schedcore import JobInfo, Kind, RunInfo, Status

EXAMPLES = Path(__file__).parents[1] / "examples"
DEMO = [sys.executable, str(EXAMPLES / "demo_cluster.py")]
START = datetime(2026, 1, 1, tzinfo=UTC)
KILL = START.timestamp() + 1.5


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The checker as a module."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module("demo_cluster_books")
    del sys.modules["demo_cluster_books"]


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def line(second: int, status: Status = Status.SUCCEEDED, **more: Any) -> RunInfo:
    values: dict[str, Any] = {
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


def written(
    second: int, pid: int, begun: float, ended: float | None, delivery: int = 1
) -> list[dict[str, Any]]:
    of_run = {
        "job": "beat",
        "at": at(second).isoformat(),
        "delivery": delivery,
        "token": delivery,
        "attempt": 1,
        "pid": pid,
        "replica": f"replica {pid}",
    }
    begin = {**of_run, "what": "begin", "when": at(begun).timestamp()}
    return [begin] if ended is None else [begin, {**of_run, "what": "end", "when": at(ended).timestamp()}]


def wrong(
    books: ModuleType,
    lines: list[RunInfo],
    records: list[list[dict[str, Any]]],
    outstanding: tuple[str, ...] = (),
) -> list[str]:
    """The complaints about a job due at second 1 and 2, in a world where replica 9 was killed at 1.5."""
    counters: dict[str, int] = {}
    for each in lines:
        counters[str(each.status)] = counters.get(str(each.status), 0) + 1
    nothing: dict[str, Any] = {"last_success": None, "manual": {}, "declared_by": "", "waiting": ()}
    info = JobInfo(
        name="beat",
        schedule="@every 1s",
        tz="UTC",
        state="idle",
        next_at=None,
        decided_until=at(2),
        outstanding=outstanding,
        counters=counters,
        **nothing,
    )
    pieces = books.pieces_of(record for each in records for record in each)
    killed = books.Killed("replica 9", 9, KILL)
    said: list[str] = books.account(info, lines, pieces, killed, at(1), at(2)).wrong
    return said


def test_a_short_version_is_accounted_for() -> None:
    """A replica is killed in the middle of a run, another takes it over, and the status is 0."""
    done = subprocess.run([*DEMO, "--seconds", "6"], capture_output=True, text=True, check=False, timeout=55)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "was killed with -9 in the middle of nightly-report" in done.stdout
    assert "took it over after" in done.stdout
    assert "of 12 jobs are accounted for" in done.stdout


def test_a_run_too_many_is_noticed(tmp_path: Path) -> None:
    """A run that nobody may have repeated is found in the record, is told, and the status is 1."""
    record = tmp_path / "record"
    command = [*DEMO, "--seconds", "3", "--no-kill", "--record", str(record)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            end = time.monotonic() + 30
            begun: list[dict[str, Any]] = []
            while not begun and time.monotonic() < end:
                lines = record.read_text().splitlines() if record.exists() else []
                begun = [json.loads(each) for each in lines if '"what": "begin"' in each]
                time.sleep(0.1)
            with record.open("a") as file:
                file.write(json.dumps({**begun[0], "pid": 1, "replica": "nobody", "delivery": 2}) + "\n")
            assert process.stdout is not None
            said = process.stdout.read()
        except BaseException:
            process.terminate()
            raise
    assert process.returncode == 1, said
    assert "NOT ACCOUNTED FOR" in said
    assert "ran again on nobody" in said


def test_interrupted_it_leaves_nothing() -> None:
    """Ctrl-C in the terminal's live table ends it, and with it every process that it started."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [*DEMO, "--seconds", "60"],
        stdout=end,
        stderr=end,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(end)
    try:
        said = ""
        while "heartbeat" not in said:
            said += os.read(terminal, 65536).decode(errors="replace")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        started = [int(pid) for pid in children.read_text().split()] if children.exists() else []
        process.send_signal(signal.SIGINT)
        while chunk := read_more(terminal):
            said += chunk
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert "Interrupted" in said
    assert "Traceback" not in said
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []


def read_more(terminal: int) -> str:
    """Read from a terminal until nobody writes to it any more (which Linux reports as an error)."""
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:
        return ""


def test_books_that_balance(books: ModuleType) -> None:
    """A time that ran once balances, as does one that ran again because its replica was killed in it."""
    lines = [line(1), line(2)]
    cut = written(1, 9, 1.1, None)
    again = written(1, 1, 12, 12.5, delivery=2)
    assert wrong(books, lines, [cut, again, written(2, 1, 2, 2.1)]) == []


def test_what_was_killed_under_at_most_once_is_lost(books: ModuleType) -> None:
    """A time recorded lost balances if the killed replica had begun it, and only then."""
    lines = [line(1, Status.LOST), line(2)]
    ran = written(2, 1, 2, 2.1)
    assert wrong(books, lines, [written(1, 9, 1.1, None), ran]) == []
    assert "is recorded lost, and replica 1 ran it" in wrong(books, lines, [written(1, 1, 1.1, None), ran])[0]


@pytest.mark.parametrize(
    ("lines", "records", "complaint"),
    [
        ([1], [], "00:00:02 is nowhere"),
        ([1, 2, 2], [], "00:00:02 is recorded 2 times"),
        ([1, 2, 3], [], "00:00:03 is no time of its schedule"),
        ([1, 2], [(2, 1, 2, None, 1)], "00:00:02 is recorded succeeded, and nobody ran it to its end"),
        ([1, 2], [(2, 1, 2, 2.1, 1), (2, 3, 2, 2.1, 2)], "00:00:02 ran again on replica 3"),
        ([1, 2], [(2, 9, 1.1, None, 2), (2, 3, 2, 2.1, 1)], "00:00:02 ran again under an older number"),
        ([1, 2], [(2, 1, 2, 2.1, 1), (2, 1, 2, 2.1, 1)], "00:00:02 began twice on replica 1"),
    ],
)
def test_books_that_do_not(
    books: ModuleType, lines: list[int], records: list[tuple[Any, ...]], complaint: str
) -> None:
    """Each way in which a time can be forgotten, doubled or invented is told."""
    good = written(1, 1, 1.1, 1.2)
    more = [written(*each) for each in records] or [written(2, 1, 2, 2.1)]
    said = wrong(books, [line(second) for second in lines], [good, *more])
    assert [each for each in said if complaint in each], said


def test_a_skipped_time_that_ran_is_noticed(books: ModuleType) -> None:
    """What is recorded as skipped must not have run, and what is outstanding is not finished."""
    good = written(1, 1, 1.1, 1.2)
    lines = [line(1), line(2, Status.SKIPPED, detail="because")]
    assert wrong(books, lines, [good]) == []
    assert (
        "is recorded skipped, and replica 1 ran it" in wrong(books, lines, [good, written(2, 1, 2, 2.1)])[0]
    )
    key = str(int(at(2).timestamp() * 1_000_000))
    assert "is not finished" in wrong(books, [line(1)], [good], outstanding=(key,))[0]

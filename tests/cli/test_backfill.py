"""`schedcore backfill`: first told, then done, and nothing twice."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cli.conftest import Ask, Shop

from schedcore import RunContext, Scheduler

BEGIN, END = "2026-03-01T00:00Z", "2026-03-01T05:00Z"
SPAN = ("--from", BEGIN, "--to", END)


class Works:
    """Hourly jobs whose runs are noted, on a replica that runs."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.ran: list[tuple[str, str, int]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        self.scheduler: Scheduler = shop.scheduler()
        self.scheduler.add_job("hourly", "@hourly", self.work)
        self.scheduler.add_job("allowing", "@hourly", self.work, overlap="allow")
        self.scheduler.add_job("failing", "@hourly", self.fail)

    def work(self, run: RunContext) -> None:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        self.ran.append((run.job, str(run.kind), run.scheduled_at.hour))
        self.go_on.wait(20)
        with self._lock:
            self._at_once -= 1

    def fail(self, run: RunContext) -> None:
        raise ValueError(f"no paper at {run.scheduled_at.hour}")


@pytest.fixture
def works(closed_shop: Shop) -> Iterator[Works]:
    works = Works(closed_shop)
    with works.scheduler:
        try:
            yield works
        finally:
            works.go_on.set()


def test_it_is_told_first_and_then_done_once(works: Works) -> None:
    """Without --run nothing is triggered; with it each time is run, in order; repeated, none is."""
    shop = works.shop
    header, line, told = shop.ask("backfill", "hourly", *SPAN).splitlines()
    assert header.split() == ["SCHEDULED", "AT", "UP", "TO", "TIMES", "PLAN"]
    assert line.split() == ["2026-03-01", "00:00:00Z", "2026-03-01", "05:00:00Z", "6", "run"]
    assert told == "6 of 6 scheduled times would be run; --run does it"
    assert shop.ask("history", "hourly", "--json") == "[]\n"

    *_, first, second, told = shop.ask("backfill", "hourly", *SPAN, "--run").splitlines()
    assert (first, second) == ("2026-03-01 04:00:00Z  succeeded", "2026-03-01 05:00:00Z  succeeded")
    assert told == "6 of 6 scheduled times were run: 6 succeeded"
    assert works.ran == [("hourly", "backfill", hour) for hour in range(6)]
    assert works.most_at_once == 1

    for words in ((), ("--all",)):
        *_, told = shop.ask("backfill", "hourly", *SPAN, "--run", *words).splitlines()
        assert told == "0 of 6 scheduled times were run"
    assert len(works.ran) == 6
    lines = json.loads(shop.ask("history", "hourly", "--json"))
    assert [(line["kind"], line["status"]) for line in lines] == [("backfill", "succeeded")] * 6
    assert lines[0]["scheduled_at"] == "2026-03-01T05:00:00+00:00"


def test_another_name_is_another_backfill(works: Works) -> None:
    """What was run under one name is run again under another, and with --all only if it had succeeded."""
    shop = works.shop
    shop.ask("backfill", "hourly", *SPAN, "--run")
    said = json.loads(shop.ask("backfill", "hourly", *SPAN, "--name", "v2", "--json"))
    assert set(said) == {"job", "ran", "times"}
    assert set(said["times"][0]) == {"scheduled_at", "key", "was", "status", "left_out", "outcome"}
    assert (said["ran"], len(said["times"]), said["times"][0]["outcome"]) == (False, 6, None)
    said = json.loads(shop.ask("backfill", "hourly", *SPAN, "--name", "v2", "--run", "--json"))
    assert {each["outcome"] for each in said["times"]} == {"succeeded"}
    assert len(works.ran) == 12


def test_runs_that_fail_are_told(works: Works) -> None:
    """Each with the reason, and the status is 1, but the others are run."""
    out = works.shop.ask("backfill", "failing", *SPAN, "--run", status=1)
    assert "2026-03-01 03:00:00Z  failed: ValueError: no paper at 3\n" in out
    assert out.endswith("6 of 6 scheduled times were run: 6 failed\n")


def test_a_job_that_allows_overlap_has_so_many_at_once(works: Works) -> None:
    """--at-once bounds them, whatever the job's own policy would let through."""
    works.go_on.clear()
    done: list[str] = []
    asked = threading.Thread(
        target=lambda: done.append(
            works.shop.run("backfill", "allowing", *SPAN, "--run", "--at-once", "2").stdout
        )
    )
    asked.start()
    works.shop.until(lambda: len(works.ran) == 2)
    (info,) = works.scheduler.blocking.jobs(["allowing"])
    assert len(info.outstanding) == 2
    works.go_on.set()
    asked.join()
    assert done[0].endswith("6 of 6 scheduled times were run: 6 succeeded\n")
    assert works.most_at_once == 2


def test_interrupted_it_goes_on_where_it_was(works: Works) -> None:
    """Ctrl-C ends the command and no run; called again, it does not run again what ran."""
    shop = works.shop
    works.go_on.clear()
    command = [sys.executable, "-m", "schedcore", "backfill", "hourly", *SPAN, "--run"]
    with subprocess.Popen(
        command, env=shop.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as asked:
        shop.until(lambda: len(works.ran) == 1)
        asked.send_signal(signal.SIGINT)
        out, _ = asked.communicate(timeout=20)
    assert asked.returncode == 130
    assert b"Traceback" not in out
    works.go_on.set()
    shop.until(lambda: works.scheduler.blocking.history("hourly"))
    out2 = shop.ask("backfill", "hourly", *SPAN, "--run")
    assert out2.endswith("5 of 6 scheduled times were run: 5 succeeded\n")
    assert [hour for _, _, hour in works.ran] == list(range(6))


def test_what_ran_by_its_schedule_is_left_out(shop: Shop) -> None:
    """And an audit tells which of the others were backfilled."""
    shop.until(lambda: len(json.loads(shop.ask("history", "tick", "--status", "succeeded", "--json"))) > 2)
    shop.ask("pause", "tick", "--note", "stocktaking")
    begin = datetime.now(UTC)
    shop.until(lambda: datetime.now(UTC) - begin > timedelta(seconds=2.2))
    shop.ask("resume", "tick")
    end = datetime.now(UTC)
    span = ("--from", (begin - timedelta(seconds=2)).isoformat(), "--to", end.isoformat())

    def times() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(shop.ask("backfill", "tick", *span, "--json"))["times"]
        return found

    shop.until(lambda: not {"outstanding", "undecided"} & {each["was"] for each in times()})
    chosen = [each for each in times() if not each["left_out"]]
    assert {each["was"] for each in chosen} == {"paused"}
    assert 2 <= len(chosen) < len(times())
    shop.ask("backfill", "tick", *span, "--run")
    (found,) = json.loads(shop.ask("audit", "tick", *span, "--json"))
    assert found["counts"]["backfilled"] == len(chosen)
    assert "paused" not in found["counts"]
    assert "paused: stocktaking" in {stretch["detail"] for stretch in found["stretches"]}


def test_without_a_replica_nothing_is_triggered(closed_shop: Shop) -> None:
    """It would wait for one without end."""
    span = ("--from", "2026-03-01", "--to", "2026-03-02")
    done = closed_shop.run("backfill", "report", *span, "--run")
    assert done.returncode == 2
    assert "no replica of the app is alive, so nothing would run: start one first" in done.stderr
    assert json.loads(closed_shop.ask("jobs", "report", "--json"))[0]["outstanding"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["backfill"], "Missing argument 'JOB'"),
        (["backfill", "report"], "Missing option '--from'"),
        (["backfill", "repot", "--from", "2026-03-01"], "did you mean 'report'"),
        (["backfill", "report", "--from", "soon"], "--from 'soon' is no instant; write e.g. 2026-12-24"),
        (["backfill", "report", "--from", "2026-03-02", "--to", "2026-03-01"], "--to is before --from"),
        (["backfill", "report", "--from", "1950-01-01"], "more than 10,000 scheduled times lie between"),
        (["backfill", "report", "--from", "2026-03-01", "--at-once", "51"], "51 is not in the range"),
        (["backfill", "report", "--from", "2026-03-01", "--name", "x" * 101], "--name is a text of at most"),
        (["backfill", "report", "--from", "2026-03-01", "--backend", "ram"], "keeps an app within its"),
    ],
)
def test_what_cannot_be_used_is_refused(refused: Ask, words: list[str], said: str) -> None:
    """One line says what is wrong and what would be right; the status is 2, and nothing has changed."""
    assert said in refused(*words)

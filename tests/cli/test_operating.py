"""`schedcore trigger`, `pause`, `resume`, `history` and `jobs` of an app that runs, by its name."""

import gc
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from tests.cli.conftest import Ask, Shop

from schedcore import Scheduler


def test_a_trigger_is_sent_and_runs(shop: Shop) -> None:
    """With --wait the line tells how its run ended, with its payload; the same key runs nothing more."""
    words = ("trigger", "report", "--payload", '{"day": 1}', "--key", "order-1")
    assert shop.ask(*words, "--wait") == "report: succeeded, key order-1: reported {'day': 1}\n"
    said = json.loads(shop.ask(*words, "--json"))
    assert said == {
        "job": "report",
        "key": "order-1",
        "outcome": "succeeded",
        "detail": "reported {'day': 1}",
    }
    assert json.loads(shop.ask("trigger", "report", "--json"))["outcome"] == "sent"


def test_a_trigger_that_does_not_go_well_ends_with_status_1(shop: Shop) -> None:
    """So does a run that fails, one that is not waited for to its end, and one that is skipped."""
    out = shop.ask("trigger", "failing", "--wait", "20s", "--key", "f", status=1)
    assert out == "failing: failed, key f: ValueError: no paper\n"
    done = shop.run("trigger", "slow", "--wait", "300ms")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "schedcore: job 'slow' had not ended after 0.3 s; its run goes on\n"
    assert shop.ask("trigger", "slow", "--key", "s", status=1).startswith("slow: skipped, key s")


def test_a_pause_holds_until_it_is_resumed(shop: Shop) -> None:
    """Its times are paused, which `jobs` shows with the note and the history records."""
    assert shop.ask("pause", "quiet", "--note", "the bank is down") == "quiet: paused (the bank is down)\n"
    (job,) = json.loads(shop.ask("jobs", "quiet", "--json"))
    assert (job["state"], job["note"]) == ("paused", "the bank is down")
    assert "paused (the bank is down)" in shop.ask("jobs")
    begin = time.monotonic()
    shop.until(lambda: time.monotonic() - begin > 0.5)  # so that two times and more fall in it
    assert shop.ask("resume", "quiet") == "quiet: resumed\n"
    (line, *_) = json.loads(shop.ask("history", "quiet", "--status", "paused", "--json"))
    assert line["detail"] == "the bank is down"
    assert line["count"] >= 2
    assert json.loads(shop.ask("jobs", "quiet", "--json"))[0]["state"] != "paused"


def test_a_pause_may_have_an_end(closed_shop: Shop) -> None:
    """--until is UTC unless it has an offset, and is shown as it was understood."""
    year = datetime.now(UTC).year + 1
    out = closed_shop.ask("pause", "report", "--until", f"{year}-12-24T18:00+01:00")
    assert out == f"report: paused until {year}-12-24 17:00:00Z\n"
    assert json.loads(closed_shop.ask("pause", "reply", "--until", f"{year}-12-24", "--json")) == {
        "job": "reply",
        "state": "paused",
        "until": f"{year}-12-24T00:00:00+00:00",
        "note": "",
    }


def test_the_pause_of_all_is_another_than_that_of_one(closed_shop: Shop) -> None:
    """Who resumes the one is told, with status 1, that the other one still holds."""
    closed_shop.ask("pause", "--all", "--note", "migration")
    assert "still paused, because all jobs are" in closed_shop.ask("resume", "report", status=1)
    closed_shop.ask("pause", "report")
    out = closed_shop.ask("resume", "--all", status=1)
    assert out == "all jobs: resumed; 1 with a pause of their own are still paused\n"
    assert json.loads(closed_shop.ask("resume", "--all", "--json", status=1))["still_paused"] == ["report"]
    assert closed_shop.ask("resume", "report") == "report: resumed\n"


def test_the_history_of_a_job(shop: Shop) -> None:
    """It shows the newest lines, those of a status, or those of a time; in JSON with every field."""
    shop.until(lambda: len(json.loads(shop.ask("history", "tick", "--json", "-n", "3"))) == 3)
    oldest = json.loads(shop.ask("history", "tick", "--json"))[-1]
    header, *lines = shop.ask("history", "tick", "-n", "2").splitlines()
    assert header.split()[:3] == ["SCHEDULED", "AT", "STATUS"]
    assert len(lines) == 2
    shop.ask("trigger", "tick", "--wait", "--key", "mine")
    found = json.loads(shop.ask("history", "tick", "--after", oldest["scheduled_at"], "--json"))
    assert oldest not in found
    assert len(found) > 2
    assert json.loads(shop.ask("history", "tick", "--until", oldest["scheduled_at"], "--json")) == [oldest]
    assert {line["key"] for line in found if line["kind"] == "manual"} == {"mine"}
    assert set(found[0]) == {
        *("job", "scheduled_at", "status", "kind", "key", "last_at", "count", "detail"),
        *("replica", "started_at", "ended_at", "attempt", "delivery", "payload"),
    }
    done = shop.run("history", "tick", "--until", "2026-01-01", "--status", "timed-out")
    assert (done.returncode, done.stderr) == (0, "job tick has no such lines\n")


def test_jobs_tells_where_a_run_is(shop: Shop) -> None:
    """While it is under way `jobs` shows the replica that has it, since when, and its progress."""
    shop.ask("trigger", "slower", "--key", "k")

    def running() -> list[dict[str, object]]:
        (job,) = json.loads(shop.ask("jobs", "slower", "--json"))
        found: list[dict[str, object]] = job["running"]
        return found

    shop.until(lambda: [run["progress"] for run in running()] == ["waiting for ever"])
    (run,) = running()
    assert (run["key"], run["kind"], run["delivery"]) == ("k", "manual", 1)
    header, line = shop.ask("jobs", "slower").splitlines()
    assert header.split()[:8] == ["JOB", "SCHEDULE", "ZONE", "NEXT", "STATE", "SINCE", "REPLICA", "PROGRESS"]
    assert line.rstrip().endswith("  waiting for ever")
    assert "  running  " in line
    assert str(run["replica"]) in line


def test_jobs_tells_which_are_held_up(closed_shop: Shop) -> None:
    """While no replica decides a time it is late, and what was asked for by hand waits."""
    scheduler = closed_shop.scheduler()
    scheduler.add_job("frequent", "@every 1s", lambda: None)
    with scheduler:
        assert len(scheduler.blocking.jobs()) == 4
    done = closed_shop.run("trigger", "report")
    assert (done.returncode, done.stdout[:13]) == (0, "report: sent,")
    assert done.stderr == f"no replica of app {closed_shop.app} is alive: it runs once one is\n"
    by_name = {job["name"]: job for job in json.loads(closed_shop.ask("jobs", "--json"))}
    assert by_name["report"]["state"] == "waiting"
    assert by_name["reply"]["state"] == "idle"
    begin = time.monotonic()
    closed_shop.until(
        lambda: json.loads(closed_shop.ask("jobs", "frequent", "--json"))[0]["state"] == "held up"
    )
    assert time.monotonic() - begin < 10
    assert "held up" in closed_shop.ask("jobs", "frequent")


def test_a_job_that_is_named_like_a_module(closed_shop: Shop) -> None:
    """Behind --app each word of `jobs` is a job."""
    assert json.loads(closed_shop.ask("jobs", "--app", closed_shop.app, "a:b", "--json"))[0]["name"] == "a:b"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trigger"], "name the JOB"),
        (["trigger", "reprot"], "no job is named 'reprot'; did you mean 'report'?"),
        (["trigger", "report", "--payload", "{day: 1}"], "--payload '{day: 1}' is no JSON"),
        (["trigger", "report", "--payload", "NaN"], "a payload must be JSON"),
        (["trigger", "report", "--key", ""], "a key is a string of 1 to 200 characters"),
        (["trigger", "--wait", "report"], "--wait took 'report' for its time"),
        (["trigger", "report", "--wait", "soon"], "--wait 'soon' is no length of time"),
        (["pause"], "name either a JOB, or --all"),
        (["pause", "report", "--all"], "name either a JOB, or --all"),
        (["pause", ""], "a job's name is not empty"),
        (["resume", ""], "a job's name is not empty"),
        (["jobs", ""], "a job's name is not empty"),
        (["history", ""], "a job's name is not empty"),
        (["trigger", ""], "a job's name is not empty"),
        (["cancel", ""], "a job's name is not empty"),
        (["audit", ""], "a job's name is not empty"),
        (["pause", "repot"], "did you mean 'report'"),
        (["pause", "report", "--until", "soon"], "--until 'soon' is no instant; write e.g. 2026-12-24"),
        (["pause", "report", "--until", "2020-01-01"], "until 2020-01-01 00:00:00+00:00 has passed already"),
        (
            ["pause", "--all", "--app", "no-such-app"],
            "the store knows no job of app no-such-app: is its name right",
        ),
        (["resume"], "name either a JOB, or --all"),
        (["resume", "repot"], "did you mean 'report'"),
        (["resume", "--all", "--app", "no-such-app"], "the store knows no job of app no-such-app"),
        (["history"], "Missing argument 'JOB'"),
        (["history", "repot"], "did you mean 'report'"),
        (["history", "report", "--status", "faild"], "'faild' is no status; there are succeeded, failed"),
        (["history", "report", "--after", "yesterday"], "--after 'yesterday' is no instant"),
        (["history", "report", "--until", "24.12.2026"], "--until '24.12.2026' is no instant"),
        (["history", "report", "--after", "2026-02-01", "--until", "2026-01-01"], "--until is not after"),
        (["history", "report", "-n", "0"], "0 is not in the range"),
        (["jobs", "report", "repot"], "did you mean 'report'"),
        (
            ["trigger", "report", "--app", "no-such-app"],
            "the store knows no job of app no-such-app: is its name",
        ),
        (
            ["history", "report", "--app", "no-such-app"],
            "the store knows no job of app no-such-app: is its name",
        ),
        (["jobs", "--app", "no-such-app"], "the store knows no job of app no-such-app"),
        (["jobs", "--app", "no such app"], "'no such app'"),
        (["jobs", "-n", "3"], "--number goes with MODULE:ATTR only"),
        (["jobs", "--app-dir", "x"], "--app-dir goes with MODULE:ATTR only"),
        (["jobs", "app:scheduler", "--backend", "ram"], "--backend goes with --app only"),
        (["jobs", "--backend", "rom"], "backend 'rom' is not installed (installed: ram, redis"),
    ],
)
def test_what_cannot_be_used_is_refused(refused: Ask, words: list[str], said: str) -> None:
    """One line says what is wrong and what would be right; the status is 2, and nothing has changed."""
    assert said in refused(*words)


@pytest.mark.parametrize(
    "words",
    [["trigger", "report"], ["pause", "report"], ["resume", "--all"], ["history", "report"], ["jobs"]],
)
def test_an_app_is_named_and_can_be_reached(
    refused: Ask, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --app, on RAM, or with no server in reach, one line says what to do."""
    said = refused(*words, "--backend", "ram")
    assert "the ram backend keeps an app within its process, where no command reaches it" in said
    monkeypatch.setenv("SCHEDCORE_REDIS_URL", "redis://127.0.0.1:1/0")
    assert "the store did not answer (ConnectionError" in refused(*words, status=1)
    monkeypatch.delenv("SCHEDCORE_BACKEND")
    assert "name the app's with --backend, or set SCHEDCORE_BACKEND" in refused(*words)
    monkeypatch.delenv("SCHEDCORE_APP")
    assert "name the app: --app NAME, or set SCHEDCORE_APP" in refused(*words)


def test_who_may_not_is_told(closed_shop: Shop) -> None:
    """A Redis user without the rights hears of it in one line, and where to look; --debug tells more."""
    with redis.Redis.from_url(closed_shop.url) as client:
        client.acl_setuser(
            closed_shop.app, enabled=True, nopass=True, categories=["+@read"], keys=["other:*"]
        )
        try:
            url = closed_shop.url.replace("redis://", f"redis://{closed_shop.app}:x@")
            closed_shop.environment["SCHEDCORE_REDIS_URL"] = url
            done = closed_shop.run("trigger", "report")
            assert (done.returncode, done.stdout) == (1, "")
            assert len(done.stderr.splitlines()) == 1
            assert "NoPermissionError" in done.stderr
            assert "ACL LOG on the server names what was refused" in done.stderr
            debugged = closed_shop.run("trigger", "report", "--debug")
            assert debugged.stderr.startswith("Traceback")
            assert debugged.stderr.splitlines()[-1] == done.stderr.rstrip("\n")
        finally:
            client.acl_deluser(closed_shop.app)


@pytest.mark.parametrize(
    "words",
    [
        ["trigger", "report", "--wait", "--json"],
        ["pause", "report", "--until", "2999-01-01"],
        ["resume", "report"],
        ["history", "tick"],
        ["jobs"],
    ],
)
def test_piped_there_are_no_colours(shop: Shop, words: list[str]) -> None:
    """A process of its own prints text, without a word to standard error, and ends with status 0."""
    done = shop.run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.replace("\n", "").isprintable()


def test_a_reader_who_has_seen_enough(shop: Shop) -> None:
    """`schedcore history ... | head -1` is no error."""
    command = f"{sys.executable} -m schedcore history tick -n 200 | head -1"
    done = subprocess.run(
        command, shell=True, env=shop.environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("SCHEDULED AT")


def test_what_waits_collects_garbage(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ends at once does without; one that may wait for hours does not."""
    found: list[bool] = []
    ask = Scheduler.wait_for

    def noting(scheduler: Scheduler, question: Any) -> object:
        found.append(gc.isenabled())
        return ask(scheduler, question)

    monkeypatch.setattr(Scheduler, "wait_for", noting)
    span = ("--from", "2026-03-01T00:00Z", "--to", "2026-03-01T00:00Z")
    for words, collects in (
        (("trigger", "report"), False),
        (("trigger", "report", "--wait", "20s"), True),
        (("backfill", "report", *span), False),
        (("backfill", "report", *span, "--run"), True),
    ):
        found.clear()
        shop.ask(*words)
        assert set(found) == {collects}, words
    assert gc.isenabled()

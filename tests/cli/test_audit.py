"""`schedcore audit`, on a real history."""

import json
from datetime import UTC, datetime

import pytest
import redis
from tests.cli.conftest import Ask, Shop
from tests.cli.terminals import in_a_terminal

from schedcore import _bounded
from schedcore._cli_main import invoke


def test_each_time_of_a_job_is_found(shop: Shop) -> None:
    """What ran is told with its status, what was paused with the note, and the exit status is 0."""
    begin = datetime.now(UTC)
    shop.ask("pause", "tick", "--note", "stocktaking")
    shop.until(lambda: (datetime.now(UTC) - begin).total_seconds() > 2)
    shop.ask("resume", "tick")
    resumed = datetime.now(UTC).isoformat()
    ran = ("history", "tick", "--status", "succeeded", "--after", resumed, "--json")
    shop.until(lambda: json.loads(shop.ask(*ran)))
    (found,) = json.loads(shop.ask("audit", "tick", "--from", begin.isoformat(), "--json"))
    assert set(found) == {
        "job",
        "after",
        "until",
        "unaccounted",
        "counts",
        "stretches",
        "notes",
        "contradictions",
    }
    assert found["unaccounted"] == 0
    assert set(found["stretches"][0]) == {"first", "last", "count", "found", "status", "detail"}
    paused = [stretch for stretch in found["stretches"] if stretch["found"] == "paused"]
    assert [stretch["detail"] for stretch in paused] == ["stocktaking"]
    assert paused[0]["count"] >= 2
    assert found["counts"]["ran once"] >= 1
    header, *lines = shop.ask("audit", "tick", "--from", begin.isoformat()).splitlines()
    assert header.split()[:3] == ["JOB", "SCHEDULED", "AT"]
    assert any("stocktaking" in line for line in lines)
    assert "scheduled times: " in lines[-1]


def test_a_line_that_somebody_removed_is_unaccounted_for(shop: Shop) -> None:
    """Then the status is 1, for the job and for all."""
    ran = ("history", "quiet", "--status", "succeeded", "--json")
    shop.until(lambda: len(json.loads(shop.ask(*ran))) > 4)
    begin = json.loads(shop.ask("history", "quiet", "--json"))[-1]["scheduled_at"]
    with redis.Redis.from_url(shop.url) as client:
        key = f"schedcore:{{{shop.app}}}:runs:quiet"
        (_, line, *_) = [one for one in client.lrange(key, 0, -1) if b'"status":"succeeded"' in one]
        gone = json.loads(line.partition(b" ")[2])["scheduled_at"] / 1_000_000
        client.lrem(key, 1, line)
    (found,) = json.loads(shop.ask("audit", "quiet", "--from", begin, "--json", status=1))
    assert found["unaccounted"] == 1
    (nowhere,) = [stretch for stretch in found["stretches"] if stretch["found"] == "unaccounted"]
    assert datetime.fromisoformat(nowhere["first"]).timestamp() == pytest.approx(gone)
    done = shop.run("audit", "--from", begin)
    assert done.returncode == 1
    assert "1 unaccounted" in done.stdout.splitlines()[-1]


def test_an_audit_reports_exactly_what_was_tampered_with(closed_shop: Shop) -> None:
    """A line removed, one added for no scheduled time, one for a time that ran: these, and nothing else."""
    scheduler = closed_shop.scheduler()
    scheduler.add_job("often", "@every 1s", lambda: None)
    with scheduler:
        closed_shop.until(lambda: len(scheduler.blocking.history("often")) > 5)
    key = f"schedcore:{{{closed_shop.app}}}:runs:often"
    begin = json.loads(closed_shop.ask("history", "often", "--json"))[-1]["scheduled_at"]
    span = ("--from", begin, "--to", datetime.now(UTC).isoformat(), "--json")
    (sound,) = json.loads(closed_shop.ask("audit", "often", *span))
    assert sound["counts"].keys() <= {"ran once", "skipped", "undecided"}
    with redis.Redis.from_url(closed_shop.url) as client:
        lines = [line for line in client.lrange(key, 0, -1) if b'"status":"succeeded"' in line]
        removed, doubled, before = lines[1:4]
        client.lrem(key, 1, removed)
        number, _, data = doubled.partition(b" ")
        at = json.loads(before.partition(b" ")[2])["scheduled_at"]
        fake = data.replace(
            b'"scheduled_at":%d' % json.loads(data)["scheduled_at"], b'"scheduled_at":%d' % (at + 500_000)
        )
        client.linsert(key, "AFTER", doubled, number[:-1] + b"0 " + fake)
        client.linsert(key, "AFTER", doubled, number[:-1] + b"0 " + data)
    (found,) = json.loads(closed_shop.ask("audit", "often", *span, status=1))
    strange = {stretch["found"]: stretch for stretch in found["stretches"]}
    assert found["unaccounted"] == 1
    assert micros(strange["unaccounted"]["first"]) == json.loads(removed.partition(b" ")[2])["scheduled_at"]
    assert micros(strange["unscheduled"]["first"]) == at + 500_000
    assert micros(strange["ran again"]["first"]) == json.loads(data)["scheduled_at"]
    added = {"unaccounted": 1, "unscheduled": 1, "ran again": 1}
    assert {**sound["counts"], "ran once": sound["counts"]["ran once"] - 2} | added == found["counts"]


def micros(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


def test_what_cannot_be_known_is_said(closed_shop: Shop) -> None:
    """That a job is younger goes to standard error, and is no failure."""
    done = closed_shop.run("audit", "--from", "2026-01-01")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "0 scheduled times"
    assert len([line for line in done.stderr.splitlines() if "first declared then" in line]) == 3


def test_without_a_time_the_latest_ones_are_audited(shop: Shop) -> None:
    """How far it looked is said on standard error; a job that is due often is not audited for a whole day."""
    done = shop.run("audit", "tick", "--json")
    assert done.returncode == 0
    (found,) = json.loads(done.stdout)
    begin, end = (datetime.fromisoformat(found[name]) for name in ("after", "until"))
    assert 999 <= (end - begin).total_seconds() <= 1001
    assert "audited was the last day, or its last 1,000 times if these are fewer; --from" in done.stderr
    (found,) = json.loads(shop.run("audit", "slow", "--json").stdout)
    begin, end = (datetime.fromisoformat(found[name]) for name in ("after", "until"))
    assert (end - begin).total_seconds() == pytest.approx(86_400, abs=1)


@pytest.mark.parametrize("since", ["lately", "a time"])
def test_of_all_jobs_as_many_as_there_is_time_for(
    shop: Shop, since: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was left out is said, with how to go on; in the end each job was audited once."""
    monkeypatch.setattr(_bounded, "PATIENCE", 0)
    monkeypatch.setattr(_bounded, "PAGE", 3)
    for name, value in shop.environment.items():
        monkeypatch.setenv(name, value)
    from_ = ["--from", "2026-01-01"] if since == "a time" else []
    audited, words = [], ["audit", "--json", *from_]
    for expected in (3, 3, 1):
        assert invoke(words) in (0, 1)  # another test takes a line away
        told = capsys.readouterr()
        found = json.loads(told.out)
        assert len(found) == expected
        audited += [each["job"] for each in found]
        words = ["audit", "--json", "--after-job", audited[-1], *from_]
        assert (f"only 3 were looked at, up to {audited[-1]}: --after-job" in told.err) is (expected == 3)
    assert audited == sorted(job["name"] for job in json.loads(shop.ask("jobs", "--json")))
    assert invoke(["audit", "--json", "--complete", *from_]) in (0, 1)
    assert [each["job"] for each in json.loads(capsys.readouterr().out)] == audited


def test_a_job_with_too_many_times_is_audited_if_that_is_asked_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alone it is refused with the remedy; among all jobs that is said of it, and the others are audited."""
    monkeypatch.setattr(_bounded, "AT_ONCE", 2)
    for name, value in shop.environment.items():
        monkeypatch.setenv(name, value)
    shop.until(lambda: len(json.loads(shop.ask("history", "tick", "--json"))) > 3)
    words = ["audit", "tick", "--json", "--from", "2026-01-01"]
    assert invoke(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "job tick has more scheduled times between the two than are audited within a second" in said.err
    assert "--complete" in said.err
    assert invoke([*words, "--complete"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["counts"]["ran once"] > 2
    monkeypatch.setattr(_bounded, "PATIENCE", 60)
    assert invoke(["audit", "--json", "--from", "2026-01-01"]) in (0, 1)
    by_job = {each["job"]: each for each in json.loads(capsys.readouterr().out)}
    assert (by_job["tick"]["counts"], len(by_job["tick"]["notes"])) == ({}, 1)
    assert "--complete" in by_job["tick"]["notes"][0]
    assert "--complete" not in str(by_job["slow"]["notes"])


def test_progress_is_shown_to_who_waits(shop: Shop) -> None:
    """In a terminal, of an audit that goes through all jobs."""
    _, shown = in_a_terminal(shop, "audit", "--complete")
    assert "7 jobs audited, up to tick\033[K\r\033[K" in shown, "the table begins in the same line"
    assert "jobs audited" not in shop.run("audit", "--complete").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["audit", "report", "--to", "2026-01-01"], "--to goes with --from"),
        (["audit", "report", "--after-job", "reply"], "--after-job goes with all jobs, not with one"),
        (["audit", "repot"], "did you mean 'report'"),
        (["audit", "report", "--from", "soon"], "--from 'soon' is no instant; write e.g. 2026-12-24"),
        (["audit", "report", "--from", "2026-01-02", "--to", "2026-01-01"], "--to is before --from"),
        (["audit", "report", "--from", "2999-01-02"], "nothing was due between the two"),
        (["audit", "repot", "--from", "2026-01-01"], "did you mean 'report'"),
        (
            ["audit", "--from", "2026-01-01", "--app", "no-such-app"],
            "the store knows no job of app no-such-app",
        ),
        (["audit", "--from", "2026-01-01", "--backend", "ram"], "the ram backend keeps an app within its"),
    ],
)
def test_what_cannot_be_used_is_refused(refused: Ask, words: list[str], said: str) -> None:
    """One line says what is wrong and what would be right; the status is 2, and nothing has changed."""
    assert said in refused(*words)

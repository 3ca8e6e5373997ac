"""An operator's walk: a job is late, or did not run, why? At most two commands tell."""

import json
import threading
import time
from datetime import UTC, datetime

import pytest
import redis
from tests.cli.conftest import Shop

from schedcore import RunContext

LATE = 5.0
"""After so many seconds an overdue time is said to be held up."""


def line_of(out: str, word: str) -> str:
    (line,) = [line for line in out.splitlines() if word in line.split()[:3]]
    return line


def test_no_replica_is_alive_or_none_has_the_job(closed_shop: Shop) -> None:
    """`jobs` says that it is held up, and `doctor` why: nobody is there, or nobody who has its code."""
    scheduler = closed_shop.scheduler()
    scheduler.add_job("often", "@every 1s", lambda: None)
    with scheduler:
        assert len(scheduler.blocking.jobs()) == 4
    stopped = time.monotonic()
    closed_shop.until(lambda: time.monotonic() - stopped > LATE + 1)
    assert "held up" in line_of(closed_shop.ask("jobs"), "often")
    out = closed_shop.ask("doctor", status=1)
    assert "none is alive, so nothing is fired" in line_of(out, "replicas")
    assert "often by " in line_of(out, "overdue")

    other = closed_shop.scheduler()
    other.add_job("report", "@every 24h", lambda: None)
    other.add_job("reply", "@every 24h", lambda: None)
    with other:
        closed_shop.until(lambda: other.blocking.health().connected)
        assert "held up" in line_of(closed_shop.ask("jobs"), "often")
        out = closed_shop.ask("doctor", status=1)
        assert "1 alive" in line_of(out, "replicas")
        assert "no living replica has a:b, often;" in line_of(out, "jobs")


@pytest.mark.parametrize("which", [["report"], ["--all"]])
def test_it_is_paused(closed_shop: Shop, which: list[str]) -> None:
    """`jobs` says so, until when, with the note, and whether it alone is or all are."""
    all_are = ", as all jobs are" if which == ["--all"] else ""
    closed_shop.ask("pause", *which, "--note", "the bank is down")
    assert f"paused{all_are} (the bank is down)" in line_of(closed_shop.ask("jobs"), "report")
    closed_shop.ask("pause", *which, "--until", "2999-01-01")
    assert f"paused until 2999-01-01 00:00:00Z{all_are}" in line_of(closed_shop.ask("jobs"), "report")
    (found,) = json.loads(closed_shop.ask("jobs", "--app", closed_shop.app, "report", "--json"))
    assert (found["paused_until"], found["all_paused"]) == ("2999-01-01T00:00:00+00:00", bool(all_are))


def test_it_is_disabled(closed_shop: Shop) -> None:
    """`jobs` says so."""
    scheduler = closed_shop.scheduler()
    scheduler.add_job("off", "@every 1s", lambda: None, enabled=False)
    with scheduler:
        assert scheduler.blocking.jobs(["off"])
    assert "disabled" in line_of(closed_shop.ask("jobs"), "off")


def test_its_last_run_still_goes_on(closed_shop: Shop) -> None:
    """`jobs` says since when and where, `history` that times were skipped for it, and why."""
    go_on = threading.Event()
    scheduler = closed_shop.scheduler()
    scheduler.add_job("slow", "@every 1s", lambda: go_on.wait(20) and None)
    scheduler.add_job("queued", "@every 1s", lambda: go_on.wait(20) and None, overlap="queue_one")
    with scheduler:
        try:
            for job, why in (
                ("slow", "the previous run was still outstanding"),
                ("queued", "a newer one took its place in the queue"),
            ):
                closed_shop.until(lambda job=job: scheduler.blocking.history(job, status="skipped"))
                (info,) = scheduler.blocking.jobs([job])
                line = line_of(closed_shop.ask("jobs"), job)
                assert "running" in line
                assert info.running[0].replica in line
                assert why in closed_shop.ask("history", job, "--status", "skipped")
        finally:
            go_on.set()


def test_no_replica_has_a_free_place(closed_shop: Shop) -> None:
    """`jobs` says that it waits, and `doctor` that all places are taken."""
    go_on = threading.Event()
    scheduler = closed_shop.scheduler(concurrency=1)
    for name in ("report", "reply", "a:b"):
        scheduler.add_job(name, "@every 24h", lambda: go_on.wait(20) and None)
    with scheduler:
        try:
            closed_shop.ask("trigger", "report")
            closed_shop.until(lambda: scheduler.blocking.jobs(["report"])[0].running)
            closed_shop.ask("trigger", "reply")
            assert "waiting" in line_of(closed_shop.ask("jobs"), "reply")
            told = line_of(closed_shop.ask("doctor", status=1), "places")
            assert "1 of 1 replicas have no free place" in told
            assert "raise concurrency=" in told
        finally:
            go_on.set()


def test_no_thread_is_free(closed_shop: Shop) -> None:
    """`doctor` tells, though there are places: what is taken beyond the threads has not begun."""
    go_on = threading.Event()
    scheduler = closed_shop.scheduler(threads=1)
    for name in ("report", "reply"):
        scheduler.add_job(name, "@every 24h", lambda: go_on.wait(20) and None)
    with scheduler:
        try:
            closed_shop.ask("trigger", "report")
            closed_shop.ask("trigger", "reply")
            closed_shop.until(lambda: scheduler.blocking.replicas()[0].in_threads == 2)
            told = line_of(closed_shop.ask("doctor", status=1), "places")
            assert "on 1 of 1 replicas no thread is free" in told
            assert "raise threads=" in told
        finally:
            go_on.set()


def test_the_event_loop_is_blocked(closed_shop: Shop) -> None:
    """`jobs` says since when it waits, `doctor` and `replicas` that the loop is blocked, and by what."""
    go_on = threading.Event()
    scheduler = closed_shop.scheduler()

    async def hog() -> None:
        go_on.wait(20)

    async def victim() -> None: ...

    scheduler.add_job("report", "@every 24h", hog)
    scheduler.add_job("often", "@every 1s", victim)
    with scheduler:
        try:
            closed_shop.ask("trigger", "report")
            closed_shop.until(lambda: scheduler.blocking.replicas()[0].loop_blocked)
            closed_shop.until(lambda: scheduler.blocking.history("often", status="skipped"))
            (info,) = scheduler.blocking.jobs(["often"])
            since = datetime.fromtimestamp(int(info.outstanding[0]) / 1_000_000, UTC)
            line = line_of(closed_shop.ask("jobs"), "often")
            assert "waiting" in line
            assert f"{since:%H:%M:%S}Z" in line
            told = line_of(closed_shop.ask("doctor", status=1), "loops")
            assert "is blocked, and no coroutine job begins there; there run report" in told
            assert "asyncio.to_thread" in told
            assert "its event loop is blocked" in closed_shop.ask("replicas")
        finally:
            go_on.set()
        closed_shop.until(lambda: not scheduler.blocking.replicas()[0].loop_blocked)


def test_its_time_is_over_or_jitter_is_to_pass(closed_shop: Shop) -> None:
    """`jobs` says that no further time will come, and how long after its time a job is due."""
    scheduler = closed_shop.scheduler()
    scheduler.add_job("once", "2026-01-01T00:00:00Z", lambda: None)
    scheduler.add_job("until", "* * * * *", lambda: None, until=datetime(2026, 1, 1, tzinfo=UTC))
    scheduler.add_job("jittery", "* * * * *", lambda: None, jitter=50)
    with scheduler:
        (info,) = scheduler.blocking.jobs(["jittery"])
        told = closed_shop.ask("jobs")
    for name in ("once", "until"):
        assert line_of(told, name).split("never")[1].split()[0] == "over"
    assert f":00+00:00 + {info.jitter:g} s" in line_of(told, "jittery")
    assert 0 < info.jitter < 50


def test_its_schedule_cannot_be_read_here(closed_shop: Shop) -> None:
    """`jobs` and `audit` say so: another release declared it, or this machine's tzdata differ."""
    with redis.Redis.from_url(closed_shop.url) as client:
        key = f"schedcore:{{{closed_shop.app}}}:rows"
        client.hset(key, "report", client.hget(key, "report").replace(b"@every 24h", b"@every 1blue"))
    line = line_of(closed_shop.ask("jobs"), "report")
    assert "unreadable" in line
    for since in ((), ("--from", "2026-01-01")):
        done = closed_shop.run("audit", *since)
        assert "report: the schedule '@every 1blue' in UTC cannot be read here" in done.stderr
        assert done.returncode == 0


def test_it_was_too_late(closed_shop: Shop) -> None:
    """After all replicas were away, `audit` tells which times were missed, and why."""
    options = {"catch_up": "none", "grace": 0.2}
    first, second = closed_shop.scheduler(), closed_shop.scheduler()
    for scheduler in (first, second):
        scheduler.add_job("often", "@every 1s", lambda: None, **options)
    with first:
        closed_shop.until(lambda: first.blocking.history("often"))
    stopped = time.monotonic()
    closed_shop.until(lambda: time.monotonic() - stopped > 2.5)
    with second:
        closed_shop.until(lambda: second.blocking.history("often", status="missed"))
    (found,) = json.loads(closed_shop.run("audit", "often", "--json").stdout)
    missed = [stretch for stretch in found["stretches"] if stretch["found"] == "missed"]
    assert {stretch["detail"] for stretch in missed} == {"decided later than its grace allowed"}


def test_it_ran_and_failed(closed_shop: Shop) -> None:
    """`history` tells the reason in its line."""

    def fail(run: RunContext) -> None:
        raise ValueError("no paper")

    scheduler = closed_shop.scheduler()
    scheduler.add_job("report", "@every 24h", fail)
    with scheduler:
        scheduler.blocking.trigger("report", wait=True, timeout=20)
    assert "ValueError: no paper" in line_of(closed_shop.ask("history", "report"), "failed")


def test_the_store_is_away(closed_shop: Shop) -> None:
    """`doctor` alone tells, with what to look at."""
    closed_shop.environment["SCHEDCORE_REDIS_URL"] = "redis://127.0.0.1:1/0"
    out = closed_shop.ask("doctor", status=1)
    assert "ConnectionError" in out
    assert "is Redis up, and reached at" in out

"""What `schedcore doctor` says of an app, from what its store tells."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schedcore import JobInfo, Kind, ReplicaInfo, RunInfo, Running, Status
from schedcore import _diagnosis as diagnosis
from schedcore._units import to_micros
from schedcore.protocols import Finding

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def job(name: str = "a", **more: Any) -> JobInfo:
    values: dict[str, Any] = {
        "schedule": "@hourly",
        "tz": "UTC",
        "state": "idle",
        "next_at": None,
        "decided_until": NOW,
        "last_success": None,
        "outstanding": (),
        "waiting": (),
        "counters": {},
        "manual": {},
        "declared_by": "r1",
        **more,
    }
    return JobInfo(name, **values)


def replica(name: str = "r1", **more: Any) -> ReplicaInfo:
    values = {"version": "1.0.0", "offset": 0.0, "running": (), "concurrency": 2, **more}
    return ReplicaInfo(name, host="h", pid=1, started_at=NOW, beat_at=NOW, jobs=1, **values)


def running(at: datetime) -> Running:
    return Running("a", "", Kind.SCHEDULED, at, "r1", NOW, 1, "")


def key(at: datetime) -> str:
    return str(to_micros(at, "at"))


def verdicts(*found: Finding) -> dict[str, str]:
    return {finding.check: str(finding.verdict) for finding in found}


def of_jobs(*infos: JobInfo, alive: tuple[str, ...] = ("r1",)) -> dict[str, Finding]:
    return {finding.check: finding for finding in diagnosis.jobs(infos, alive, NOW)}


@pytest.mark.parametrize(("seconds", "verdict"), [(0.001, "ok"), (0.06, "warn"), (1.5, "fail")])
def test_how_fast_the_store_is(seconds: float, verdict: str) -> None:
    """The middle of some calls counts, and not the first one, which connects."""
    assert diagnosis.latency([9.0, seconds, seconds]).verdict == verdict


def test_replicas_that_are_alike() -> None:
    """All is well."""
    found = diagnosis.replicas([replica("r1"), replica("r2")])
    assert set(verdicts(*found).values()) == {"ok"}


def test_no_replica_is_a_failure() -> None:
    """And all that there is to say of replicas."""
    assert verdicts(*diagnosis.replicas([])) == {"replicas": "fail"}


@pytest.mark.parametrize(
    ("other", "check", "told"),
    [
        (replica("r2", offset=-300.0), "clocks", "that of r2 is -300.0 s off the store's"),
        (replica("r2", version="1.1.0"), "releases", "1 on 1.0.0, 1 on 1.1.0"),
        (replica("r2", version=""), "releases", "1 on 1.0.0, 1 on an unknown one"),
        (
            replica("r2", differing=("a", "b", "c", "d")),
            "definitions",
            "define a, b, c and 1 more differently",
        ),
        (
            replica("r2", running=(running(NOW), running(NOW))),
            "places",
            "1 of 2 replicas have no free place: r2",
        ),
        (
            replica("r2", threads=16, in_threads=16),
            "places",
            "on 1 of 2 replicas no thread is free: r2",
        ),
        (
            replica("r2", loop_blocked=True, running=(running(NOW),)),
            "loops",
            "that of r2 is blocked, and no coroutine job begins there; there run a",
        ),
    ],
)
def test_a_replica_that_is_not_like_the_others(other: ReplicaInfo, check: str, told: str) -> None:
    """It is named, with a remedy; nothing else is said to be wrong."""
    found = list(diagnosis.replicas([replica(), other]))
    (wrong,) = [finding for finding in found if finding.verdict != "ok"]
    assert (wrong.check, wrong.verdict) == (check, "warn")
    assert told in wrong.detail
    assert wrong.remedy


def test_no_free_place_anywhere_is_a_failure() -> None:
    """Nothing can begin then."""
    full = replica(running=(running(NOW), running(NOW)))
    assert verdicts(*diagnosis.replicas([full]))["places"] == "fail"
    assert verdicts(*diagnosis.replicas([replica(threads=1, in_threads=2)]))["places"] == "fail"
    assert verdicts(*diagnosis.replicas([replica(loop_blocked=True)]))["loops"] == "fail"
    silent = replica(running=(running(NOW), running(NOW)), concurrency=0)  # an earlier release
    assert verdicts(*diagnosis.replicas([silent]))["places"] == "ok"


def test_jobs_that_are_well() -> None:
    """Their lateness is within what replicas need."""
    found = of_jobs(job(late=4.9), job("b", outstanding=(key(NOW),)))
    assert {finding.verdict for finding in found.values()} == {"ok"}


def test_a_job_that_no_living_replica_has() -> None:
    """It is named; where no replica is alive at all, that is enough."""
    found = of_jobs(job(), job("b", declared_by="gone"))["jobs"]
    assert (found.verdict, found.detail.partition(";")[0]) == ("fail", "no living replica has b")
    assert "jobs" not in of_jobs(job(), alive=())
    assert of_jobs()["jobs"].detail == "the store knows no job of this app"


def test_what_is_overdue() -> None:
    """The worst first; a paused or disabled job is not."""
    late = [job(str(number), late=10.0 * number) for number in range(1, 6)]
    found = of_jobs(*late, job("p", late=99, state="paused"), job("d", late=99, state="disabled"))
    assert found["overdue"].verdict == "fail"
    assert found["overdue"].detail.startswith("5 by 50 s, 4 by 40 s, 3 by 30 s and 2 more: ")


def test_what_waits_for_a_replica() -> None:
    """It is told, and a warning once it waits for long; what a replica has does not wait."""
    minute = NOW - timedelta(minutes=1)
    just = of_jobs(job(outstanding=(key(NOW - timedelta(seconds=1)),), waiting=("1", "2")))["backlog"]
    assert (just.verdict, just.detail) == (
        "ok",
        "1 triggers wait for a replica, a among them; 2 behind another run",
    )
    assert of_jobs(job(outstanding=(key(minute),)))["backlog"].verdict == "warn"
    taken = job(outstanding=(key(minute),), running=(running(minute),))
    assert of_jobs(taken)["backlog"].verdict == "ok"
    beside = job(outstanding=(key(minute), key(NOW)), running=(running(minute),))
    assert of_jobs(beside)["backlog"].verdict == "ok"
    many = job(outstanding=tuple(f"manual:{number}" for number in range(1000)))
    assert of_jobs(many)["backlog"].verdict == "warn"


def test_what_is_paused() -> None:
    """Somebody may have forgotten it, so it is a warning, with the note."""
    found = of_jobs(job(), job("b", state="paused", note="the bank is down"))["pauses"]
    assert found.verdict == "warn"
    assert found.detail == "1 of 2 jobs are paused: b (the bank is down)"


def test_what_was_given_up() -> None:
    """A week later it is old news."""

    def line(days: float) -> RunInfo:
        at = NOW - timedelta(days=days)
        facts: dict[str, Any] = {"replica": "r1", "started_at": None, "attempt": 0, "delivery": 5}
        return RunInfo("a", at, Status.DEAD, Kind.SCHEDULED, "", None, 1, "", ended_at=at, **facts)

    found = diagnosis.dead([line(1), line(8)], NOW)
    assert (found.verdict, found.detail) == ("warn", "1 runs were given up within seven days, of a")
    assert diagnosis.dead([line(8)], NOW).verdict == "ok"

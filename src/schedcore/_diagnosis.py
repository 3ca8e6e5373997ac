"""What is to be said of an app for whoever operates it: pure, from what its store tells."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from schedcore._answers import JobInfo, ReplicaInfo, RunInfo
from schedcore._units import to_micros
from schedcore.protocols import Condition, Finding

OK, WARN, FAIL = Condition.OK, Condition.WARN, Condition.FAIL

SLOW, TOO_SLOW = 0.05, 1.0
"""Seconds that a call to the store may take: a command fails after three."""

SKEW = 1.0
HELD_UP = 5.0
STUCK = timedelta(seconds=30)
BACKLOG = 1000
RECENT = timedelta(days=7)
"""What was given up longer ago has been seen by somebody."""


def latency(seconds: Sequence[float]) -> Finding:
    """Judge how long calls to the store took."""
    middle = sorted(seconds)[len(seconds) // 2]
    told = f"it answers within {middle * 1000:.1f} ms (the middle of {len(seconds)} calls)"
    if middle < SLOW:
        return Finding("store", OK, told)
    remedy = "look at its load, its slow commands, and the network between"
    return Finding("store", FAIL if middle > TOO_SLOW else WARN, told, remedy)


def replicas(found: Sequence[ReplicaInfo]) -> Iterator[Finding]:
    """Judge who is alive, their clocks, releases and places, and whether their jobs are alike."""
    if not found:
        yield Finding("replicas", FAIL, "none is alive, so nothing is fired", "start the app")
        return
    yield Finding("replicas", OK, f"{len(found)} alive: {_some(each.id for each in found)}")
    off = [each for each in found if abs(each.offset) > SKEW]
    for each in off:
        told = f"that of {each.id} is {each.offset:+.1f} s off the store's"
        yield Finding("clocks", WARN, told, "set it, by NTP; jobs are on time all the same")
    if not off:
        most = max(abs(each.offset) for each in found)
        yield Finding("clocks", OK, f"all are within {most:.3f} s of the store's")
    yield _releases(found)
    yield _definitions(found)
    yield _loops(found)
    busy = [each for each in found if 0 < each.threads <= each.in_threads]
    full = [each for each in found if 0 < each.concurrency <= len(each.running)]
    if busy and not full:
        told = f"on {len(busy)} of {len(found)} replicas no thread is free: {_some(each.id for each in busy)}"
        condition = FAIL if len(busy) == len(found) else WARN
        remedy = "plain functions do not begin there: look which hang, or raise threads= of the Scheduler"
        yield Finding("places", condition, told, remedy)
    elif full:
        told = f"{len(full)} of {len(found)} replicas have no free place: {_some(each.id for each in full)}"
        condition = FAIL if len(full) == len(found) else WARN
        yield Finding(
            "places", condition, told, "start more replicas, or raise concurrency= of the Scheduler"
        )
    else:
        yield Finding("places", OK, f"{sum(len(each.running) for each in found)} runs are under way")


def _loops(found: Sequence[ReplicaInfo]) -> Finding:
    """Judge whether coroutine jobs can begin; who blocks the loop is among what its replica runs."""
    blocked = [each for each in found if each.loop_blocked]
    if not blocked:
        return Finding("loops", OK, "no event loop is blocked")
    runs = sorted({run.job for each in blocked for run in each.running})
    told = f"that of {_some(each.id for each in blocked)} is blocked, and no coroutine job begins there"
    told += f"; there run {_some(runs)}" if runs else ""
    remedy = "a function that does not await belongs into a plain job, or behind asyncio.to_thread"
    return Finding("loops", FAIL if len(blocked) == len(found) else WARN, told, remedy)


def _releases(found: Sequence[ReplicaInfo]) -> Finding:
    releases: dict[str, int] = {}
    for each in found:
        releases[each.version or "an unknown one"] = releases.get(each.version or "an unknown one", 0) + 1
    told = ", ".join(f"{count} on {release}" for release, count in sorted(releases.items()))
    if len(releases) == 1:
        return Finding("releases", OK, f"all on {next(iter(releases))}")
    return Finding(
        "releases", WARN, told, "finish the deployment; two releases side by side are fine meanwhile"
    )


def _definitions(found: Sequence[ReplicaInfo]) -> Finding:
    names = sorted({name for each in found for name in each.differing})
    if not names:
        return Finding("definitions", OK, "no two replicas define a job differently")
    told = f"replicas define {_some(names)} differently; what the one that started last declares holds"
    return Finding("definitions", WARN, told, "finish the deployment, or give all replicas the same code")


def jobs(found: Sequence[JobInfo], alive: Collection[str], now: datetime) -> Iterator[Finding]:
    """Judge whether every job has a replica, none is overdue, what waits, and what is paused."""
    homeless = [each.name for each in found if each.declared_by not in alive]
    if not found:
        remedy = "is the app's name right, and the store? Its jobs come with its first start"
        yield Finding("jobs", FAIL, "the store knows no job of this app", remedy)
    elif homeless and alive:
        told = f"no living replica has {_some(homeless)}; after an hour without one a job is retired"
        yield Finding("jobs", FAIL, told, "deploy code that has them, or let them go")
    elif alive:
        yield Finding("jobs", OK, f"each of {len(found)} has a living replica")
    yield _overdue(
        [each for each in found if each.late > HELD_UP and each.state not in ("paused", "disabled")]
    )
    yield _backlog(found, now)
    yield _paused(found)


def _overdue(late: Sequence[JobInfo]) -> Finding:
    if not late:
        return Finding("overdue", OK, "no scheduled time is")
    worst = sorted(late, key=lambda each: -each.late)
    told = f"{_some(f'{each.name} by {each.late:.0f} s' for each in worst)}: no replica decides their times"
    remedy = "is a replica alive that has them, and what does its log say?"
    return Finding("overdue", FAIL, told, remedy)


def _backlog(found: Sequence[JobInfo], now: datetime) -> Finding:
    """Judge what was sent and nobody has taken; a key of a scheduled time is that time, in microseconds."""
    sent = [(each, len(each.outstanding) - len(each.running)) for each in found]
    waiting = {each.name: count for each, count in sent if count > 0}
    queued = sum(len(each.waiting) for each in found)
    total = sum(waiting.values())
    told = f"{total} triggers wait for a replica" + (f", {_some(waiting)} among them" if waiting else "")
    told += f"; {queued} behind another run" if queued else ""
    stuck = [each for each, count in sent if count > 0 and _oldest(each, now) > STUCK]
    if stuck or total >= BACKLOG:
        remedy = "are there free places (schedcore replicas), and do replicas have these jobs?"
        return Finding("backlog", WARN, told, remedy)
    return Finding("backlog", OK, told)


def _oldest(job: JobInfo, now: datetime) -> timedelta:
    taken = {str(to_micros(run.scheduled_at, "scheduled_at")) for run in job.running}
    times = [int(key) for key in job.outstanding if key.isdecimal() and key not in taken]
    return (
        timedelta(microseconds=max(0, round(now.timestamp() * 1_000_000) - min(times)))
        if times
        else STUCK * 0
    )


def _paused(found: Sequence[JobInfo]) -> Finding:
    paused = [each for each in found if each.state == "paused"]
    if not paused:
        return Finding("pauses", OK, "no job is paused")
    notes = sorted({each.note for each in paused if each.note})
    told = f"{len(paused)} of {len(found)} jobs are paused: {_some(each.name for each in paused)}"
    told += f" ({'; '.join(notes[:3])})" if notes else ""
    return Finding("pauses", WARN, told, "schedcore resume, once the reason is gone")


def dead(lines: Sequence[RunInfo], now: datetime) -> Finding:
    """Judge what was given up lately."""
    recent = [line for line in lines if now - (line.ended_at or line.scheduled_at) < RECENT]
    if not recent:
        return Finding("dead", OK, "nothing was given up within seven days")
    of = _some(sorted({each.job for each in recent}))
    told = f"{len(recent)} runs were given up within seven days, of {of}"
    return Finding("dead", WARN, told, "schedcore dead list, and dead retry once the cause is found")


def _some(names: Iterable[str], most: int = 3) -> str:
    """Name a few, and tell how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more

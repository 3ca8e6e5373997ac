"""The promise's three sentences, checked from what the store accepted and what functions recorded."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

from schedcore._state import JobState
from schedcore.protocols import Kind, Run, Status

from .world import Recorder, World

PLANNED = (Kind.SCHEDULED, Kind.LATE)


def violations(world: World) -> list[str]:
    """Say what of the promise is broken once all has come to rest; nothing, if nothing is."""
    return [
        *once(world),
        *done(world),
        *accounted_for(world),
        *in_time(world),
        *tokens_grow(world),
        *world.memory.broken,
    ]


def once(world: World) -> list[str]:
    """Sentence 1: at most one trigger was ever accepted for a job and a scheduled time, or a key."""
    accepted = Counter((t.job, t.key) for _, t in world.memory.accepted)
    return [f"once: {job} {key} was accepted {n} times" for (job, key), n in accepted.items() if n > 1]


def done(world: World) -> list[str]:
    """Sentence 2: every accepted trigger was finished, and at most once started at most once."""
    broken = []
    lines = _lines(world.memory)
    for _, trigger in world.memory.accepted:
        name = (trigger.job, trigger.key)
        runs = world.by_key.get(name, [])
        if len(lines[name]) != 1:
            ends = [str(line.status) for line in lines[name]]
            broken.append(f"done: {trigger.job} {trigger.key} has {len(ends)} ends {ends}")
        elif lines[name][0].status is Status.SUCCEEDED and not runs:
            broken.append(f"done: {trigger.job} {trigger.key} succeeded without having been run")
        mode = getattr(trigger.options, "delivery", "")
        if mode == "at_most_once" and len(runs) > 1:
            broken.append(f"at most once: {trigger.job} {trigger.key} was started {len(runs)} times")
    return broken


def accounted_for(world: World) -> list[str]:
    """Sentence 3: scheduled times = the sum of the counters + outstanding, and each is in one line."""
    broken = []
    for row in world.memory.rows.values():
        state = row.data
        if not isinstance(state, JobState):
            continue
        expected = world.memory.life(row.job)
        open_now = [t.key for t in state.waiting if t.kind in PLANNED]
        open_now += [key for key in state.outstanding if key.isdecimal()]
        counted = sum(state.counters.values()) + len(open_now)
        if counted != expected:
            broken.append(
                f"accounted: {row.job} has {expected} scheduled times, its counters {dict(state.counters)} "
                f"and {len(open_now)} outstanding make {counted}"
            )
        if open_now and not state.outstanding:
            broken.append(f"stuck: {row.job} waits for nothing: {open_now}")
        stuck = [key for key in state.outstanding if key not in world.memory.items.get(row.job, {})]
        if stuck:
            broken.append(f"stuck: {row.job} has {stuck} outstanding, which the bus does not hold")
    return broken


def in_time(world: World) -> list[str]:
    """Nothing starts before its time."""
    return [
        f"early: {run.job} {run.key} started {run.scheduled_at - run.at} us before its time"
        for run in world.started
        if run.at < run.scheduled_at
    ]


def tokens_grow(world: World) -> list[str]:
    """Each delivery of a trigger has a greater token than the one before."""
    broken = []
    for (job, key), runs in world.by_key.items():
        tokens = [run.token for run in sorted(runs, key=lambda run: run.token)]
        if len(set(tokens)) != len(tokens):
            broken.append(f"tokens: {job} {key} was run twice under one token")
    return broken


def overlaps(world: World, job: str) -> list[str]:
    """Tell where two runs of a job were under way at once."""
    runs = sorted((r for r in world.started if r.job == job), key=lambda r: r.at)
    return [
        f"overlap: {job} {a.key} and {b.key}" for a, b in pairwise(runs) if a.ended is None or a.ended > b.at
    ]


def _lines(memory: Recorder) -> dict[tuple[str, str], list[Run]]:
    lines: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in memory.ended:
        lines[run.job, run.key].append(run)
    return lines

"""A story plays the same, call by call, whatever the process that plays it is like."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.simulation.directed import DIRECTED

from schedcore._engine import Engine
from schedcore._runner import Runner
from schedcore.protocols import Delivery
from schedcore.testing import Story, draw, play
from schedcore.testing._server import Server

ROOT = Path(__file__).parents[2]


def stories() -> list[Story]:
    """Choose some: short and long, few replicas and many, and what is hard on takers over and on losers."""
    told = [DIRECTED[name](0) for name in ("deaths", "losses", "deploys", "stopped_late", "burst")]
    return [*map(draw, range(6)), draw(100, minutes=20), draw(200, replicas=7), *told]


def digest(story: Story) -> str:
    """Tell each call to the store, and what the jobs did, in a word."""
    told: list[object] = []
    note = Server._note

    def overhear(self: Server, name: str, args: Sequence[Any], answer: Any, clears: int) -> None:
        note(self, name, args, answer, clears)
        told.append((self.time.now, name, *_details(name, args, answer)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Server, "_note", overhear)
        played = play(story)
    told += [*played.trace(), played.broken, played.sizes, played.lasted]
    return sha256(repr(told).encode()).hexdigest()


def _details(name: str, args: Sequence[Any], answer: Any) -> Iterator[object]:
    if name == "commit":
        for step, said in zip(args[0], answer, strict=True):
            yield step.id.partition("+")[0], step.job, step.expects, step.not_before  # behind it: random
            yield str(said.verdict), said.now, [row.version for row in said.rows]
            yield [run.scheduled_at for run in step.runs], [trigger.key for trigger in step.send]
    elif name in ("receive", "lapsed", "take_over", "give_back"):
        for each in args[0] if name == "give_back" else answer:
            yield each.trigger.job, each.trigger.key, each.number, each.token


def tell(collect: int) -> None:
    """Tell all stories, the last first, with a collector that is that eager, and clocks that tell nothing."""
    gc.set_threshold(collect)
    random = Random()
    for name in ("time", "monotonic", "perf_counter"):
        setattr(time, name, random.random)
        setattr(time, f"{name}_ns", lambda: random.randrange(1 << 60))
    sys.stdout.write(" ".join([digest(story) for story in reversed(stories())]))


def elsewhere(hashes: str, collect: int) -> subprocess.Popen[str]:
    """Have them told in a process of its own."""
    code = f"from tests.simulation.test_determinism import tell; tell({collect})"
    environment = {**os.environ, "PYTHONHASHSEED": hashes}
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )


def test_a_seed_plays_the_same_in_every_process() -> None:
    """Whatever its hashes and clocks are, when it collects garbage, and what was played before."""
    with elsewhere("1", 50) as first, elsewhere("2", 0) as second:
        here = [digest(story) for story in stories()]
        told = [process.communicate()[0].split()[::-1] for process in (first, second)]
    assert told == [here, here]
    assert len(set(here)) == len(here)


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
def test_what_fails_where_nobody_awaits_it_is_told_without_the_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A task that its own error refers to would be told of when garbage is collected, if it ever is."""
    stop = Engine.stop

    async def fail(self: Engine, drain: float) -> list[str]:
        await stop(self, drain)
        task = asyncio.current_task()
        raise RuntimeError(f"as the test asked, in {task}")

    monkeypatch.setattr(Engine, "stop", fail)
    assert "engine" in play(DIRECTED["stopped_late"](0)).invariants


@pytest.mark.usefixtures("_no_collector")
def test_a_failure_at_the_end_of_a_run_is_told_without_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no failure of the job's, and nobody awaits it."""

    def fail(self: Runner, delivery: Delivery, outcome: object) -> None:
        raise RuntimeError("as the test asked")

    monkeypatch.setattr(Runner, "ended", fail)
    assert "engine" in play(DIRECTED["calm"](0)).invariants


def test_a_simulated_replica_looks_for_no_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On RAM a real one leaves a file for other processes of its app, which would warn of the simulation."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert play(draw(0)).broken == ()
    assert list(tmp_path.iterdir()) == []

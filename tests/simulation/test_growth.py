"""What is remembered is bounded by jobs and history, however many hours, and however many seeds."""

from __future__ import annotations

import ast
import gc
import os
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path
from random import Random

import pytest
from tests.simulation.mutants import MutantStore

from sched_ram import Memory
from sched_ram._memory import STEPS_REMEMBERED
from schedcore._runner import Runner
from schedcore.protocols import Delivery
from schedcore.testing import Story, draw, play
from schedcore.testing import _events as e
from schedcore.testing import _people as by_hand
from schedcore.testing._events import SECOND, Event
from schedcore.testing._stores import RamStore
from schedcore.testing._story import Plan

ROOT = Path(__file__).parents[2]
MINUTE = 60 * SECOND
PLANS = (
    Plan("skip", "@every 20s", 25, {"history": 20}),
    Plan("queue", "@every 30s", 5, {"overlap": "queue_all", "history": 20}),
    Plan("allow", "@every 20s", 3, {"overlap": "allow", "history": 20, "timeout": 2}),
    Plan("once", "@every 30s", 4, {"delivery": "at_most_once", "history": 20}),
)


def hours(number: int, seed: int = 1) -> Story:
    """So many hours, of each of which three quarters are full of misfortunes, and the rest is quiet."""
    random, events = Random(seed), list[Event]()
    for minute in (hour * 60 + after for hour in range(number) for after in range(2, 46, 3)):
        at, who = minute * MINUTE, random.choice("bc")
        kinds: list[Event] = [
            e.Killed(at, who, 5 * SECOND),
            e.KilledInCall(at, who, random.choice(("commit", "receive", "renew")), True, 5 * SECOND),
            e.Frozen(at, who, 20 * SECOND),
            e.Stopped(at, who, 2, 5 * SECOND),
            e.Outage(at, 20 * SECOND),
            e.Noise(at, 30 * SECOND, "", 0.1, 0.1, 0.3),
            e.Deployed(at, (who,), "skip", "edit", "@every 15s", restart=False),
            by_hand.Paused(at, random.choice(("", "queue")), 20 * SECOND, ends=True),
            by_hand.Asked(at, "allow", f"k{at}", fails=True, times=2),
        ]
        events.append(random.choice(kinds))
    return Story(seed, (0, 0, 0), PLANS, tuple(events), number * 60 * MINUTE)


@pytest.mark.timeout(180)
def test_in_hour_ten_a_cluster_remembers_as_much_as_in_hour_one() -> None:
    """Three replicas, one of which lives all the time, and the store: after ten hours of misfortunes."""
    made: list[RamStore] = []

    def store(clock: object) -> RamStore:
        made.append(RamStore(clock))
        return made[-1]

    played = play(hours(10), store=store)
    assert played.broken == ()
    assert [size.hour for size in played.sizes] == list(range(1, 11))
    first, *_, last = played.sizes
    assert first.engines > 100
    assert first.store > 50
    assert abs(last.engines - first.engines) <= 10
    assert abs(last.store - first.store) <= 10
    memory: Memory = made[0].memory
    assert len(memory._committed) + len(memory._committed_before) <= 2 * STEPS_REMEMBERED


class KeepsWhatIsFinished(Memory):
    """A trigger that is finished stays on some list."""

    def remove(self, trigger: object) -> None:
        self.__dict__.setdefault("finished", []).append(trigger)
        super().remove(trigger)


def test_a_store_that_forgets_nothing_is_found() -> None:
    """Three hours are enough."""
    played = play(hours(3), store=lambda clock: MutantStore(clock, KeepsWhatIsFinished))
    assert played.invariants == {"grows"}
    assert "store: " in str(played.broken[0])


def test_a_store_that_begins_anew_grows_no_more_than_it_was() -> None:
    """After a loss the lines of a job that is seldom due are as many as they may be only hours later."""
    loss = e.Restarted(50 * MINUTE, 2 * SECOND, "lost")
    plans = tuple(Plan(f"job-{each}", "@every 25s", 1) for each in range(8))
    played = play(Story(1, (0, 0, 0), plans, (loss,), 4 * 60 * MINUTE))
    assert played.broken == ()
    assert len(played.sizes) > 1


def test_an_engine_that_forgets_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is never restarted."""
    start = Runner.start

    def remember(self: Runner, deliveries: list[Delivery], *said: object) -> None:
        self.__dict__.setdefault("seen", []).extend(delivery.token for delivery in deliveries)
        start(self, deliveries, *said)

    monkeypatch.setattr(Runner, "start", remember)
    played = play(hours(3))
    assert played.invariants == {"grows"}
    assert "engines: " in str(played.broken[0])


def test_nothing_remains_of_the_seeds_that_were_played() -> None:
    """Neither objects nor threads, files or memory: an hour of seeds leaves what a minute leaves."""
    code = "from tests.simulation.test_growth import left; left(0, 20); print(left(20, 30), left(30, 90))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    before, after = ast.literal_eval(f"[{done.stdout.replace(') (', '), (')}]")
    assert after[0] - before[0] < 100
    assert after[1:3] == before[1:3]
    assert after[3] - before[3] < 4_000_000


def left(first: int, last: int) -> tuple[int, int, int, int]:
    """Play seeds, in a process that does nothing else; its objects, threads, files and bytes then."""
    for seed in range(first, last):
        play(draw(seed, minutes=0.5))
    empty_caches()
    gc.collect()
    files = len(list(Path("/proc/self/fd").iterdir()))
    return len(gc.get_objects()), threading.active_count(), files, resident()


def empty_caches() -> None:
    """Let go of what is kept up to a limit, such as the schedules and functions that were looked at."""
    kind = type(lru_cache(len))
    for cached in [each for each in gc.get_objects() if isinstance(each, kind)]:
        if getattr(cached, "__module__", "").startswith("schedcore"):
            cached.cache_clear()


def resident() -> int:
    """Tell how many bytes of memory this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

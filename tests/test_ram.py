"""What is only the RAM backend's: it is honest about what one process cannot have."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from uuid import uuid4

import pytest

from sched_ram import Memory, RamBackend
from schedcore import ConfigurationError, Scheduler
from schedcore.protocols import Keep, Run, Status

OTHER = """
import sys
from schedcore import Scheduler
with Scheduler(sys.argv[1], backend="ram"):
    print("started", flush=True)
    sys.stdin.read()
"""


def test_it_says_at_start_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing survives a restart, and every process fires for itself: said once, when started."""
    caplog.set_level(logging.INFO, logger="schedcore")
    with Scheduler(f"app-{uuid4().hex}", backend="ram"):
        assert "nothing survives a restart" in caplog.text
        assert "fires for itself" in caplog.text


def test_it_warns_when_another_process_runs_the_same_app(caplog: pytest.LogCaptureFixture) -> None:
    """Several workers would each fire every scheduled time: the second one says so."""
    app = f"app-{uuid4().hex}"
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, app], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "started\n"
        with Scheduler(app, backend="ram"):
            pass
        with Scheduler(f"{app}-b", backend="ram"):
            pass
    warnings = [
        record for record in caplog.records if getattr(record, "event", "") == "ram.several_processes"
    ]
    assert len(warnings) == 1
    assert other.returncode == 0


def test_an_unknown_option_is_refused_by_name() -> None:
    """The options that exist are named."""
    with pytest.raises(ConfigurationError, match=r"no option url.*memory"):
        Scheduler("app", backend="ram", url="redis://")


def test_two_backends_of_one_memory_are_two_replicas() -> None:
    """Each scheduled time is fired once between them."""

    async def main() -> None:
        memory = Memory()
        one, two = RamBackend("app", memory=memory), RamBackend("app", memory=memory)
        await one.open("one")
        await two.open("two")
        await one.store.beat("one", {}, 10_000_000)
        assert (await two.store.beat("two", {}, 10_000_000)).alive == {"one", "two"}

    asyncio.run(main())


def test_history_is_bounded_by_lines_and_keeps_the_last_failures() -> None:
    """Nothing grows with the number of runs: `keep` newest lines, and the newest that were no successes."""
    memory, keep = Memory(), Keep(lines=50, failures=5)
    for number in range(1000):
        status = Status.FAILED if number < 20 else Status.SUCCEEDED
        memory.history.append([Run("job", number, status, ended_at=memory.clock())], keep, memory.clock())
    lines, cursor = memory.history.read("job", None, None, None, 1000, "")
    assert [line.scheduled_at for line in lines] == [*range(999, 949, -1), *range(19, 14, -1)]
    assert cursor == ""


def test_the_history_of_a_name_that_is_used_no_more_is_forgotten() -> None:
    """What is too old is dropped within the hour, though nothing is appended under its name again."""
    now = [0]
    memory = Memory(lambda: now[0])
    backend = RamBackend("app", memory=memory)
    hour = 3_600_000_000
    for number, name in enumerate(("retired", "lives")):
        run = Run(name, number, Status.FAILED)
        memory.history.append([run], Keep(age=(2 + 20 * number) * hour), 0)
    for at, left in ((hour, ["retired", "lives"]), (4 * hour, ["lives"]), (30 * hour, [])):
        now[0] = at
        asyncio.run(backend.store.beat("r0", {}, 10_000_000))
        assert list(memory.history._lines) == list(memory.history._failures) == left


def test_two_schedulers_of_one_memory_wake_each_other() -> None:
    """Each has an event loop on a thread of its own; what one sends, the other runs at once."""
    memory, ran = Memory(), threading.Event()
    one = Scheduler("app", backend=RamBackend("app", memory=memory))
    two = Scheduler("app", backend=RamBackend("app", memory=memory))
    two.add_job("a", "@every 24h", ran.set)
    with one, two:
        for _ in range(10):
            ran.clear()
            time.sleep(0.05)  # the other one is asleep
            one.blocking.trigger("a")
            assert ran.wait(0.5), "it slept on"

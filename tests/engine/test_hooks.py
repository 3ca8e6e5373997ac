"""Hooks: who is called, when, where, and that nothing waits for them or suffers from them."""

import asyncio
import functools
import logging
import threading
import time
from typing import Any

import pytest
from tests.engine.replica import RARELY, Replica, events, scheduler, until, virtual

from sched_ram import RamBackend
from schedcore import ConfigurationError, RunInfo, Scheduler
from schedcore import _hooks as hooks_module
from schedcore._observers import Observers
from schedcore.testing import VirtualClock
from schedcore.values import Run, Status
from schedcore.watching import Recorded

Lines = list[RunInfo]


def called(lines: Lines) -> list[tuple[str, str]]:
    return [(line.job, str(line.status)) for line in lines]


def test_hooks_of_a_job_and_of_all_jobs() -> None:
    """A job's own hook is called for it alone, before the scheduler's, which hears of every job."""
    s = scheduler(app="hooked")
    own: Lines = []
    of_all: Lines = []
    s.on_success(of_all.append)
    s.on_failure(of_all.append)

    def fail() -> None:
        raise ValueError("no paper")

    s.add_job("good", RARELY, lambda: None, on_success=own.append)
    s.add_job("bad", RARELY, fail, on_failure=own.append, on_success=own.append)
    with s:
        s.blocking.trigger("good", wait=True, timeout=5)
        s.blocking.trigger("bad", key="k", wait=True, timeout=5)
        until(lambda: len(of_all) == 2)
    assert called(own) == called(of_all) == [("good", "succeeded"), ("bad", "failed")]
    assert own[1].key == "k"
    assert "no paper" in own[1].detail


@virtual
async def test_missed_times_are_one_call(replica: Replica) -> None:
    """While nobody ran times passed: their stretch is one line, and one call, by who decided it."""
    lines: Lines = []
    first, second = (hooked(replica, name, on_missed=lines.append) for name in ("r1", "r2"))
    for each in (first, second):
        each.add("a", "@every 10s", catch_up="none")
    async with first.running():
        await asyncio.sleep(1)
    await asyncio.sleep(300)
    async with first.running(), second.running():
        await asyncio.sleep(5)
    assert called(lines) == [("a", "missed")]
    assert lines[0].count > 20


@virtual
async def test_what_is_given_up_is_told_by_who_gave_it_up(replica: Replica) -> None:
    """A run that must not run twice is lost with its replica; who would take it over calls `on_dead`."""
    lines: Lines = []
    frozen, witness = (hooked(replica, name, on_dead=lines.append) for name in ("r1", "r2"))
    for each in (frozen, witness):
        each.add("a", RARELY, sleep, delivery="at_most_once")
    async with frozen.running() as engine:
        await frozen.control.trigger("a", payload=[1])
        await asyncio.sleep(1)
        engine.backend.bus.renew = away
        async with witness.running():
            await asyncio.sleep(20)
            assert [(line.status, line.payload, line.replica) for line in lines] == [("lost", [1], "r2")]


async def sleep() -> None:
    await asyncio.sleep(60)


async def away(*_: object) -> None:
    raise ConnectionError


def hooked(replica: Replica, name: str, **own: Any) -> Replica:
    """Make a replica beside another, in which a scheduler's hooks are called."""
    observers = Observers()
    made = Replica(RamBackend("app", memory=replica.memory), name, observers=observers)
    hooks = hooks_module.Hooks(made.jobs)
    hooks.virtual = asyncio.get_running_loop()
    observers.add(hooks)
    for which, hook in own.items():
        hooks.add(which, hook)
    return made


def test_hooks_on_virtual_time() -> None:
    """On a virtual clock hooks are called at once, coroutines on its loop: nothing has to be waited for."""
    lines: Lines = []
    s = Scheduler("hooked", backend="ram")

    @s.on_success
    async def later(line: RunInfo) -> None:
        await asyncio.sleep(3600)
        lines.append(line)

    s.on_success(lines.append)
    s.add_job("a", "@hourly", lambda: None)
    with VirtualClock("2026-03-29T00:30+00:00") as clock:
        clock.start(s)
        clock.advance(minutes=31)
        assert called(lines) == [("a", "succeeded")]


def test_a_coroutine_hook_runs_where_coroutine_jobs_do() -> None:
    """It is awaited on the application's loop, whose connections it may use."""
    s = scheduler(app="hooked")
    found: list[Any] = []

    async def hook(line: RunInfo) -> None:
        found.append(asyncio.get_running_loop())

    async def play() -> None:
        async with s:
            await s.trigger("a", wait=True, timeout=5)
        assert found == [asyncio.get_running_loop()]

    s.add_job("a", RARELY, lambda: None, on_success=hook)
    asyncio.run(play())


def test_nothing_waits_for_a_hook(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """While one blocks, runs go on; too many calls are dropped, which is said; a stop waits a moment."""
    monkeypatch.setattr(hooks_module, "AT_END", 0.1)
    release, seen = threading.Event(), []
    s = scheduler(app="hooked")
    monkeypatch.setattr(hooks_module, "MOST", 2)

    @s.on_success
    def block(line: RunInfo) -> None:
        seen.append(line)
        release.wait(20)

    s.add_job("a", RARELY, lambda: None)
    with caplog.at_level(logging.ERROR, "schedcore"):
        with s:
            for _ in range(6):
                assert s.blocking.trigger("a", wait=True, timeout=5).outcome == "succeeded"
                until(lambda: bool(seen))
            began = time.monotonic()
        assert time.monotonic() - began < 5
    release.set()
    until(lambda: len(seen) == 3)
    assert events(caplog.records) == ["hook.dropped"]


def test_hooks_of_the_next_start_come_behind_those_of_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a stop did not wait for them: one after the other, in order, and never two at once."""
    monkeypatch.setattr(hooks_module, "AT_END", 0.1)
    release, begun, ended = threading.Event(), [], []
    s = scheduler(app="hooked")

    @s.on_success
    def slow(line: RunInfo) -> None:
        begun.append(line.key)
        if line.key == "1":
            release.wait(20)
        ended.append(line.key)

    s.add_job("a", RARELY, lambda: None)
    for key in ("1", "2"):
        with s:
            assert s.blocking.trigger("a", key=key, wait=True, timeout=5).outcome == "succeeded"
            until(lambda: bool(begun))
    with s:
        assert s.blocking.trigger("a", key="3", wait=True, timeout=5).outcome == "succeeded"
        assert (begun, ended) == (["1"], [])
        release.set()
        until(lambda: len(ended) == 3)
    assert begun == ended == ["1", "2", "3"]


def test_what_a_hook_raises_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Errors, even SystemExit, are logged with job and hook; the hooks behind are called."""
    s = scheduler(app="hooked")
    lines: Lines = []

    @s.on_success
    def leave(line: RunInfo) -> None:
        raise SystemExit(3)

    @s.on_success
    async def fail(line: RunInfo) -> None:
        raise ValueError("no mail")

    s.on_success(lines.append)
    s.add_job("a", RARELY, lambda: None)
    with caplog.at_level(logging.ERROR, "schedcore"), s:
        s.blocking.trigger("a", wait=True, timeout=5)
        until(lambda: bool(lines))
    found = [record for record in caplog.records if getattr(record, "event", "") == "hook.failed"]
    assert [(vars(r)["hook"], vars(r)["job"], vars(r)["app"]) for r in found] == [
        ("leave", "a", "hooked"),
        ("fail", "a", "hooked"),
    ]
    assert "no mail" in caplog.text


def test_a_hook_may_ask_the_scheduler() -> None:
    """A plain hook is on no event loop: `scheduler.blocking` works there."""
    s = scheduler(app="hooked")
    outcomes: list[str] = []
    s.add_job("b", RARELY, lambda: None)
    s.add_job(
        "a",
        RARELY,
        lambda: None,
        on_success=lambda line: outcomes.append(s.blocking.trigger("b", wait=True, timeout=5).outcome),
    )
    with s:
        s.blocking.trigger("a", wait=True, timeout=5)
        until(lambda: bool(outcomes))
    assert outcomes == ["succeeded"]


def two(first: object, second: object) -> None: ...


@pytest.mark.parametrize("hook", [3, two, functools.partial(two, 1, 2)])
def test_what_cannot_be_a_hook_is_refused(hook: Any) -> None:
    """A hook takes one argument: anything else is refused when it is declared, with what is wrong."""
    s = scheduler()
    with pytest.raises(ConfigurationError, match="job 'a': on_dead must be a function of one argument"):
        s.add_job("a", RARELY, lambda: None, on_dead=hook)
    with pytest.raises(ConfigurationError, match="a hook on_missed must be a function of one argument"):
        s.on_missed(hook)


def test_an_overload_is_told_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a place becomes free and is lost again; a further one only once nobody waited."""
    monkeypatch.setattr(hooks_module, "MOST", 2)
    hooks, go_on, seen = hooks_module.Hooks({}), threading.Semaphore(0), list[RunInfo]()

    def block(line: RunInfo) -> None:
        seen.append(line)
        assert go_on.acquire(timeout=20)

    hooks.add("on_success", block)
    with caplog.at_level(logging.ERROR, "schedcore"):
        for ended in range(1, 4):  # one is called, two wait, the others are dropped
            tell(hooks, "a")
            until(lambda ended=ended: len(seen) == ended)
            for _ in range(4):
                tell(hooks, "a")
            go_on.release()
        assert events(caplog.records) == ["hook.dropped"]
        go_on.release()
        until(lambda: len(seen) == 5)  # the last that waited
        for _ in range(4):
            tell(hooks, "a")
        assert events(caplog.records) == ["hook.dropped"] * 2
    for _ in range(10):
        go_on.release()
    hooks.close()


def test_each_thread_ends_with_its_own_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a slow hook when a scheduler stops is called by the thread of then, whatever follows."""
    monkeypatch.setattr(hooks_module, "AT_END", 0.05)
    hooks, go_on = hooks_module.Hooks({}), threading.Event()
    seen: list[tuple[str, threading.Thread]] = []

    def block(line: RunInfo) -> None:
        seen.append((line.job, threading.current_thread()))
        assert go_on.wait(20)

    hooks.add("on_success", block)
    tell(hooks, "first")
    until(lambda: len(seen) == 1)
    tell(hooks, "first")
    hooks.close()
    tell(hooks, "second")
    tell(hooks, "second")
    hooks.close()
    assert len(seen) == 1
    go_on.set()
    until(lambda: len(seen) == 4)
    assert [job for job, _ in seen] == ["first", "first", "second", "second"]
    by_thread = {thread: {job for job, by in seen if by is thread} for _, thread in seen}
    assert sorted(map(sorted, by_thread.values())) == [["first"], ["second"]]
    until(lambda: not any(thread.is_alive() for thread in by_thread))


def test_a_forked_child_knows_no_loop_of_its_parent() -> None:
    """Coroutine hooks go to a loop of the child's own: the parent's would never answer."""
    hooks = hooks_module.Hooks({})
    found: list[object] = []

    async def hook(line: RunInfo) -> None:
        found.append(asyncio.get_running_loop())

    async def play() -> None:
        loop = hooks.target = hooks.virtual = asyncio.get_running_loop()
        tell(hooks, "a")
        assert hooks._tasks
        hooks.virtual = None
        hooks.forget_parent()
        assert not hooks._tasks
        tell(hooks, "a")
        await asyncio.to_thread(hooks.close)
        assert sorted(each is loop for each in found) == [False, True], (
            "what was begun before is the parent's own"
        )

    hooks.add("on_success", hook)
    asyncio.run(play())


def tell(hooks: hooks_module.Hooks, job: str) -> None:
    """Have them called as for a run that succeeded."""
    hooks.notice(Recorded(Run(job, 0, Status.SUCCEEDED), None))

"""Plain functions in threads: time limits that cannot end them, and attempts one after the other."""

import threading

from tests.engine.replica import RARELY, scheduler, until

from schedcore import RunContext, current_run


def test_a_plain_function_lives_on_after_its_time_limit() -> None:
    """It is told through `run.cancelled`; the job is free; the line says that its thread lives on."""
    s = scheduler()
    told, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    shown = []

    def job(run: RunContext) -> None:
        shown.append(repr(run.cancelled))
        run.cancelled.wait(5)
        shown.append(repr(run.cancelled))
        told.set()
        may_end.wait(5)
        ended.set()

    s.add_job("a", RARELY, job, timeout=0.1)
    with s:
        said = s.blocking.trigger("a", wait=True, timeout=5)
        assert said.outcome == "timed out"
        assert "limit of 0.1 s" in said.detail
        assert "thread lives on" in said.detail
        assert told.wait(2)
        assert shown == ["<Flag not set>", "<Flag set>"]
        assert not ended.is_set()
        assert s.blocking.health().runs == 1
        may_end.set()
        assert ended.wait(2)
        until(lambda: s.blocking.health().runs == 0)


def test_a_plain_function_that_timed_out_keeps_its_place() -> None:
    """With one thread nothing else runs until it has really ended; its job is free all the same."""
    s = scheduler(threads=1)
    may_end, ran = threading.Event(), threading.Event()
    s.add_job("a", RARELY, lambda: may_end.wait(5) and None, timeout=0.05)
    s.add_job("b", RARELY, ran.set)
    with s:
        assert s.blocking.trigger("a", wait=True).outcome == "timed out"
        s.blocking.trigger("b")
        assert not ran.wait(0.2)
        assert s.blocking.jobs(["a"])[0].state == "idle"
        may_end.set()
        assert ran.wait(2)


def test_a_plain_function_is_not_repeated_after_a_time_out() -> None:
    """Its thread is still at the first attempt: a second beside it would overlap."""
    s = scheduler()
    calls = []

    def job(run: RunContext) -> None:
        calls.append(run.attempt)
        run.cancelled.wait(5)

    s.add_job("a", RARELY, job, timeout=0.05, retries=3)
    with s:
        assert s.blocking.trigger("a", wait=True, timeout=5).outcome == "timed out"
    assert calls == [1]


def test_a_plain_function_is_repeated_in_a_thread() -> None:
    """Its attempts share nothing but the delivery; the wait between them takes no thread."""
    s = scheduler(threads=1)
    seen: list[tuple[int, int]] = []
    between = threading.Event()

    def job() -> None:
        seen.append((current_run().attempt, current_run().token))
        if len(seen) == 1:
            between.set()
            raise ValueError

    other = threading.Event()
    s.add_job("a", RARELY, job, retries=1)
    s.add_job("b", RARELY, other.set)
    with s:
        s.blocking.trigger("a")
        assert between.wait(2)
        s.blocking.trigger("b")
        assert other.wait(0.6), "while a waits to be repeated, its thread is not free"
        until(lambda: len(seen) == 2)
    assert [attempt for attempt, _ in seen] == [1, 2]
    assert len({token for _, token in seen}) == 1

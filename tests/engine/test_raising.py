"""Whatever a function raises, only its run fails."""

import asyncio
import sys
from collections.abc import Callable

import pytest
from tests.engine.replica import RARELY, Replica, outcome, scheduler, virtual

from schedcore import SchedcoreError, Scheduler, Status


@virtual
async def test_a_cancellation_from_within_is_a_failure(replica: Replica) -> None:
    """A coroutine that raises `CancelledError` itself has failed, and the engine goes on."""

    async def job() -> None:
        raise asyncio.CancelledError("my own")

    line = await outcome(replica, job, retries=3)
    assert (line.status, line.attempt) == (Status.FAILED, 1)
    assert "my own" in line.detail


@virtual
async def test_a_traceback_is_cut_at_8_kb(replica: Replica) -> None:
    """Of a long one its end is kept, where the error is."""

    async def job() -> None:
        raise ValueError("x" * 20_000 + " the end")

    detail = (await outcome(replica, job)).detail
    assert len(detail.encode()) == 8192
    assert detail.rstrip().endswith("the end")


@virtual
async def test_a_traceback_leads_to_the_line(replica: Replica) -> None:
    """File, function and message of the error are in the history."""

    async def job() -> None:
        raise ValueError("message")

    detail = (await outcome(replica, job)).detail
    assert "Traceback" in detail
    assert __file__ in detail
    assert "ValueError: message" in detail


@pytest.mark.parametrize("kind", ["plain", "coroutine", "limited", "wrapped"])
def test_a_traceback_begins_in_the_function(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """No frame of ours comes first, neither in the history nor in the log; what the function calls stays."""
    s = scheduler()

    def plain() -> None:
        raise SystemExit(3) if kind == "wrapped" else ValueError("message")

    async def coroutine() -> None:
        plain()

    s.add_job("a", RARELY, plain if kind == "plain" else coroutine, timeout=9 if kind == "limited" else None)
    with s:
        detail = s.blocking.trigger("a", wait=True, timeout=5).detail
    for text in (detail, caplog.text):
        frames = [line for line in text.splitlines() if line.startswith("  File ")]
        assert len(frames) == (1 if kind == "plain" else 2)
        assert all(__file__ in frame for frame in frames)


def test_an_error_of_many_lines_is_one_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Of a message with many lines the log tells the first and the last, and not all of them."""
    s = scheduler()

    async def job() -> None:
        raise SchedcoreError("exit 3: " + "x" * 1000 + "\nmiddle\n" + "y" * 1000)

    s.add_job("a", RARELY, job)
    with s:
        s.blocking.trigger("a", wait=True, timeout=5)
        (run,) = s.blocking.history("a")
    assert "middle" in run.detail
    (line,) = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
    assert line.startswith("job a failed: exit 3: xx")
    assert "xx ... yy" in line
    assert len(line) < 450


@virtual
async def test_without_traceback_only_the_type_is_kept(replica: Replica) -> None:
    """An error that carries a secret leaves neither its text nor its traceback anywhere."""

    async def job() -> None:
        raise ValueError("password hunter2")

    assert (await outcome(replica, job, traceback=False)).detail == "ValueError"


def test_without_traceback_the_log_has_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """What is kept out of the history is kept out of the log."""
    s = scheduler()

    def job() -> None:
        raise ValueError("password hunter2")

    s.add_job("a", RARELY, job, traceback=False, retries=0)
    with s:
        s.blocking.trigger("a", wait=True)
    assert "failed: ValueError" in caplog.text
    assert "hunter2" not in caplog.text


def stop_iteration() -> None:
    raise StopIteration("value")


def leave() -> None:
    sys.exit(3)


def interrupt() -> None:
    raise KeyboardInterrupt


def close() -> None:
    raise GeneratorExit


class OwnError(BaseException):
    """No `Exception`."""


def own() -> None:
    raise OwnError("own")


RAISERS = [stop_iteration, leave, interrupt, close, own]


@pytest.mark.parametrize("raiser", RAISERS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_whatever_a_function_raises_only_its_run_fails(kind: str, raiser: Callable[[], None]) -> None:
    """Neither the process nor the engine ends by it: the run has failed, and the next one succeeds."""
    s = scheduler()

    async def coroutine() -> None:
        raiser()

    s.add_job("bad", RARELY, raiser if kind == "plain" else coroutine)
    s.add_job("good", RARELY, lambda: None)

    async def good() -> None: ...

    s.add_job("good-too", RARELY, good)
    with s:
        said = s.blocking.trigger("bad", wait=True, timeout=5)
        assert said.outcome == "failed"
        assert any(
            word in said.detail for word in ("StopIteration", "SystemExit", "Interrupt", "Generator", "Own")
        )
        for name in ("good", "good-too"):
            assert s.blocking.trigger(name, wait=True, timeout=5).outcome == "succeeded"
        assert s.blocking.health().running


def test_a_failed_run_frees_its_job() -> None:
    """After a failure the next trigger is sent, not skipped."""
    s: Scheduler = scheduler()

    def job() -> None:
        raise ValueError

    s.add_job("a", RARELY, job)
    with s:
        outcomes = [s.blocking.trigger("a", wait=True).outcome for _ in range(3)]
    assert outcomes == ["failed"] * 3

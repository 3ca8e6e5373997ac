"""`run()`, signals and the interpreter's end, each in a process of its own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.engine.process import running

FOREGROUND = """
    signal.signal(signal.SIGINT, lambda *_: said("the application's own"))
    signal.signal(signal.SIGTERM, lambda *_: said("the application's own"))
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]

    @s.job("@every 100ms")
    async def tick():
        tick.n = getattr(tick, "n", 0) + 1
        if tick.n == 2: said("ticking")

    s.run()
    said("restored", before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)])
    said("threads", [t.name for t in threading.enumerate()])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_run_works_until_a_signal_and_restores_the_handlers(number: signal.Signals) -> None:
    """SIGTERM and SIGINT end it well: `run()` returns, handlers and threads are as before."""
    with running(FOREGROUND) as process:
        assert process.line() == "ticking"
        process.signal(number)
        assert process.rest() == ["restored True", "threads ['MainThread']"]


def test_run_lets_runs_end_after_the_first_signal() -> None:
    """What runs has the drain's time, and nothing new begins."""
    with running("""
        @s.job("@every 100ms", overlap="allow")
        async def job():
            job.n = getattr(job, "n", 0) + 1
            if job.n == 1:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0.5)
                said("ended")

        s.run()
        said("stopped", job.n < 4)
    """) as process:
        assert process.rest() == ["ended", "stopped True"]


def test_a_second_signal_stops_now() -> None:
    """The drain of 20 s is cut short: the coroutine is cancelled, and `run()` returns."""
    with running("""
        @s.job("@every 100ms")
        async def job():
            said("begun")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                said("cancelled")
                raise

        s.run()
        said("stopped")
    """) as process:
        assert process.line() == "begun"
        process.signal(signal.SIGTERM)
        time.sleep(0.3)
        assert process.process.poll() is None, "the first signal stopped at once"
        begin = time.monotonic()
        process.signal(signal.SIGTERM)
        assert process.rest() == ["cancelled", "stopped"]
        assert time.monotonic() - begin < 5


def test_a_plain_function_does_not_hold_the_process() -> None:
    """Its thread is a daemon: a second signal ends the process although the function goes on."""
    with running("""
        s.add_job("a", "@every 100ms", lambda: (said("begun"), time.sleep(60)) and None)
        s.run()
        said("stopped")
    """) as process:
        assert process.line() == "begun"
        process.signal(signal.SIGTERM)
        time.sleep(0.2)
        process.signal(signal.SIGINT)
        assert process.rest() == ["stopped"]


def test_an_interrupt_of_a_jobs_own_is_a_failure() -> None:
    """A coroutine that raises `KeyboardInterrupt` itself has failed, as with any error; SIGINT stops all."""
    with running("""
        @s.job("@every 100ms", traceback=False)
        async def job(): raise KeyboardInterrupt

        @s.job("@every 100ms")
        async def watch():
            if lines := await s.history("job"):
                said(lines[0].status)
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(0.3)
                said("ended")

        s.run()
        said("stopped")
    """) as process:
        assert process.rest() == ["failed", "ended", "stopped"]


def test_an_interrupt_still_ends_what_run_does_not_run() -> None:
    """Where signals are Python's own, Ctrl-C in a coroutine job ends the program as ever."""
    with running("""
        async def main():
            async with s:
                await asyncio.sleep(60)

        @s.job("@every 100ms")
        async def job():
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            said("interrupted")
    """) as process:
        assert process.rest() == ["interrupted"]


def test_run_can_be_called_again() -> None:
    """After one `run()` has ended, another works."""
    with running("""
        @s.job("@every 100ms")
        async def job(): os.kill(os.getpid(), signal.SIGTERM)

        for number in range(2):
            s.run()
            said("stopped", number)
    """) as process:
        assert process.rest() == ["stopped 0", "stopped 1"]


def test_the_interpreter_ends_without_a_stop() -> None:
    """Who forgets to stop is not hung at exit; runs are let to end for a moment."""
    with running("""
        @s.job("@every 100ms")
        async def job():
            if not getattr(job, "once", False):
                job.once = True
                said("begun")
                threading.Thread(target=lambda: None).start()
                await asyncio.sleep(0.3)
                said("ended")

        s.start()
        while not getattr(job, "once", False): time.sleep(0.01)
    """) as process:
        begin = time.monotonic()
        assert process.rest() == ["begun", "ended"]
        assert time.monotonic() - begin < 5


def test_the_interpreter_ends_although_functions_run_on() -> None:
    """Neither a sleeping plain function nor a sleeping coroutine holds it for longer than a moment."""
    with running("""
        begun = []
        def plain(): begun.append(1); time.sleep(60)
        async def coroutine(): begun.append(1); await asyncio.sleep(60)
        s.add_job("a", "@every 100ms", plain)
        s.add_job("b", "@every 100ms", coroutine)
        s.start()
        while len(begun) < 2: time.sleep(0.01)
        said("leaving")
    """) as process:
        assert process.line() == "leaving"
        begin = time.monotonic()
        assert process.rest() == []
        assert time.monotonic() - begin < 6


def test_a_scheduler_in_a_module_works_without_a_main_guard(tmp_path: Path) -> None:
    """The quickest start there is: a file with a job and `scheduler.run()`."""
    file = tmp_path / "app.py"
    file.write_text(
        "import os, signal\nfrom schedcore import Scheduler\n"
        "scheduler = Scheduler('quick', backend='ram')\n\n"
        "@scheduler.job('* * * * * *')\ndef tick():\n    os.kill(os.getpid(), signal.SIGTERM)\n\n"
        "scheduler.run()\n"
    )
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr

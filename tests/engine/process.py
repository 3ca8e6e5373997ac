"""A scheduler in a process of its own, and what it prints."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

from tests.strict import STRICT

HEAD = """
import asyncio, os, signal, sys, threading, time
from schedcore import Scheduler
said = lambda *words: print(*words, flush=True)
s = Scheduler("app", backend="ram", drain=20)
"""


class Process:
    """An interpreter that runs a scheduler, and what it prints."""

    def __init__(self, code: str) -> None:
        source = HEAD + textwrap.dedent(code)
        command = [sys.executable, *STRICT, "-X", "dev", "-c", source]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def line(self) -> str:
        """Read the next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def rest(self) -> list[str]:
        """Wait for its end, which must be a good one; the lines not read yet."""
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, err
        assert "Warning" not in err, err
        assert "Traceback" not in err, err
        return out.split("\n")[:-1]


@contextmanager
def running(code: str) -> Iterator[Process]:
    """Run code in a process of its own, and leave none behind."""
    started = Process(code)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.process.communicate()

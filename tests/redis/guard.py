"""A process that ends servers whose tests were killed, and removes what they left.

Linux could tell a child of its parent's death, but means the parent's *thread*; macOS cannot. So one small
process per test process holds the other end of a pipe: when that closes, whatever closed it, it cleans up.
(A child that the test process forks holds the pipe open as long as it lives.)
"""

import atexit
import os
import subprocess
import sys
import threading

CODE = """
import os, shutil, signal, sys
servers = {}
for line in sys.stdin:
    word, pid, directory = line.rstrip("\\n").split(" ", 2)
    if word == "watch":
        servers[int(pid)] = directory
    else:
        servers.pop(int(pid), None)
for pid in servers:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
for directory in set(servers.values()) - {""}:
    shutil.rmtree(directory, ignore_errors=True)
"""


class Guard:
    """What the guarding process is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._parent = 0

    def watch(self, pid: int, directory: str) -> None:
        """End this server with this process, and remove the directory ("" for none)."""
        self._say(f"watch {pid} {directory}")

    def forget(self, pid: int) -> None:
        """Leave it alone: it has ended, and another process may get its number."""
        self._say(f"forget {pid} ")

    def close(self) -> None:
        """End all that are still watched."""
        with self._lock:
            if self._process is not None and self._parent == os.getpid():
                assert self._process.stdin is not None
                self._process.stdin.close()
                self._process.wait()
                self._process = None

    def _say(self, line: str) -> None:
        with self._lock:
            if self._process is None or self._parent != os.getpid():
                self._start()
            assert self._process is not None
            assert self._process.stdin is not None
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _start(self) -> None:
        self._parent = os.getpid()
        command = [sys.executable, "-I", "-S", "-c", CODE]
        # A session of its own, so that Ctrl-C and a kill of the test's process group pass it by.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, text=True, cwd="/", start_new_session=True
        )


guard = Guard()
atexit.register(guard.close)

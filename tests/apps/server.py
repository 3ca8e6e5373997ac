"""An example application, served by a framework's own server in several processes that share a Redis."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.redis.servers import RedisServer, free_port, until

EXAMPLES = Path(__file__).parents[2] / "examples"
BEAT = re.compile(r"^\w+ of (\d\d:\d\d:\d\d) ran in process (\d+)$", re.MULTILINE)
LIMIT_S = 25.0


class Server:
    """A command in an example's directory, what it prints, and requests to it."""

    def __init__(self, example: str, *command: str, log: Path, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        self._log = log
        line = [sys.executable, *command]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **settings}
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [word.format(port=self.port) for word in line],
                cwd=EXAMPLES / example,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def said(self) -> str:
        """All that its processes printed so far."""
        return self._log.read_text()

    def beats(self) -> dict[str, list[str]]:
        """Tell in which processes each scheduled time of the job that prints ran."""
        found = defaultdict(list)
        for at, process in BEAT.findall(self.said):
            found[at].append(process)
        return dict(found)

    def until_beats(self, number: int) -> None:
        """Wait until there were so many more."""
        wanted = len(self.beats()) + number
        self._until(lambda: len(self.beats()) >= wanted, f"heartbeat {wanted}")

    def until_answers(self) -> Any:
        """Wait until the server answers, with a scheduler that works."""
        return self._until(self._answer, "an answer")

    def _answer(self) -> Any:
        with suppress(OSError):
            answer = self.ask("/")
            return answer if answer["scheduling"] else None
        return None

    def _until(self, holds: Any, what: str) -> Any:
        def holds_or_is_over() -> Any:
            return holds() or self._process.poll() is not None

        with suppress(TimeoutError):
            until(holds_or_is_over, LIMIT_S)
        answer = holds()
        assert answer, f"no {what}; exit status {self._process.poll()}; said was:\n{self.said}"
        return answer

    def ask(self, path: str, *, post: bool = False) -> Any:
        """Send a request, and read the JSON of the answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=b"" if post else None, headers={"Connection": "close"}
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{path}: {error}\n{self.said}") from None

    def stop(self) -> int:
        """Send SIGTERM to the first process, as systemd and Kubernetes do, and wait for its end."""
        self._process.terminate()
        return self.end()

    def end(self) -> int:
        """Wait for its end, and tell its exit status."""
        return self._process.wait(LIMIT_S)


@contextmanager
def serving(
    example: str, *command: str, folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[tuple[Server, RedisServer]]:
    """Have a Redis, and an example on it."""
    with RedisServer() as redis:
        ours = {"SCHEDCORE_REDIS_URL": redis.url, **(settings or {})}
        with Server(example, *command, log=folder / "log", settings=ours) as server:
            yield server, redis

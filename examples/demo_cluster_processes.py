"""The processes of the cluster: a server, the replicas, and what these wrote."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis
from demo_cluster_books import Killed, Piece, pieces_of

HERE = Path(__file__).parent
REPLICAS = 3
VICTIM = "nightly-report"


class Program:
    """A program beside this one, which ends when its standard input does: it cannot outlive this process."""

    def __init__(self, name: str, *arguments: str) -> None:
        # In a session of its own, so that Ctrl-C comes here alone.
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / name), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def hear(self) -> str:
        """Wait for its next line; one that ended instead has said why."""
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[1]} ended with {self.process.wait()}")
        return line.strip()

    def say(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def close(self, patience: float = 25) -> None:
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Cluster:
    """The replicas, what they wrote, and which of them was killed."""

    def __init__(self, url: str, app: str, record: Path) -> None:
        self.records: list[dict[str, Any]] = []
        self.killed = Killed()
        self.replicas = {
            f"replica {number}": Program(
                "demo_cluster_replica.py", url, app, f"replica {number}", str(record)
            )
            for number in range(1, REPLICAS + 1)
        }
        self._file = record.open("a+b")
        self._file.seek(0)
        self._rest = b""

    def start(self, seconds: float) -> tuple[datetime, datetime]:
        """Wait until all are ready, and let them go at the same moment."""
        for program in self.replicas.values():
            program.hear()
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
        end = start + timedelta(seconds=seconds)
        for program in self.replicas.values():
            program.say(f"{start.timestamp()} {end.timestamp()}")
        return start, end

    def news(self) -> list[dict[str, Any]]:
        """Read what has been written since."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        fresh = [json.loads(line) for line in lines]
        self.records += fresh
        return fresh

    def running(self) -> list[Piece]:
        pieces = pieces_of(self.records)
        return [p for of_time in pieces.values() for p in of_time if p.ended is None and not self.is_dead(p)]

    def is_dead(self, piece: Piece) -> bool:
        return piece.pid == self.killed.pid

    def kill_in_the_middle(self) -> Piece | None:
        """Kill the replica that has been at the long job for a second, if there is one."""
        for piece in self.running():
            if piece.job == VICTIM and time.time() - piece.begun > 1:
                process = self.replicas[piece.replica].process
                process.kill()
                self.killed = Killed(piece.replica, piece.pid, time.time())
                process.wait()
                return piece
        return None

    def close(self) -> None:
        for program in self.replicas.values():  # all at once, since each may have something to finish
            with contextlib.suppress(OSError):
                program.process.stdin.close()
        for program in self.replicas.values():
            program.close()
        self._file.close()


@contextlib.contextmanager
def a_redis(app: str) -> Iterator[str]:
    """Have a server, and leave none; on somebody else's leave no key."""
    given = os.environ.get("SCHEDCORE_TEST_REDIS_URL")
    if given:
        try:
            yield given
        finally:
            with redis.Redis.from_url(given) as client:
                for key in client.scan_iter(match=f"schedcore:{{{app}}}:*", count=1000):
                    client.delete(key)
    else:
        server = Program("demo_cluster_redis.py")
        try:
            yield server.hear()
        finally:
            server.close()

"""Replicas of one app on one file, whose clock is the test's, so that no lease is waited for."""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from sched_sqlite import SqliteBackend

from schedcore.protocols import Backend, Micros
from schedcore.testing import World


class SqliteWorld(World):
    """A file of its own; `advance` puts all replicas' clocks forward."""

    refuses = False
    flushes = True
    processes = True
    sets_back = True
    measures = True

    def __init__(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "store.sqlite"
        self.ahead: Micros = 0
        self.backends: list[SqliteBackend] = []

    def clock(self) -> Micros:
        return time.time_ns() // 1000 + self.ahead

    async def make_backends(self, count: int) -> Sequence[Backend]:
        """Make them, each with a connection of its own."""
        self.backends = [SqliteBackend("app", path=self.path) for _ in range(count)]
        for number, backend in enumerate(self.backends):
            backend.file.clock = self.clock
            await backend.open(f"r{number}")
        return self.backends

    def elsewhere(self) -> Callable[[], Backend]:
        """Have another process open the file; its clock is the machine's."""
        return partial(SqliteBackend, "app", path=self.path)

    async def set_back(self, by: Micros) -> None:
        """Jump back."""
        self.ahead -= by

    async def advance(self, by: Micros) -> None:
        """Jump."""
        self.ahead += by

    async def size(self) -> int:
        """Count all rows of all tables."""
        with closing(sqlite3.connect(self.path)) as db:
            tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            return sum(db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for (name,) in tables)

    async def flush(self) -> None:
        """Remove the file, while everybody has it open."""
        for path in self.path.parent.glob("store.sqlite*"):
            path.unlink()

    async def close(self) -> None:
        """Leave nothing."""
        for backend in self.backends:
            await backend.close()
        self.directory.cleanup()

"""The file: transactions on a thread of their own, and numbers that never come back."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from importlib.resources import files
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from schedcore.errors import StoreUnavailableError

T = TypeVar("T")
_parts = files(__package__).joinpath("statements.sql").read_text().split("-- ")[1:]
SQL = {name: statement for name, _, statement in (part.partition("\n") for part in _parts)}


class Db(sqlite3.Connection):
    """The connection, in a transaction for `app` that began at `now`."""

    app, now = "", 0

    def run(self, name: str, **values: object) -> sqlite3.Cursor:
        """Run a statement of `statements.sql`."""
        return self.execute(SQL[name], {"app": self.app, "now": self.now, **values})

    def next_number(self) -> int:
        """Give out a version or a token: above all others, also above those of a file that was lost."""
        self.run("raise newest")
        return int(self.run("newest").fetchone()[0])


class File:
    """One app's share of a file."""

    def __init__(self, path: Path, app: str) -> None:
        self.path, self.app = path, app
        self.clock: Callable[[], int] = lambda: time.time_ns() // 1000
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] | None = None
        self._db: Db | None = None
        self._inode = 0
        _all.add(self)

    async def open(self) -> None:
        """Start the thread: a daemon, since the last commits come after the others were waited for."""
        if self._calls is None:
            self._calls = SimpleQueue()
            threading.Thread(target=self._work, args=(self._calls.get,), daemon=True).start()
        await self.transact("BEGIN", lambda db: None)

    async def close(self) -> None:
        """Disconnect, and end the thread."""
        if self._calls is not None:
            await self._call(self.disconnect)
            self._calls.put(None)
            self._calls = None

    async def transact(self, begin: str, work: Callable[[Db], T]) -> T:
        """Do `work` in a transaction, whole or not at all."""
        return await self._call(lambda: self._transact(begin, work))

    async def _call(self, call: Callable[[], T]) -> T:
        if self._calls is None:
            raise StoreUnavailableError(f"{self.path} is not open")
        future: Future[T] = Future()
        self._calls.put((future, call))
        return await asyncio.wrap_future(future)

    def _work(self, get: Callable[[], tuple[Future[Any], Callable[[], Any]] | None]) -> None:
        while item := get():
            if item[0].set_running_or_notify_cancel():
                try:
                    item[0].set_result(item[1]())
                except BaseException as exc:  # noqa: BLE001  it is the caller's
                    item[0].set_exception(exc)

    def _transact(self, begin: str, work: Callable[[Db], T]) -> T:
        try:
            with _lock, self._connect() as db:  # commits, or rolls back
                db.execute(begin)
                db.now = self.clock()  # not sooner: others may have had the file until now
                return work(db)
        except (sqlite3.Error, OSError) as exc:
            self.disconnect()
            raise StoreUnavailableError(f"{self.path}: {exc}") from exc

    def _connect(self) -> Db:
        if self._db is None or not self.path.exists() or self.path.stat().st_ino != self._inode:
            self.disconnect()  # a file that was removed: all go on with the same new one
            options: Any = {"isolation_level": None, "check_same_thread": False, "factory": Db}
            self._db = sqlite3.connect(self.path, timeout=5, **options)
            self._db.app, self._inode = self.app, self.path.stat().st_ino
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(SQL["schema"])
            self._db.run("add app")
        return self._db

    def disconnect(self) -> None:
        """Close the connection; the next call makes another."""
        with _lock:
            if self._db is not None:
                self._db.close()
            self._db = None


_all: weakref.WeakSet[File] = weakref.WeakSet()
_lock = threading.RLock()


def _before_fork() -> None:
    _lock.acquire()  # a child may have neither SQLite's connections nor locks that its threads hold
    for file in list(_all):
        file.disconnect()


def _in_child() -> None:
    _lock.release()
    for file in list(_all):
        file._calls = None


os.register_at_fork(before=_before_fork, after_in_parent=_lock.release, after_in_child=_in_child)

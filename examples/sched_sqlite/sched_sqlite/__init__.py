"""schedcore on one SQLite file: several processes of one machine, and no server."""

from __future__ import annotations

from sched_sqlite._backend import SqliteBackend

__all__ = ["SqliteBackend"]

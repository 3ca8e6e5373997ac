"""sched_sqlite keeps the contracts, on a real file."""

import pytest
from tests.sqlite.world import SqliteWorld

from schedcore.testing import BackendContract


@pytest.fixture
def world() -> SqliteWorld:
    return SqliteWorld()


class TestSqlite(BackendContract):
    """One file, and a connection for each replica."""

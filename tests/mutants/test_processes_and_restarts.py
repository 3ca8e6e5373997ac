"""What only several processes, or a restart, bring to light: a named test finds each of these mistakes."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import attrs
import pytest
from sched_sqlite import SqliteBackend, _file
from sched_sqlite._backend import WRITE, within
from sched_sqlite._file import Db, File
from tests.contracts.ram import RamWorld
from tests.sqlite.world import SqliteWorld

from sched_ram import Memory, RamBackend
from sched_ram._backend import RamBus, RamStore
from schedcore.errors import StoreUnavailableError
from schedcore.protocols import (
    Answer,
    Backend,
    Beat,
    Condition,
    Delivery,
    Finding,
    Locker,
    Micros,
    Step,
    Verdict,
)
from schedcore.testing import BackendContract, World

T = TypeVar("T")


class StatementByStatement(File):
    """A step is several transactions: a lock in the process keeps its own threads apart, and nobody else."""

    def _transact(self, begin: str, work: Callable[[Db], T]) -> T:
        def apart(db: Db) -> T:
            db.execute("COMMIT")
            result = work(db)
            db.execute("BEGIN")
            return result

        return super()._transact("BEGIN", apart)


class LockOfTheDead(File):
    """Who commits first has the file until it closes it; who is killed has it for ever."""

    def _transact(self, begin: str, work: Callable[[Db], T]) -> T:
        lock, patience = self.path.with_suffix(".lock"), time.monotonic() + 7
        while begin != "BEGIN" and not self._has(lock):
            if time.monotonic() > patience:
                raise StoreUnavailableError(f"{lock} is somebody else's")
            time.sleep(0.01)  # a lock file calls nobody: its owner is another process
        return super()._transact(begin, work)

    def _has(self, lock: Path) -> bool:
        with contextlib.suppress(FileExistsError), lock.open("x") as file:
            file.write(str(os.getpid()))
        return lock.read_text() == str(os.getpid())


class DeafToOthers(SqliteBackend):
    """A receive looks again when this process has sent something."""

    sent = 0

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        DeafToOthers.sent += 1
        return await super().commit(steps, locker)

    async def receive(self, jobs: frozenset[str], limit: int, wait: Micros) -> Sequence[Delivery]:
        before, until = self.sent, time.monotonic() + wait / 1_000_000
        while self.sent == before and time.monotonic() < until:  # noqa: ASYNC110  other loops send too
            await asyncio.sleep(0.01)
        return await super().receive(jobs, limit, 0)


class BeatsOfThisProcess(SqliteBackend):
    """The last beat is kept in memory."""

    last: Micros | None = None

    async def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Beat:
        answer: Beat = await super().beat(replica, facts, ttl)
        before, BeatsOfThisProcess.last = self.last, answer.now
        return attrs.evolve(answer, gap=0 if before is None else answer.now - before)


class Unforkable(SqliteBackend):
    """Its thread was the parent's, and it does not know."""

    def __init__(self, app: str, **options: object) -> None:
        super().__init__(app, **options)
        _file._all.discard(self.file)

    async def open(self, replica: str) -> None:
        async with asyncio.timeout(3):
            await super().open(replica)


class KeepsTheHistory(SqliteBackend):
    """What is purged leaves its lines."""

    @within(WRITE)
    def purge(self, db: Db) -> bool:
        what = ("rows", "triggers", "steps", "replicas")
        return sum(db.run(f"forget all {each}").rowcount for each in what) > 0


class PurgesAllApps(SqliteBackend):
    """Who shares the file is purged as well."""

    @within(WRITE)
    def purge(self, db: Db) -> bool:
        what = ("rows", "runs", "triggers", "steps", "replicas")
        return sum(db.execute(f"DELETE FROM {each}").rowcount for each in what) > 0


class LeavesPeopleAlone(SqliteBackend):
    """It says what is wrong, and not what to do."""

    async def examine(self) -> Sequence[Finding]:
        return [Finding("room", Condition.FAIL, "the disk is full")]


class BackendWorld(SqliteWorld):
    """Processes with a backend of one kind."""

    neighbours = True

    async def make_neighbour(self) -> Backend:
        other = self.kind("app-2", path=self.path)
        self.backends.append(other)
        await other.open("r0")
        return other

    def __init__(self, kind: type[SqliteBackend]) -> None:
        super().__init__()
        self.kind = kind

    def elsewhere(self) -> Callable[[], Backend]:
        return partial(self.kind, "app", path=self.path)

    async def make_backends(self, count: int) -> Sequence[Backend]:
        self.backends = [self.kind("app", path=self.path) for _ in range(count)]
        for number, backend in enumerate(self.backends):
            await backend.open(f"r{number}")
        return self.backends


def sqlite(kind: type[File], path: Path) -> SqliteBackend:
    """Make a backend whose file is of that kind; another process makes its own."""
    backend = SqliteBackend("app", path=path)
    backend.file = kind(path, "app")
    return backend


class FileWorld(SqliteWorld):
    """Processes that share a file of one kind."""

    def __init__(self, kind: type[File]) -> None:
        super().__init__()
        self.kind = kind

    def elsewhere(self) -> Callable[[], Backend]:
        return partial(sqlite, self.kind, self.path)

    async def make_backends(self, count: int) -> Sequence[Backend]:
        self.backends = [sqlite(self.kind, self.path) for _ in range(count)]
        for number, backend in enumerate(self.backends):
            await backend.open(f"r{number}")
        return self.backends


class Server:
    """A server that keeps a memory, and may lack what it had when it comes back."""

    def __init__(self) -> None:
        self.name, self.seen = "server 1", ""

    def restart(self, memory: Memory) -> None:
        """Come back under another name, with everything."""
        self.name = "server 2"

    def lets_in(self) -> bool:
        """Tell whether a step may be committed: whether the last beat was on this server."""
        return self.seen in ("", self.name)


class SameName(Server):
    """Nobody hears of the restart."""

    def restart(self, memory: Memory) -> None:
        pass


class LetsInUnseen(Server):
    """A step that was formed before the restart is committed after it."""

    def lets_in(self) -> bool:
        return True


class ForgetsWhatWaits(Server):
    """What has not been handed out was only in memory."""

    def restart(self, memory: Memory) -> None:
        super().restart(memory)
        for items in memory.items.values():
            for key in [key for key, item in items.items() if not item.replica]:
                del items[key]


class ForgetsWhoHolds(Server):
    """Leases were only in memory: all that was delivered waits again."""

    def restart(self, memory: Memory) -> None:
        super().restart(memory)
        for items in memory.items.values():
            for item in [item for item in items.values() if item.replica]:
                memory.offer(item)


class ServerBus(RamBus):
    """Asks its server first."""

    def __init__(self, memory: Memory, server: Server) -> None:
        super().__init__(memory)
        self._server = server

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        if self._server.lets_in():
            return await super().commit(steps, locker)
        now = self._memory.clock()
        return [
            Answer(Verdict.HELD, tuple(self._memory.row(job) for job, _ in s.expects), now) for s in steps
        ]


class ServerStore(RamStore):
    """Says with a beat which server answered."""

    def __init__(self, memory: Memory, server: Server) -> None:
        super().__init__(memory, "app")
        self._server = server

    async def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Beat:
        self._server.seen = self._server.name
        return attrs.evolve(await super().beat(replica, facts, ttl), server=self._server.name)


class ServerWorld(RamWorld):
    """Replicas of a server that can be restarted."""

    restarts = True

    def __init__(self, kind: type[Server]) -> None:
        super().__init__()
        self.server = kind()

    async def make_backends(self, count: int) -> Sequence[Backend]:
        backends = []
        for number in range(count):
            backend = RamBackend("app", memory=self.memory)
            backend.bus = ServerBus(self.memory, self.server)
            backend.store = ServerStore(self.memory, self.server)
            await backend.open(f"r{number}")
            backends.append(backend)
        return backends

    async def restart(self) -> None:
        self.server.restart(self.memory)


CAUGHT: list[tuple[Callable[[], World], str]] = [
    (partial(FileWorld, StatementByStatement), "processes_that_change_one_row_lose_no_change"),
    (partial(FileWorld, StatementByStatement), "a_trigger_is_handed_out_to_one_process"),
    (partial(FileWorld, StatementByStatement), "who_reads_while_another_process_commits_sees_whole_steps"),
    (partial(BackendWorld, DeafToOthers), "what_another_process_writes_counts_here"),
    (partial(BackendWorld, BeatsOfThisProcess), "what_another_process_writes_counts_here"),
    (partial(BackendWorld, Unforkable), "a_child_that_was_forked_opens_the_backend_anew"),
    (partial(BackendWorld, KeepsTheHistory), "purge_removes_all_that_there_is_of_the_app"),
    (partial(BackendWorld, PurgesAllApps), "purge_leaves_other_apps_alone"),
    (partial(BackendWorld, LeavesPeopleAlone), "examine_tells_findings_and_changes_nothing"),
    (partial(FileWorld, LockOfTheDead), "a_process_that_is_killed_leaves_whole_steps_and_no_lock"),
    (partial(ServerWorld, SameName), "a_beat_tells_a_server_that_was_restarted"),
    (partial(ServerWorld, LetsInUnseen), "nothing_is_committed_on_a_restarted_server_before_a_beat"),
    (partial(ServerWorld, ForgetsWhatWaits), "what_was_acknowledged_is_there_after_a_restart"),
    (partial(ServerWorld, ForgetsWhoHolds), "what_was_acknowledged_is_there_after_a_restart"),
]


def name(value: object) -> str:
    return value.args[0].__name__ if isinstance(value, partial) else str(value)


@pytest.mark.parametrize(("make", "test"), CAUGHT, ids=name)
def test_a_mutant_is_caught_by_the_test_that_is_named(make: Callable[[], World], test: str) -> None:
    """It fails with a message of its own, and says what to look at."""
    with pytest.raises(AssertionError) as caught:
        getattr(BackendContract(), f"test_{test}")(world=make())
    assert "Look at: " in caught.value.__notes__[0]


@pytest.mark.parametrize("test", sorted({test for _, test in CAUGHT if "restart" in test}))
def test_a_right_server_may_be_restarted(test: str) -> None:
    """The same tests pass for one without a mistake."""
    getattr(BackendContract(), f"test_{test}")(world=ServerWorld(Server))

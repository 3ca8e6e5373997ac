"""What processes do to the backend: they fork, exit without a word, have the wrong path, lose the file."""

import asyncio
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sched_sqlite import SqliteBackend
from tests.sqlite.world import SqliteWorld

from schedcore import ConfigurationError, Scheduler, StoreUnavailableError
from schedcore.protocols import Backend
from schedcore.testing.world import one, row_of, send, take


def run(code: str, path: Path, limit: float = 30) -> list[str]:
    """Run code in a process of its own; what it printed."""
    head = "import os, sys, time\nfrom schedcore import Scheduler\nfrom sched_sqlite import SqliteBackend\n"
    command = [sys.executable, "-W", "error", "-c", head + textwrap.dedent(code), str(path)]
    paths = [str(Path(__file__).parents[2] / "examples/sched_sqlite"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=limit, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here")
def test_a_forked_child_has_a_connection_of_its_own(tmp_path: Path) -> None:
    """Parent and child of a fork, started both, share the app and no connection: each time is run once."""
    lines = run(
        """
        scheduler = Scheduler("app", backend=SqliteBackend("app", path=sys.argv[1]))
        scheduler.add_job("tick", "@every 1s", lambda run: print("ran", run.scheduled_at.timestamp()))
        scheduler.start()
        parent = os.getpid()
        child = os.fork()
        links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
        opened = [os.readlink(link) for link in links if os.path.islink(link)]
        if child == 0:
            print("inherited", sum(sys.argv[1] in name for name in opened))
            scheduler.start()
        time.sleep(3.5)
        scheduler.stop()
        if child == 0:
            os._exit(0)
        print("child", os.waitpid(child, 0)[1])
        """,
        tmp_path / "store",
    )
    times = [line for line in lines if line.startswith("ran")]
    assert "inherited 0" in lines
    assert "child 0" in lines
    assert len(times) >= 3
    assert len(set(times)) == len(times)


def test_a_process_that_exits_without_a_stop_ends_at_once(tmp_path: Path) -> None:
    """The last commits of a scheduler that nobody stopped come while the interpreter exits; nothing hangs."""
    lines = run(
        """
        scheduler = Scheduler("app", backend=SqliteBackend("app", path=sys.argv[1]))
        scheduler.add_job("long", "@every 1s", lambda: time.sleep(0.2))
        scheduler.start()
        scheduler.blocking.trigger("long", wait=True)
        print("over")
        """,
        tmp_path / "store",
        limit=9,
    )
    assert lines == ["over"]


def test_processes_that_begin_at_once_share_a_new_file(tmp_path: Path) -> None:
    """Four processes make the file together: none is told that it is locked."""
    code = """
    import asyncio
    from sched_sqlite import SqliteBackend
    async def main():
        backend = SqliteBackend("app", path=sys.argv[1])
        await backend.open("r")
        print((await backend.store.beat("r", {}, 1)).epoch)
        await backend.close()
    while not os.path.exists(sys.argv[1] + ".go"):
        time.sleep(0.001)
    asyncio.run(main())
    """
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(run, code, tmp_path / "store") for _ in range(4)]
        (tmp_path / "store.go").touch()
        epochs = {line for each in runs for line in each.result()}
    assert len(epochs) == 1


@pytest.mark.parametrize("path", ["", ":memory:", "file:x?mode=memory", 5, "{tmp}", "{tmp}/none/store", None])
def test_a_path_that_cannot_be_is_refused(
    path: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing, memory, an URI, a number, a directory, a file in no directory: the error names the option."""
    monkeypatch.delenv("SCHEDCORE_SQLITE_PATH", raising=False)
    given = path.format(tmp=tmp_path) if isinstance(path, str) else path
    with pytest.raises(ConfigurationError, match=r"path=.*SCHEDCORE_SQLITE_PATH"):
        SqliteBackend("app", path=given)


def test_unknown_options_are_refused_by_name(tmp_path: Path) -> None:
    """The message names them, and the one that there is."""
    with pytest.raises(ConfigurationError, match="no option url, only path"):
        SqliteBackend("app", path=tmp_path / "store", url="x")


def test_the_path_may_come_from_the_environment(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its entry point, with the variable alone; what is given in the code comes first."""
    monkeypatch.setenv("SCHEDCORE_SQLITE_PATH", str(installed))
    assert "store.sqlite" in repr(Scheduler("app", backend="sqlite")._lifetime._backend)
    assert "other" in repr(SqliteBackend("app", path=installed.with_name("other")))


def test_two_apps_share_a_file(tmp_path: Path) -> None:
    """Each sees its own rows and triggers only."""

    async def play() -> None:
        backends: list[Backend] = [SqliteBackend(app, path=tmp_path / "store") for app in ("one", "two")]
        for backend in backends:
            await backend.open("r0")
        await send(backends[0])
        assert (await row_of(backends[1])).version == 0
        assert list(await take(backends[1])) == []
        assert len(await take(backends[0])) == 1
        for backend in backends:
            await backend.close()

    asyncio.run(play())


def test_a_cancelled_receive_gives_back_what_it_took() -> None:
    """Cancelled at any moment, what the thread took meanwhile is there at once, not after its lease."""

    async def play() -> None:
        world = SqliteWorld()
        backend = await one(world)
        for number in range(50):
            await send(backend)
            receiving = asyncio.ensure_future(backend.bus.receive(frozenset("a"), 5, 0))
            await asyncio.sleep(0.00005 * number)
            receiving.cancel()
            await asyncio.wait([receiving])
            taken = [] if receiving.cancelled() else list(receiving.result())
            taken += await take(backend)
            assert len(taken) == 1
            await world.flush()
        await world.close()

    asyncio.run(play())


def test_a_backend_that_is_not_open_says_so(tmp_path: Path) -> None:
    """A call after close is refused, and makes no thread."""

    async def play() -> None:
        backend = SqliteBackend("app", path=tmp_path / "store")
        with pytest.raises(StoreUnavailableError, match="is not open"):
            await backend.rows()

    asyncio.run(play())


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """The driver's error is translated, with the path."""
    (tmp_path / "store").write_text("no database" * 100)

    async def play() -> None:
        backend = SqliteBackend("app", path=tmp_path / "store")
        with pytest.raises(StoreUnavailableError, match=r"store: file is not a database"):
            await backend.open("r0")
        await backend.close()

    asyncio.run(play())

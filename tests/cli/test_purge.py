"""`schedcore purge`, and that whoever only asks leaves nothing behind."""

import asyncio
import io
import json
from collections.abc import Iterator

import pytest
import redis
from sched_sqlite import SqliteBackend
from tests.cli.conftest import Ask, Shop, close, snapshot
from tests.cli.terminals import in_a_terminal

from sched_redis import RedisBackend
from schedcore import Scheduler
from schedcore._cli_main import invoke
from schedcore.protocols import Purging


@pytest.fixture
def neighbour(closed_shop: Shop) -> Iterator[dict[bytes, object]]:
    """Another app on the same server, whose name begins like the first one's."""
    other = Shop(closed_shop.url, closed_shop.directory)
    other.app = f"{closed_shop.app}2"
    close(other)
    yield snapshot(other)
    with redis.Redis.from_url(other.url) as client:
        client.delete(*snapshot(other))


def everything(shop: Shop) -> set[bytes]:
    with redis.Redis.from_url(shop.url) as client:
        return set(client.keys(f"*{shop.app}*"))


def test_an_app_is_removed_and_no_other(closed_shop: Shop, neighbour: dict[bytes, object]) -> None:
    """All its keys are gone, histories of jobs and what waits too; the app next to it is as it was."""
    closed_shop.run("trigger", "report")
    name = closed_shop.app
    out = closed_shop.ask("purge", "--yes", name)
    assert out == f"app {name}: removed, with 3 jobs, 1 unfinished triggers and all history\n"
    assert everything(closed_shop) == set(neighbour)
    done = closed_shop.run("purge", "--yes", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"the store has nothing of app {name}: is its name right" in done.stderr
    assert everything(closed_shop) == set(neighbour)


def test_the_name_is_typed_in_a_terminal(closed_shop: Shop) -> None:
    """Whoever types another name, or nothing, has removed nothing."""
    before = snapshot(closed_shop)
    for typed in ("", "yes", f"{closed_shop.app}x"):
        status, shown = in_a_terminal(closed_shop, "purge", typed=f"{typed}\n")
        assert status == 2
        assert f"This removes app {closed_shop.app}, with 3 jobs" in shown
        assert f"{typed!r} is not {closed_shop.app!r}: nothing was removed" in shown
        assert snapshot(closed_shop) == before
    status, shown = in_a_terminal(closed_shop, "purge", typed=f"{closed_shop.app}\n")
    assert status == 0
    assert snapshot(closed_shop) == {}


def test_nothing_is_removed_while_a_replica_is_alive(closed_shop: Shop) -> None:
    """It would put back what it remembers; whoever wants that all the same says --force."""
    scheduler = closed_shop.scheduler()
    scheduler.add_job("report", "@every 24h", lambda: None)
    with scheduler:
        before = closed_shop.ask("jobs", "--json")
        done = closed_shop.run("purge", "--yes", closed_shop.app)
        assert done.returncode == 2
        assert f"1 replicas of app {closed_shop.app} are alive" in done.stderr
        assert "stop them first" in done.stderr
        assert closed_shop.ask("jobs", "--json") == before
        said = json.loads(closed_shop.ask("purge", "--yes", closed_shop.app, "--force", "--json"))
        assert (said["app"], said["purged"], len(said["alive"])) == (closed_shop.app, True, 1)
        closed_shop.until(lambda: [info.name for info in scheduler.blocking.jobs()] == ["report"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["purge"], "nobody is there to be asked: confirm with --yes "),
        (["purge", "--yes", "other"], "--yes 'other' is not the app, which is"),
        (["purge", "report"], "unexpected extra argument (report)"),
        (["purge", "--app", "no such"], "'no such'"),
        (["purge", "--backend", "ram"], "the ram backend keeps an app within its process"),
    ],
)
def test_what_cannot_be_used_is_refused(
    refused: Ask, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what is wrong and what would be right; the status is 2, and nothing has changed."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert said in refused(*words)


def test_a_store_that_cannot_says_so(closed_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Purging is no part of what every store has to be able to do."""
    from sched_redis._store import RedisStore

    monkeypatch.delattr(RedisStore, "purge")
    before = snapshot(closed_shop)
    monkeypatch.setattr("sys.stderr", error := io.StringIO())
    for name, value in closed_shop.environment.items():
        monkeypatch.setenv(name, value)
    assert invoke(["purge", "--yes", closed_shop.app]) == 2
    assert error.getvalue() == "schedcore: this backend cannot remove an app\n"
    assert snapshot(closed_shop) == before


@pytest.mark.parametrize(
    "words",
    [["jobs"], ["replicas"], ["history", "a"], ["dead", "list"], ["trigger", "a"], ["pause", "--all"]],
)
def test_whoever_asks_for_an_app_that_is_none_leaves_nothing(
    redis_url: str, app_name: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistyped --app makes no key."""
    monkeypatch.setenv("SCHEDCORE_REDIS_URL", redis_url)
    assert invoke([*words, "--app", app_name, "--backend", "redis"]) != 0
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys(f"*{app_name}*") == []


def test_a_prefix_is_taken_literally(redis_url: str, app_name: str) -> None:
    """Characters of a pattern in the prefix find no other app's keys."""

    async def purge() -> None:
        backend = RedisBackend(app_name, url=redis_url, prefix=f"{app_name}[ab]*")
        await backend.open("r")
        await backend.store.beat("r", {}, 1_000_000)
        assert await backend.store.purge()
        assert not await backend.store.purge()
        await backend.close()

    with redis.Redis.from_url(redis_url) as client:
        client.set(f"{app_name}a:{{{app_name}}}:meta", "mine")
        asyncio.run(purge())
        assert client.keys(f"{app_name}*") == [f"{app_name}a:{{{app_name}}}:meta".encode()]
        client.delete(f"{app_name}a:{{{app_name}}}:meta")


def test_an_app_on_sqlite_is_removed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The example has it too, and leaves the other apps in the file alone."""
    path = tmp_path_factory.mktemp("file") / "db"
    for app in ("one", "two"):
        scheduler = Scheduler(app, backend=SqliteBackend(app, path=path))
        scheduler.add_job("report", "@every 24h", lambda: None)
        with scheduler:
            assert scheduler.blocking.trigger("report", wait=True, timeout=10).outcome == "succeeded"

    async def purge() -> list[int]:
        one, two = SqliteBackend("one", path=path), SqliteBackend("two", path=path)
        store: Purging = one.store
        for backend in (one, two):
            await backend.open("r")
        said = [await store.purge(), await store.purge()]
        assert said == [True, False]
        found = [len(await backend.store.rows()) for backend in (one, two)]
        lines = [len((await backend.store.runs("report"))[0]) for backend in (one, two)]
        for backend in (one, two):
            await backend.close()
        return found + lines

    assert asyncio.run(purge()) == [0, 1, 0, 1]

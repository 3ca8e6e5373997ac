"""docs/how-to/operate-redis.md quotes what the log really says."""

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.redis.servers import RedisServer, free_port, until

from schedcore import Scheduler, Status

PAGE = (Path(__file__).parents[2] / "docs/how-to/operate-redis.md").read_text()
QUOTES = [quote for quote in re.findall(r"`([^`\n]+)`", PAGE.replace("```", "")) if " " in quote]
Prepare = Callable[[RedisServer], str]


def is_quoted(said: str) -> bool:
    """Tell whether the page has this text between backticks, whatever ports and ids; `...` is anything."""
    text = re.sub(r"127\.0\.0\.1(:|', )\d+", r"127.0.0.1\g<1>6379", said)
    text = re.sub(r"\b\d{13}-\d+", "1795465659397-0", text)
    return any(
        re.search(r".*".join(re.escape(piece) for piece in quote.split("...")), text) for quote in QUOTES
    )


def cause(caplog: pytest.LogCaptureFixture) -> str:
    """Wait until the store is said to be away, and read why."""
    record = until(
        lambda: next((r for r in caplog.records if getattr(r, "event", "") == "store.away"), None),
        what="store.away",
    )
    found = re.fullmatch(r"store is away, trying again for ever: app billing (\(.*\))", record.getMessage())
    assert found
    return found[1]


@contextlib.contextmanager
def billing(url: str) -> Iterator[Scheduler]:
    """Run an app for a while; how it ends without a store is not the question here."""
    scheduler = Scheduler("billing", backend="redis", url=url)
    scheduler.add_job("beat", "@every 1s", lambda: None)
    scheduler.start()
    try:
        yield scheduler
    finally:
        with contextlib.suppress(Exception):
            scheduler.stop(drain=0)


def wrong_password(server: RedisServer) -> str:
    server.add_user("billing", "secret", "~* +@all")
    return f"redis://billing:wrong@127.0.0.1:{server.port}/0"


def without_a_right(server: RedisServer) -> str:
    return server.add_user("billing", "secret", "~schedcore:{billing}:* +@all -evalsha")


def another_apps_keys(server: RedisServer) -> str:
    return server.add_user("billing", "secret", "~schedcore:{other}:* +@all")


def a_replica(server: RedisServer) -> str:
    server.cli("REPLICAOF", "127.0.0.1", "1")
    return server.url


def full(server: RedisServer) -> str:
    server.cli("CONFIG", "SET", "maxmemory", "1")
    return server.url


def another_kind_of_key(server: RedisServer) -> str:
    server.cli("SET", "schedcore:{billing}:stream", "mine")
    return server.url


def nobody(server: RedisServer) -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (wrong_password, "AuthenticationError"),
        (without_a_right, "NoPermissionError"),
        (another_apps_keys, "NoPermissionError"),
        (a_replica, "ReadOnlyError"),
        (full, "OutOfMemoryError"),
        (another_kind_of_key, "WRONGTYPE"),
        (nobody, "ConnectionError"),
    ],
)
def test_a_cause_is_quoted_as_it_is_said(
    prepare: Prepare, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each cause is made to happen, and the page has what the log then says."""
    with RedisServer() as server, billing(prepare(server)):
        said = cause(caplog)
    assert error in said
    assert is_quoted(said), said


def test_what_happens_while_it_runs_is_quoted_as_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A stop, a stall, a restart without data: the page has each line of the log."""
    with RedisServer() as server, billing(server.url) as scheduler:
        until(scheduler.blocking.jobs)
        server.stop()
        assert "ConnectionError" in cause(caplog)  # of several, as it was waiting, sending or connecting
        caplog.clear()
        server.start()
        until(lambda: scheduler.blocking.health().losses)
        server.pause()
        assert is_quoted(cause(caplog))
        server.resume()
        until(lambda: scheduler.blocking.health().connected)
    lines = [r for r in caplog.records if getattr(r, "event", "").startswith("store")]
    assert {r.event for r in lines} == {"store.away", "store.back", "store.lost_data"}
    lines = [r for r in lines if "ConnectionError" not in r.getMessage()]
    assert [r.getMessage() for r in lines if not is_quoted(r.getMessage())] == []


def test_garbage_on_the_stream_is_quoted_as_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """An entry that is no trigger is dropped, and the page has what is said of it."""
    with RedisServer() as server, billing(server.url) as scheduler:
        until(scheduler.blocking.jobs)
        server.cli("XADD", "schedcore:{billing}:stream", "*", "a", "b")
        record = until(
            lambda: next((r for r in caplog.records if "no trigger" in r.getMessage()), None), what="garbage"
        )
    assert is_quoted(record.getMessage())


def test_a_history_of_another_kind_is_quoted_as_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """It is set aside, and the page has what is said of it."""
    with RedisServer() as server:
        server.cli("SET", "schedcore:{billing}:runs:beat", "mine")
        with billing(server.url):
            record = until(
                lambda: next((r for r in caplog.records if r.event == "redis.strange_key"), None),
                what="a key set aside",
            )
    assert is_quoted(record.getMessage())


def test_a_stream_that_somebody_deleted_is_quoted_as_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """What was in the stream is put back, and the page has what is said of it."""
    begun, may_end = threading.Event(), threading.Event()
    with RedisServer() as server, billing(server.url) as scheduler:
        scheduler.add_job("long", "@every 24h", lambda: (begun.set(), may_end.wait(30)))
        until(lambda: "long" in [job.name for job in scheduler.blocking.jobs()])
        scheduler.blocking.trigger("long")
        assert begun.wait(20)
        server.cli("DEL", "schedcore:{billing}:stream")
        record = until(
            lambda: next((r for r in caplog.records if r.event == "redis.mended"), None), what="mending"
        )
        may_end.set()
    assert is_quoted(record.getMessage())


def test_every_event_on_the_page_exists() -> None:
    """An event that the page names is one that some record has."""
    sources = "\n".join(path.read_text() for path in Path(__file__).parents[2].glob("src/**/*.py"))
    events = set(re.findall(r"`((?:store|run|lease|clock|job|redis|engine)\.[a-z_]+)`", PAGE))
    assert events >= {"store.away", "store.lost_data", "lease.lost"}
    made = {f"run.{status}" for status in Status}  # as the end of a run that nobody ran is said
    assert {event for event in events - made if f'"{event}"' not in sources} == set()


def test_a_text_that_is_not_on_the_page_is_noticed() -> None:
    """The comparison can fail."""
    assert not is_quoted("(AuthenticationError: something else altogether, and long enough.)")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Keep what is said at all levels."""
    caplog.set_level(logging.INFO, logger="schedcore")

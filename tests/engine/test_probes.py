"""What Kubernetes asks: over HTTP, answered whatever else is stuck."""

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import pytest
from tests.engine.flaky import FlakyBackend
from tests.engine.replica import scheduler, until

from schedcore import ConfigurationError, Scheduler, _watchdog
from schedcore.probes import Probes

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(probes: Probes, path: str, method: str = "GET") -> tuple[int, Any]:
    """Ask one of its pages; status and content."""
    request = urllib.request.Request(f"http://127.0.0.1:{probes.port}{path}", method=method)
    try:
        with OPENER.open(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def verdict(probes: Probes, path: str) -> tuple[int, Any]:
    status, content = ask(probes, path)
    return status, json.loads(content)


@pytest.fixture
def s() -> Scheduler:
    return scheduler(app="probed")


@pytest.fixture
def probes(s: Scheduler) -> Iterator[Probes]:
    with Probes(s, 0, host="127.0.0.1") as probes:
        yield probes


def test_a_replica_is_ready_from_start_to_stop(s: Scheduler, probes: Probes) -> None:
    """Before and after it is not; alive it is all the time."""
    not_started = (503, {"ready": False, "why": ["the scheduler is not started"]})
    assert verdict(probes, "/ready") == not_started
    assert verdict(probes, "/live") == (200, {"live": True, "why": []})
    with s:
        assert verdict(probes, "/ready") == (200, {"ready": True, "why": []})
    assert verdict(probes, "/ready") == not_started
    assert verdict(probes, "/live") == (200, {"live": True, "why": []})


def test_while_runs_end_it_is_not_ready(s: Scheduler, probes: Probes) -> None:
    """A replica that drains takes nothing more: no traffic is to be sent to its pod."""
    release, begun = threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        release.wait(20)

    s.add_job("a", "@every 24h", job)
    s.start()
    s.blocking.trigger("a")
    assert begun.wait(5)
    stopping = threading.Thread(target=s.stop)
    stopping.start()
    until(lambda: verdict(probes, "/ready")[0] == 503)
    assert verdict(probes, "/ready")[1]["why"] == ["the engine is starting, or stopping"]
    assert verdict(probes, "/live")[0] == 200
    release.set()
    stopping.join()


def test_without_the_store_it_is_alive_and_not_ready() -> None:
    """A restart would not help, so the pod lives on; it is ready again once the store is back."""
    backend = FlakyBackend("probed")
    s = Scheduler("probed", backend=backend, drain=1)
    with Probes(s, 0, host="127.0.0.1") as probes, s:
        assert verdict(probes, "/ready")[0] == 200
        backend.fail("beat", "renew", "receive", "lapsed")
        s._lifetime._service.submit(hurry(s)).result()
        until(lambda: verdict(probes, "/ready")[0] == 503)
        assert verdict(probes, "/ready")[1]["why"] == ["the store is away"]
        assert verdict(probes, "/live")[0] == 200
        backend.fail()
        until(lambda: verdict(probes, "/ready")[0] == 200)


async def hurry(s: Scheduler) -> None:
    engine = s._lifetime.engine()
    assert engine is not None
    engine.pulse.hurry()


def test_a_stuck_engine_is_neither(s: Scheduler, probes: Probes, monkeypatch: pytest.MonkeyPatch) -> None:
    """While something blocks the engine's thread both probes fail, and say what is stuck."""
    monkeypatch.setattr(_watchdog, "LOOK", 0.05)
    monkeypatch.setattr(_watchdog, "ANSWER", 0.2)
    release = threading.Event()

    async def block() -> None:
        release.wait(20)

    with s:
        s._lifetime._service.submit(block())
        try:
            until(lambda: verdict(probes, "/live")[0] == 503)
            assert verdict(probes, "/live")[1] == {"live": False, "why": ["the engine is stuck"]}
            assert verdict(probes, "/ready")[0] == 503
        finally:
            release.set()
        until(lambda: verdict(probes, "/ready")[0] == 200)


def test_health_tells_all_that_is_known(s: Scheduler, probes: Probes) -> None:
    """`/health` has every field of `Health`, and the two verdicts."""
    with s:
        status, health = verdict(probes, "/health")
        assert (status, health["ready"], health["stuck"], health["late"]) == (200, True, "", [])
        assert health["replica"] == s.blocking.health().replica


def test_other_requests(probes: Probes) -> None:
    """HEAD has no content, queries are ignored, what is not there is told, nothing can be changed."""
    assert ask(probes, "/live", "HEAD") == (200, "")
    assert ask(probes, "/live?x=1")[0] == 200
    assert ask(probes, "/") == (404, "there are /live, /ready, /health\n")
    assert ask(probes, "/live", "POST") == (405, "GET or HEAD\n")


@pytest.mark.parametrize("said", [b"", b"\r\n\r\n", b"x" * 70_000, b"GET\r\n\r\n", b"\xff\xfe \r\n\r\n"])
def test_garbage_harms_nothing(probes: Probes, said: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever somebody sends, the next probe is answered, and no log is filled with it."""
    with socket.create_connection(("127.0.0.1", probes.port), 5) as stream:
        stream.sendall(said)
        stream.shutdown(socket.SHUT_WR)
        try:
            while stream.recv(4096):
                pass
        except ConnectionResetError:
            pass  # it need not read all of it
    assert ask(probes, "/live")[0] == 200
    assert caplog.records == []


def test_who_is_still_asking_when_it_is_closed_is_no_error(
    probes: Probes, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that has sent nothing yet, as a load balancer keeps one open, is closed without a word."""
    with socket.create_connection(("127.0.0.1", probes.port)) as connection:
        assert ask(probes, "/live")[0] == 200, "and the connection before it was taken"
        probes.close()
        assert connection.recv(1) == b""
    assert caplog.records == []


def test_a_port_that_is_taken_is_refused(s: Scheduler, probes: Probes) -> None:
    """One line says which port, and what to do."""
    with pytest.raises(ConfigurationError, match=rf"the port {probes.port} .*; name another"):
        Probes(s, probes.port, host="127.0.0.1").start()


def test_a_page_that_takes_long_or_fails_hinders_no_probe(
    s: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever gathers metrics must not have a pod restarted; why a page failed is in the log."""
    begun, release = threading.Event(), threading.Event()

    def slow() -> tuple[HTTPStatus, str, bytes]:
        begun.set()
        release.wait(20)
        return HTTPStatus.OK, "text/plain", b"at last"

    def broken() -> tuple[HTTPStatus, str, bytes]:
        raise OSError("no such page")

    probes = Probes(s, 0, host="127.0.0.1")
    probes.pages |= {"/slow": slow, "/broken": broken}
    with probes, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, probes, "/slow")
        assert begun.wait(5)
        assert verdict(probes, "/live")[0] == 200
        assert ask(probes, "/broken") == (500, "it failed; the log tells why\n")
        release.set()
        assert answer.result() == (200, "at last")
    assert [r.event for r in caplog.records] == ["probes.page_failed"]


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_refused(s: Scheduler, port: int) -> None:
    """It is told where the probes are made."""
    with pytest.raises(ConfigurationError, match=rf"there is no port {port} .* from 0 to 65535"):
        Probes(s, port)


def threads() -> int:
    return sum(thread.name == "schedcore-probed-probes" for thread in threading.enumerate())


def test_a_start_that_fails_leaves_nothing(s: Scheduler) -> None:
    """Whatever the reason: what was begun is ended."""
    with pytest.raises(ValueError, match="null"):
        Probes(s, 0, host="nul\0l").start()
    assert threads() == 0


def test_a_second_start_changes_nothing(s: Scheduler, probes: Probes) -> None:
    """It serves where it did, and one close ends all."""
    port = probes.port
    probes.start()
    assert (probes.port, threads(), ask(probes, "/live")[0]) == (port, 1, 200)
    probes.close()
    assert threads() == 0
    probes.start()
    assert ask(probes, "/live")[0] == 200

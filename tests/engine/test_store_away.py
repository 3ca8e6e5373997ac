"""Starting, asking and stopping while the store is away: nothing hangs, and it is said. In real time."""

import threading

import pytest
from tests.engine.flaky import ALL, FlakyBackend
from tests.engine.replica import RARELY, events, until

from schedcore import Scheduler, StoreUnavailableError


def test_a_start_returns_although_the_store_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """The application comes up; health says that it is not connected; control calls raise."""
    backend = FlakyBackend("app")
    backend.fail(*ALL)
    s = Scheduler("app", backend=backend)
    s.add_job("a", "@every 100ms", lambda: None)
    with s:
        assert not s.blocking.health().connected
        with pytest.raises(
            StoreUnavailableError, match=r"did not answer \(ConnectionError: .*connection refused"
        ):
            s.blocking.trigger("a")
        backend.fail()
        until(lambda: s.blocking.health().connected)
        assert s.blocking.trigger("a").outcome in {"sent", "skipped"}
    assert {"store.away", "store.back"} <= set(events(caplog.records))


def test_a_stop_while_the_store_is_away_ends(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be recorded is left to lapse; the process may end."""
    backend = FlakyBackend("app")
    s = Scheduler("app", backend=backend, drain=0.1)
    began = threading.Event()
    s.add_job("a", RARELY, began.set)
    s.start()
    backend.fail(*ALL)
    s.stop()
    assert "leases of" in caplog.text

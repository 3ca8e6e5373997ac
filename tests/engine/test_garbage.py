"""What is left behind when nobody uses a scheduler any more: nothing."""

import gc
import threading
import weakref

from tests.engine.replica import RARELY, scheduler, until


def test_a_stopped_scheduler_is_collectable() -> None:
    """Nothing keeps it once it was stopped: neither a thread, nor the exit hook, nor the fork hook."""
    s = scheduler()
    s.add_job("a", RARELY, lambda: None)
    with s:
        s.blocking.trigger("a", wait=True)
    gone, backend = weakref.ref(s), weakref.ref(s._backend)
    del s
    until(lambda: gc.collect() >= 0 and gone() is None and backend() is None)


def test_a_scheduler_that_only_asked_leaves_no_thread_behind() -> None:
    """Stopping one that was never started closes what its questions opened."""
    before = set(threading.enumerate())
    s = scheduler()
    assert s.blocking.jobs() == []
    s.stop()
    until(lambda: set(threading.enumerate()) <= before)
    assert s.blocking.jobs() == [], "it can be asked again"
    s.stop()

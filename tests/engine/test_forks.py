"""Forked children, replaced threads: where a scheduler cannot simply go on."""

import os
import sys
from pathlib import Path

import pytest
from tests.engine.process import running
from tests.engine.replica import scheduler


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_not_started_and_can_be() -> None:
    """It has neither thread nor lock of its parent; it says so, and starts anew. The parent goes on."""
    with running("""
        import logging
        logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
        s.add_job("a", "@every 24h", lambda: said("ran in", "parent" if os.getpid() == parent else "child"))
        parent = os.getpid()
        s.start()
        child = os.fork()
        if child == 0:
            said(s, s.blocking.health().running)
            with s:
                s.blocking.trigger("a", wait=True)
            sys.stdout.flush()
            os._exit(0)
        said("child ended", os.waitpid(child, 0)[1])
        s.blocking.trigger("a", wait=True)
        s.stop()
    """) as process:
        # That the child now fires beside its parent is the RAM backend's to say, whenever it notices.
        lines = [line for line in process.rest() if not line.startswith("another process runs")]
    assert "was forked off one that had started the scheduler of app: here it is not started" in lines[0]
    assert lines[1:] == [
        "<Scheduler app on ram: 1 jobs, not started> False",
        "ran in child",
        "child ended 0",
        "ran in parent",
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_that_does_not_start_it_ends_well() -> None:
    """A child of a started scheduler neither hangs nor stops its parent's engine when it exits."""
    with running("""
        s.start()
        child = os.fork()
        if child == 0:
            sys.exit(7)
        said(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), s.blocking.health().running)
        s.stop()
    """) as process:
        assert process.rest() == ["7 True"]


def test_under_gevent_starting_is_refused(tmp_path: Path) -> None:
    """With threads replaced no clock of ours can be trusted: the error names the command line."""
    package = tmp_path / "gevent"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "monkey.py").write_text("def is_module_patched(name):\n    return name == 'threading'\n")
    with running(f"""
        sys.path.insert(0, {str(tmp_path)!r})
        import gevent.monkey
        try:
            s.start()
        except RuntimeError as error:
            said(type(error).__name__, error)
        said(s.blocking.health().running)
    """) as process:
        told, state = process.rest()
    assert told.startswith("LifecycleError gevent has replaced this process's threads")
    assert "schedcore run MODULE:ATTR" in told
    assert state == "False"


def test_gevent_that_patched_nothing_is_no_hindrance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merely having it imported is fine."""
    module = type(sys)("gevent.monkey")
    module.is_module_patched = lambda name: False
    monkeypatch.setitem(sys.modules, "gevent.monkey", module)
    with scheduler() as s:
        assert s.blocking.health().running


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_can_look_at_a_runs_flags() -> None:
    """The lock that a thread of the parent held when it was forked is a new one in the child."""
    with running("""
        from schedcore import context
        from schedcore.protocols import Delivery, Trigger
        context._making.acquire()
        child = os.fork()
        if child == 0:
            run = context.RunContext(Delivery(Trigger("a", "1", 1), 1, 1))
            threading.Thread(target=lambda: said("cancelled", bool(run.cancelled)), daemon=True).start()
            time.sleep(1)
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)
    """) as process:
        assert process.rest() == ["cancelled False"]

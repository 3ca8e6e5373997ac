"""Jobs of a Flask application have its context."""

from collections.abc import Iterator

import pytest
from flask import Flask, current_app, g

from schedcore import RunContext
from schedcore.errors import ConfigurationError
from schedcore.flask import FlaskScheduler


@pytest.fixture
def scheduler() -> FlaskScheduler:
    """A scheduler of an application that has yet to be made."""
    return FlaskScheduler("shop", backend="ram")


def test_each_run_has_a_context_of_its_own(scheduler: FlaskScheduler) -> None:
    """Plain functions and coroutines find the application, with nothing that another run left."""
    found = []

    @scheduler.job("@yearly")
    def plain(run: RunContext) -> None:
        found.append((run.job, current_app.config["SHOP"], g.get("left")))
        g.left = "by plain"

    @scheduler.job("@yearly")
    async def coroutine() -> None:
        found.append(("coroutine", current_app.config["SHOP"], g.get("left")))

    app = Flask(__name__)
    app.config["SHOP"] = "corner shop"
    scheduler.init_app(app)
    assert app.extensions["schedcore"] is scheduler
    with scheduler:
        for name in ("plain", "plain", "coroutine"):
            assert scheduler.blocking.trigger(name, wait=True, timeout=10).outcome == "succeeded"
    assert found == [(name, "corner shop", None) for name in ("plain", "plain", "coroutine")]


def test_teardown_is_told_how_the_run_ended(scheduler: FlaskScheduler) -> None:
    """What the application does at the end of a request it does at the end of a run, a failed one too."""
    ended = []
    app = Flask(__name__)
    app.teardown_appcontext(ended.append)
    scheduler.init_app(app)
    scheduler.add_job("good", "@yearly", lambda: None)
    scheduler.add_job("bad", "@yearly", lambda: 1 / 0)
    with scheduler:
        assert scheduler.blocking.trigger("good", wait=True, timeout=10).outcome == "succeeded"
        failed = scheduler.blocking.trigger("bad", wait=True, timeout=10)
    assert failed.outcome == "failed"
    assert "ZeroDivisionError" in failed.detail
    assert [type(error) for error in ended] == [type(None), ZeroDivisionError]


def test_without_an_application_runs_fail_with_the_remedy(scheduler: FlaskScheduler) -> None:
    """A process that forgot init_app says so in each run."""
    scheduler.add_job("plain", "@yearly", lambda: None)
    with scheduler:
        failed = scheduler.blocking.trigger("plain", wait=True, timeout=10)
    assert (failed.outcome, "call scheduler.init_app(app)" in failed.detail) == ("failed", True)


def test_what_is_no_function_is_refused_as_ever(scheduler: FlaskScheduler) -> None:
    """The errors of a declaration are those of Scheduler, and name the user's own place."""

    def first(one: int, two: int) -> None: ...

    with pytest.raises(ConfigurationError, match="is no function"):
        scheduler.add_job("job", "@yearly", "first")
    with pytest.raises(ConfigurationError, match="requires one, two"):
        scheduler.add_job("job", "@yearly", first)

    def job() -> None: ...

    def other() -> None: ...

    scheduler.add_job("job", "@yearly", job)
    with pytest.raises(ConfigurationError) as refused:
        scheduler.add_job("job", "@yearly", other)
    for function in (job, other):
        assert f"{__file__}:{function.__code__.co_firstlineno}" in str(refused.value)


def test_generators_are_refused_in_a_framework_too(scheduler: FlaskScheduler) -> None:
    """Nothing of one would run."""

    def job() -> Iterator[None]:
        yield

    with pytest.raises(ConfigurationError, match="generator"):
        scheduler.add_job("job", "@yearly", job)

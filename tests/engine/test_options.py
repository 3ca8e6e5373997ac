"""Names, options and functions that cannot be used are refused when the job is declared."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from tests.engine.replica import RARELY, nothing, scheduler

from schedcore import (
    ConfigurationError,
    RunContext,
    ScheduleError,
    Scheduler,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(seconds=34)


@pytest.mark.parametrize("name", ["a", "A.b_c-d:e/f", "0", "x" * 200])
def test_names_that_may_be_used(name: str) -> None:
    """1 to 200 letters, digits and a few signs."""
    scheduler().add_job(name, RARELY, nothing)


@pytest.mark.parametrize("name", ["", "a b", "ä", "a\n", "a{b}", "x" * 201, None, 7])
def test_names_that_are_refused(name: Any) -> None:
    """Others are refused with the reason, for apps and jobs alike."""
    with pytest.raises(ConfigurationError, match="cannot be the name of a job: use 1 to 200 ASCII letters"):
        scheduler().add_job(name, RARELY, nothing)
    with pytest.raises(ConfigurationError, match="cannot be the name of an app"):
        Scheduler(name, backend="ram")


def test_unknown_options_are_refused_by_name() -> None:
    """With the list of those that there are."""
    with pytest.raises(
        ConfigurationError, match=r"unknown option 'retry', 'time_out' .*'retries'.*; there are .*timeout"
    ):
        scheduler().add_job("a", RARELY, nothing, retry=3, time_out=1)


BAD_OPTIONS = [
    {"overlap": "queue"},
    {"catch_up": "newest"},
    {"delivery": "exactly_once"},
    {"on_doubt": "stop"},
    {"retries": -1},
    {"retries": 1.5},
    {"retries": True},
    {"retries": 1001},
    {"timeout": 0},
    {"timeout": "30"},
    {"timeout": -1},
    {"timeout": float("nan")},
    {"grace": -1},
    {"grace": timedelta(seconds=-1)},
    {"max_catch_up": 0},
    {"catch_up_within": 0},
    {"history": 0},
    {"history_days": 0},
    {"history_days": timedelta(0)},
    {"enabled": "no"},
    {"enabled": 1},
    {"traceback": "no"},
    {"retry_on": "ValueError"},
    {"retry_on": ()},
    {"retry_on": (ValueError, 3)},
    {"jitter": -1},
    {"jitter": 86_400},
    {"start_at": datetime(2026, 1, 1)},  # noqa: DTZ001  that it is naive is the point
    {"until": "2026-01-01"},
]


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=str)
def test_values_that_cannot_be_used_are_refused(options: dict[str, Any]) -> None:
    """The error names the job, the option, and what would have been valid; nothing is declared."""
    s = scheduler()
    (option,) = options
    with pytest.raises(ConfigurationError, match=f"job 'a': {option} must be"):
        s.add_job("a", RARELY, nothing, **options)
    assert not s._jobs


def test_retries_contradict_at_most_once() -> None:
    """Who wants a run at most once cannot want it repeated."""
    with pytest.raises(ConfigurationError, match=r"retries=1 contradicts delivery='at_most_once'"):
        scheduler().add_job("a", RARELY, nothing, delivery="at_most_once", retries=1)
    scheduler().add_job("a", RARELY, nothing, delivery="at_most_once", retries=0)


def test_lengths_of_time_are_seconds_or_timedeltas() -> None:
    """Both mean the same."""
    s = scheduler()
    s.add_job("a", RARELY, nothing, timeout=1.5, grace=60, jitter=3)
    s.add_job(
        "b",
        RARELY,
        nothing,
        timeout=timedelta(seconds=1.5),
        grace=timedelta(minutes=1),
        jitter=timedelta(0, 3),
    )
    assert s._jobs["a"].spec.options == s._jobs["b"].spec.options


def test_days_are_a_number_or_a_timedelta() -> None:
    """A `timedelta` is as many days as it is long, and the error speaks of days."""
    s = scheduler()
    s.add_job("a", RARELY, nothing, history_days=timedelta(hours=36))
    assert s._jobs["a"].spec.options.history_days == 1.5
    with pytest.raises(ConfigurationError, match=r"history_days must be days or a timedelta.* not 'week'"):
        s.add_job("b", RARELY, nothing, history_days="week")


def test_the_ends_of_a_life_are_instants() -> None:
    """A time without a zone is refused with an example of one that has it."""
    for wrong in (datetime(2026, 1, 1), START.date(), "2026-01-01"):  # noqa: DTZ001  that is the point
        with pytest.raises(ConfigurationError, match=r"start_at must be an aware datetime, not .*write e\.g"):
            scheduler().add_job("a", RARELY, nothing, start_at=wrong)


def two(first: object, second: object) -> None: ...
def keyword(*, needed: object) -> None: ...
def context_and_more(run: RunContext, more: object) -> None: ...


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (two, "first, second"),
        (keyword, "needed"),
        (context_and_more, "run, more"),
        (partial(two, second=1), ""),
    ],
)
def test_required_parameters_are_refused(function: Callable[..., None], names: str) -> None:
    """A job's function is given the run and nothing else; the remedy is `functools.partial`."""
    if not names:
        scheduler().add_job("a", RARELY, function)
        return
    with pytest.raises(ConfigurationError, match=f"requires {names};.*functools.partial"):
        scheduler().add_job("a", RARELY, function)


@pytest.mark.parametrize("function", [None, "print", 3])
def test_what_cannot_be_called_is_no_job(function: Any) -> None:
    """It is refused when the job is added, not when it is due."""
    with pytest.raises(ConfigurationError, match="is no function"):
        scheduler().add_job("a", RARELY, function)


@pytest.mark.parametrize("schedule", ["", "* * *", "61 * * * *", "0 0 30 2 *", "@every 1ms"])
def test_a_schedule_that_cannot_be_used_is_refused(schedule: str) -> None:
    """At once, as a `ScheduleError` that shows the expression."""
    with pytest.raises(ScheduleError, match="schedule"):
        scheduler().add_job("a", schedule, nothing)


@pytest.mark.parametrize("numbers", [{"concurrency": 0}, {"threads": 0}, {"drain": -1}, {"drain": "20"}])
def test_a_schedulers_own_numbers_are_checked(numbers: dict[str, Any]) -> None:
    """Places, threads and the drain."""
    with pytest.raises(ConfigurationError, match="|".join(numbers)):
        Scheduler("app", backend="ram", **numbers)

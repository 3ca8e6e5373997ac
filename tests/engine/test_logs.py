"""Log records for programs: whose they are, and as JSON."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from tests.engine.replica import RARELY, Replica, run_once, virtual

from schedcore import RunContext
from schedcore.logs import JSONFormatter


@contextmanager
def lines_of(name: str) -> Iterator[list[dict[str, object]]]:
    """Read what a logger says meanwhile, each line back from its JSON."""
    told: list[dict[str, object]] = []
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)
        told += [json.loads(line) for line in stream.getvalue().splitlines()]


@virtual
async def test_records_tell_of_which_replica_they_are(replica: Replica) -> None:
    """What an engine logs has its app and its id, its event and the event's fields."""

    def fail() -> None:
        raise ValueError("no\npaper")

    replica.add("a", RARELY, fail)
    with lines_of("schedcore") as told:
        async with replica.running():
            await replica.control.trigger("a", key="k", wait=True)
    (line,) = [line for line in told if line["event"] == "run.failed"]
    assert {name: line[name] for name in ("app", "replica", "event", "level", "logger", "job", "key")} == {
        "app": "app",
        "replica": "r0",
        "event": "run.failed",
        "level": "WARNING",
        "logger": "schedcore",
        "job": "a",
        "key": "manual:k",
    }
    assert str(line["exception"]).startswith("Traceback")
    assert str(line["time"]).endswith("Z")
    assert datetime.fromisoformat(str(line["time"]))


def test_what_a_job_logs_tells_whose_it_is() -> None:
    """`run.log` of a coroutine, on its own loop, has app and replica; what JSON cannot hold is text."""

    async def job(run: RunContext) -> None:
        await asyncio.sleep(0)
        run.log.warning("half of it", extra={"what": {1}})

    with lines_of("schedcore.job") as told:
        assert run_once(job) == "succeeded"
    (line,) = told
    assert (line["app"], line["job"], line["message"], line["what"]) == ("app", "a", "half of it", "{1}")
    assert line["replica"]


def test_other_records_become_lines_too() -> None:
    """A record that is not ours has no field but its own; arguments, stacks and tracebacks are told."""
    with lines_of("elsewhere") as told:
        try:
            1 / 0  # noqa: B018  that it fails is its use
        except ZeroDivisionError:
            logging.getLogger("elsewhere").exception("no %s", "way", stack_info=True)
    (line,) = told
    assert list(line) == ["time", "level", "logger", "message", "exception", "stack"]
    assert line["message"] == "no way"


@virtual
async def test_a_success_is_told_where_somebody_listens(replica: Replica) -> None:
    """At the level debug each success has its record, with how long it took."""
    replica.add("a", RARELY)
    logger = logging.getLogger("schedcore")
    before, _ = logger.level, logger.setLevel(logging.DEBUG)
    try:
        with lines_of("schedcore") as told:
            async with replica.running():
                await replica.control.trigger("a", wait=True)
    finally:
        logger.setLevel(before)
    assert [line["took"] for line in told if line.get("event") == "run.succeeded"] == [0.0]


def test_what_a_record_says_of_whose_it_is_stays() -> None:
    """Fields of its own named `app` and `replica` are not overwritten by those of the run."""

    def job(run: RunContext) -> None:
        run.log.warning("sold", extra={"app": "a shop's own", "replica": "a copy"})

    with lines_of("schedcore.job") as told:
        assert run_once(job) == "succeeded"
    assert [(line["app"], line["replica"]) for line in told] == [("a shop's own", "a copy")]


def test_fields_that_json_cannot_hold_are_text() -> None:
    """NaN, keys that are no names, and what holds itself: the line is JSON, and its other fields stay."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    itself: list[object] = []
    itself.append(itself)
    extra = {"half": float("nan"), "most": float("inf"), "by_pair": {(1, 2): 3}, "itself": itself, "n": [1]}
    record = logging.makeLogRecord({"msg": "odd", **extra})
    line = json.loads(JSONFormatter().format(record), parse_constant=refuse)
    assert {name: line[name] for name in extra} == {
        "half": "nan",
        "most": "inf",
        "by_pair": "{(1, 2): 3}",
        "itself": "[[...]]",
        "n": [1],
    }

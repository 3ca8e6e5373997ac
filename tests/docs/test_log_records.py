"""The reference of log records against the code: every event, its level and its fields."""

import ast
import logging
import re
from collections.abc import Iterator

import pytest
from tests.docs.blocks import ROOT

from schedcore._telling import LEVELS

SOURCES = [ROOT / "src/schedcore", ROOT / "src/sched_ram/sched_ram", ROOT / "src/sched_redis/sched_redis"]
METHODS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}

Told = tuple[str, str, frozenset[str]]


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Find every call of a logger, but for those of the tests that are shipped."""
    for path in (path for source in SOURCES for path in source.rglob("*.py")):
        if "testing" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of = ast.unparse(node.func.value)
                if of in ("log", "run.log") and node.func.attr in (*METHODS, "log"):
                    yield f"{path.name}:{node.lineno}", node


def told(call: ast.Call) -> Iterator[Told]:
    """Tell a call's events, each with its level and its fields."""
    assert isinstance(call.func, ast.Attribute)
    (extra,) = [keyword.value for keyword in call.keywords if keyword.arg == "extra"]
    assert isinstance(extra, ast.Dict)
    fields = {key.value: value for key, value in zip(extra.keys, extra.values, strict=True)}
    event = fields.pop("event")
    if isinstance(event, ast.Constant):
        yield str(event.value), METHODS[call.func.attr], frozenset(map(str, fields))
        return
    assert ast.unparse(event) == "f'run.{run.status}'"
    for status, level in LEVELS.items():
        yield f"run.{status}", logging.getLevelName(level).lower(), frozenset(map(str, fields))


def test_every_record_has_an_event() -> None:
    """No call of a logger is without `extra={"event": ...}`."""
    found = list(calls())
    assert len(found) > 30
    assert [where for where, call in found if not any(k.arg == "extra" for k in call.keywords)] == []


def documented() -> set[Told]:
    page = (ROOT / "docs/reference/log-records.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| (\w+) \|([^|]*)\|", page, flags=re.MULTILINE)
    return {(event, level, frozenset(re.findall(r"\w+", fields))) for event, level, fields in rows}


def test_the_table_of_events_is_that_of_the_code() -> None:
    """Each event has one row, with the level and fields that the code gives it; no row is for nothing."""
    assert documented() == {each for _, call in calls() for each in told(call)}


@pytest.mark.parametrize("status", LEVELS)
def test_statuses_that_are_announced_make_event_names(status: str) -> None:
    """An event is lowercase words and dots: what is announced has no blank in its name."""
    assert re.fullmatch(r"[a-z_]+", status)

"""The dashboard and the alert rules: against the metrics of a real run, and against Prometheus' own tool."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.monitoring.exposed import labels_of

from schedcore import Status, _metrics

EXAMPLES = Path(__file__).parents[2] / "examples/monitoring"
DASHBOARD = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((EXAMPLES / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
RARE = (_metrics.PAUSED, _metrics.TAKEOVERS, _metrics.LEASES_LOST)
"""They have no series before they happen."""


def expressions() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]
    yield from ((rule["alert"], rule["expr"]) for rule in RULES)


def known() -> dict[str, set[str]]:
    """Tell the samples that there are, with their labels, and those that Prometheus adds."""
    rare = {metric.prometheus: {"app", *metric.labels} for metric in RARE}
    return {name: labels | {"instance"} for name, labels in {**labels_of(), **rare}.items()}


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_expressions_ask_for_what_there_is(where: str, expression: str) -> None:
    """Each metric is one that a real run exposes, and has the labels by which it is chosen and grouped."""
    names = re.findall(r"\bschedcore_\w+", expression)
    assert names
    assert set(names) - set(known()) == set(), where
    for name, chosen in re.findall(r"\b(schedcore_\w+)\{([^}]*)\}", expression):
        assert {label for label, _ in re.findall(r"(\w+)(=~?|!=)", chosen)} <= known()[name], where
    grouped = {
        word for words in re.findall(r"\bby \(([^)]*)\)", expression) for word in re.split(r", *", words)
    }
    assert all(grouped <= known()[name] for name in names), where


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_expressions_ask_for_words_that_there_are(where: str, expression: str) -> None:
    """A status or a reason that is asked for is one that is written: else it would be silent for ever."""
    for label, words in re.findall(r'(status|reason)=~?"([^"]*)"', expression):
        there_are = set(map(str, Status)) if label == "status" else {*_metrics.REASONS.values(), "other"}
        assert set(words.split("|")) <= there_are, where


def test_every_metric_is_on_the_dashboard_or_alerted_on() -> None:
    """None is measured for nobody."""
    asked = " ".join(expression for _, expression in expressions())
    unused = [m.prometheus for m in (*_metrics.HAPPENING, *_metrics.SEEN) if m.prometheus not in asked]
    assert unused == []


def test_panels_lie_beside_each_other() -> None:
    """Each has a place of its own on the grid, its own id, and its queries their own letters."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        grid: dict[str, Any] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_alert_says_what_to_do() -> None:
    """A summary, a description and how bad it is; no name twice."""
    for rule in RULES:
        assert {"summary", "description"} <= set(rule["annotations"]), rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("words", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")])
def test_prometheus_understands_the_rules(words: tuple[str, ...]) -> None:
    """Its own tool finds no mistake, and each story in the tests of the rules ends as it should."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here; Debian has it in the package prometheus")
    done = subprocess.run([promtool, *words], cwd=EXAMPLES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

"""The reference of what can be watched against the code."""

import inspect
import re
from typing import get_args

import attrs
from tests.docs.blocks import ROOT

from schedcore import Scheduler, _metrics, opentelemetry, prometheus, watching
from schedcore.probes import Probes

PAGE = (ROOT / "docs/reference/watching.md").read_text()


def test_the_table_of_events_is_that_of_the_code() -> None:
    """Each kind of event has one row, which names its attributes and nothing else."""
    rows = re.findall(r"^\| `([A-Z]\w+)` \|([^|]+)\|", PAGE, flags=re.MULTILINE)
    documented = [(name, set(re.findall(r"\w+", fields))) for name, fields in rows]
    kinds = get_args(watching.Event)
    assert documented == [(kind.__name__, {field.name for field in attrs.fields(kind)}) for kind in kinds]


def test_glances_and_probes_are_documented() -> None:
    """Each attribute of a glance is named, and each page of the probes has a row."""
    words = {word for span in re.findall(r"`([^`\n]+)`", PAGE) for word in re.findall(r"\w+", span)}
    for value in (watching.Glance, watching.JobGlance):
        assert {field.name for field in attrs.fields(value)} - words == set()
    pages = Probes(Scheduler("billing", backend="ram"), 0).pages
    assert set(re.findall(r"^\| `(/\w+)` \|", PAGE, flags=re.MULTILINE)) == set(pages)


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    """Each metric has one row, in order, with its type and its labels."""
    page = (ROOT / "docs/reference/metrics.md").read_text()
    rows = re.findall(r"^\| `(schedcore_\w+)` \| (\w+) \|([^|]*)\|", page, flags=re.MULTILINE)
    documented = [(name, kind, tuple(re.findall(r"\w+", labels))) for name, kind, labels in rows]
    measured = (*_metrics.HAPPENING, *_metrics.SEEN)
    assert documented == [(metric.prometheus, metric.kind, metric.labels) for metric in measured]


def test_the_functions_of_both_extras_are_documented() -> None:
    """Each public function has a row with its signature's keywords, each reason is named."""
    page = (ROOT / "docs/reference/metrics.md").read_text()
    for module in (opentelemetry, prometheus):
        for name in module.__all__:
            (row,) = re.findall(rf"^\| `{name}\(([^)]*)\)` \|", page, flags=re.MULTILINE)
            assert [
                word for word in inspect.signature(getattr(module, name)).parameters if word not in row
            ] == []
    assert [reason for reason in _metrics.REASONS.values() if f"`{reason}`" not in page] == []

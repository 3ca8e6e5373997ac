"""The reference of what can be watched against the code."""

import re
from typing import get_args

import attrs
from tests.docs.blocks import ROOT

from schedcore import Scheduler, watching
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

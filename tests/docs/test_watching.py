"""The reference of what can be watched against the code."""

import re
from typing import get_args

import attrs
from tests.docs.blocks import ROOT

from schedcore import watching

PAGE = (ROOT / "docs/reference/watching.md").read_text()


def test_the_table_of_events_is_that_of_the_code() -> None:
    """Each kind of event has one row, which names its attributes and nothing else."""
    rows = re.findall(r"^\| `([A-Z]\w+)` \|([^|]+)\|", PAGE, flags=re.MULTILINE)
    documented = [(name, set(re.findall(r"\w+", fields))) for name, fields in rows]
    kinds = get_args(watching.Event)
    assert documented == [(kind.__name__, {field.name for field in attrs.fields(kind)}) for kind in kinds]

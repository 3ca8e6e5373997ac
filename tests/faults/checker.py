"""The shipped checker, and what it is given here: the records that processes wrote to their files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from schedcore.testing._books import SECOND, JobFacts, Life, Record, Segment, Verdict
from schedcore.testing._checker import Checker

__all__ = [
    "SECOND",
    "Checker",
    "JobFacts",
    "Life",
    "Record",
    "Segment",
    "Verdict",
    "read_lines",
    "read_records",
]


def read_lines(file: Path) -> list[dict[str, Any]]:
    """Read the whole lines of a file that somebody may still write to."""
    whole, _, _ = file.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def read_records(files: Iterable[Path]) -> list[Record]:
    """Read what the jobs wrote, in order of time."""
    wanted = {field.name for field in attrs.fields(Record)}
    lines: list[dict[str, Any]] = [line for file in files for line in read_lines(file)]
    records = [
        Record(**{name: value for name, value in line.items() if name in wanted})
        for line in lines
        if "job" in line
    ]
    return sorted(records, key=lambda record: record.t)

"""How the command line shows things: tables, instants, JSON and the log."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import attrs
import click

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {
    **dict.fromkeys(("ok", "succeeded"), "green"),
    **dict.fromkeys(("warn", "paused", "skipped", "missed"), "yellow"),
    **dict.fromkeys(("fail", "held up", "failed", "timed out", "lost", "dead"), "red"),
    **dict.fromkeys(("unaccounted", "unscheduled"), "bold red"),
}
"""How words stand out in a terminal, where they are all that a cell says."""

MANY = 1000
"""With more rows than this nobody waits until a table is laid out for a terminal."""


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: as wide as the terminal, or, piped, plain columns of whatever width they need."""
    clean = [[printable(cell) for cell in row] for row in rows]
    kept = [i for i, name in enumerate(columns) if not clean or any(row[i] for row in clean)]
    names, clean = [columns[i] for i in kept], [[row[i] for i in kept] for row in clean]
    if not sys.stdout.isatty() or len(clean) > MANY:
        click.echo("\n".join(plain_table(names, clean)))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(color_system=None) if os.environ.get("NO_COLOR") else Console()
    widths = [_longest_word(name, *[row[i] for row in clean]) for i, name in enumerate(names)]
    if sum(widths) + 2 * (len(widths) - 1) > console.width:
        _show_blocks(console, names, clean)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, width in zip(names, widths, strict=True):
        table.add_column(name, overflow="fold", min_width=width)
    for row in clean:
        table.add_row(*[Text(cell, STYLES.get(cell, "")) for cell in row])
    console.print(table)


def _longest_word(*cells: str) -> int:
    return max((len(word) for cell in cells for word in cell.split()), default=0)


def _show_blocks(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show each row as a block of lines, where the terminal is too narrow for a table."""
    from rich.table import Table
    from rich.text import Text

    width = max(map(len, columns))
    for row in rows:
        block = Table(box=None, pad_edge=False, show_header=False)
        block.add_column(width=width, no_wrap=True)
        block.add_column(overflow="fold", ratio=1)
        for name, cell in zip(columns, row, strict=True):
            if cell:
                block.add_row(Text(name, "bold"), Text(cell, STYLES.get(cell, "")))
        console.print(block, Text(""), sep="")


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay a table out in lines, without colours and borders."""
    lines = [[name.upper() for name in columns], *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def show_json(value: object) -> None:
    """Print JSON: instants as ISO 8601, lengths of time in seconds; of a list, each element on a line."""
    if isinstance(value, list | tuple) and value:
        lines = ",\n".join([json.dumps(each, default=_for_json) for each in value])
        click.echo(f"[\n{lines}\n]")
    else:
        click.echo(json.dumps(value, indent=2, default=_for_json))


def _for_json(value: object) -> object:
    kind = type(value)
    if attrs.has(kind):
        return {field.name: getattr(value, field.name) for field in attrs.fields(kind)}
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, datetime) else str(value)


def printable(text: str) -> str:
    """Replace what would move a terminal's cursor, or has no encoding."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\\n" if c == "\n" else "?" for c in text)


def local(at: datetime, tz: str) -> str:
    """Write an instant as the clocks of a zone show it, with their offset."""
    there = at.astimezone(ZoneInfo(tz))
    return f"{there:%a} {there.isoformat(' ')}"


def utc(at: datetime | None) -> str:
    """Write an instant in UTC."""
    return "" if at is None else at.astimezone(UTC).isoformat(" ").replace("+00:00", "Z")


def log_to_stderr(level: str, *, as_json: bool = False) -> None:
    """Log in lines with the time in UTC, unless the application has set up logging itself."""
    from schedcore.logs import JSONFormatter

    plain = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    plain.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(JSONFormatter() if as_json else plain)
    logging.basicConfig(level=level.upper(), handlers=[handler])

"""Draws demo-cluster.svg from a real run of `make demo-cluster`: python docs/pictures/demo_cluster.py

The demonstration runs in a terminal of its own. What is drawn is the screen as it was once another
replica had begun the run of the killed one, and the last words.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from io import StringIO
from itertools import groupby
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[2]
PICTURE = Path(__file__).with_name("demo-cluster.svg")
COLUMNS, LINES = 116, 60
# rich's own drawing, but with the reader's font instead of one that is fetched from elsewhere.
FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def output() -> Iterator[bytes]:
    """Run the demonstration in a terminal, and yield what it writes there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    line = [sys.executable, ROOT / "examples/demo_cluster.py"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(line, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the last one has closed it
                break
            yield piece
    if process.returncode:
        raise SystemExit(f"the demonstration ended with {process.returncode}")


def style_of(cell: pyte.screens.Char) -> Style:
    """Tell how a character is shown."""
    color = None if cell.fg == "default" else cell.fg.replace("brown", "yellow")
    return Style(color=color, bold=cell.bold, italic=cell.italics)


def drawn(screen: pyte.Screen) -> list[Text]:
    """Copy a screen, without the empty lines at its end."""
    lines = []
    for row in range(screen.lines):
        cells = [screen.buffer[row][column] for column in range(screen.columns)]
        text = Text()
        for style, run in groupby(cells, style_of):
            text.append("".join(cell.data for cell in run), style)
        text.rstrip()
        lines.append(text)
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def main() -> None:
    """Record, choose and draw."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    live: list[Text] = []
    for piece in output():
        stream.feed(piece)
        if (
            not live
            and any("delivery 2" in line for line in screen.display)
            and "s to go" in screen.display[0]
        ):
            live = drawn(screen)
    last = drawn(screen)
    begin = next(number for number, line in enumerate(last) if "took it over after" in line.plain)
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    for line in [*live, Text("..."), *last[begin:]]:
        console.print(line, soft_wrap=True)
    svg = console.export_svg(title="make demo-cluster", theme=MONOKAI, unique_id="demo-cluster")
    PICTURE.write_text(
        FONT.sub("", svg).replace("Fira Code", "monospace").replace(" https://www.textualize.io", "")
    )


if __name__ == "__main__":
    main()

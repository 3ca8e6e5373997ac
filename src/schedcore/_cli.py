"""The way into the command line: what says so, in one line, where click or rich is missing."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 if all went well, 2 if it was told something unusable, else 1."""
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ImportError as exc:
        sys.stderr.write(
            f"schedcore: the command line needs click and rich ({exc.name or exc} is missing): "
            "install schedcore with its extra, schedcore[cli], or just those two: pip install click rich\n"
        )
        sys.exit(2)
    from schedcore._cli_main import invoke

    sys.exit(invoke(arguments))

"""Run the benchmarks: all of them, or those named (`python -m benchmarks engine schedules`)."""

from __future__ import annotations

import sys

from benchmarks import cluster, engine, operators, schedules

ALL = {
    "schedules": schedules.main,
    "engine": engine.main,
    "cluster": cluster.main,
    "operators": operators.main,
}


def main() -> None:
    """Run what was asked for; say what there is where something else was."""
    if unknown := [name for name in sys.argv[1:] if name not in ALL]:
        sys.exit(f"{__doc__}\n\nThere is no {unknown[0]!r}; there are {', '.join(ALL)}.")
    for name in sys.argv[1:] or ALL:
        print(f"== {name}")
        ALL[name]()


if __name__ == "__main__":
    main()

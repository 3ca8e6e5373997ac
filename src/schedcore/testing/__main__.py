"""`python -m schedcore.testing`: simulate a cluster under misfortunes, thousands of times."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

from schedcore.errors import SchedcoreError
from schedcore.scheduler import Scheduler
from schedcore.testing._books import SECOND
from schedcore.testing._simulate import Draw, Played, each_of, explain, play, shrunk, stories
from schedcore.testing._story import Story


def main(arguments: list[str] | None = None) -> int:
    """Play seeds, tell how it goes, and explain the first that breaks an invariant."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        drawn, jobs = stories(_load(options.app), options.minutes, options.replicas)
    except SchedcoreError as error:
        parser.error(str(error))
    again = partial(play, jobs=jobs)
    if options.replay is not None:
        return _replay(options, again, drawn)
    begun, lasted = time.monotonic(), 0
    seeds = range(options.first, options.first + options.seeds)
    for number, result in enumerate(each_of(seeds, drawn, again), 1):
        lasted += result.lasted
        if result.broken:
            print(f"\nseed {result.story.seed} breaks something; making its story short", file=sys.stderr)
            short = shrunk(result, again)
            print(explain(short, _command(options, short)))
            return 1
        if number % 10 == 0 or number == options.seeds:
            _progress(number, options.seeds, lasted, time.monotonic() - begun)
    print(f"{options.seeds} seeds, {_days(lasted)} of virtual time: every invariant holds")
    return 0


def _replay(options: argparse.Namespace, again: Callable[[Story], Played], drawn: Draw) -> int:
    (result,) = each_of([options.replay], drawn, again, options.only)
    if not result.broken:
        print(f"{result.story}\n\nEvery invariant holds: {len(result.runs)} records, {result.steps} steps.")
        return 0
    short = result if options.only is not None else shrunk(result, again)
    print(explain(short, _command(options, short)))
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m schedcore.testing", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many stories to play (%(default)s)")
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="SEED", help="the first one (0)")
    parser.add_argument("--replay", type=int, metavar="SEED", help="play this one again, and tell its story")
    parser.add_argument(
        "--only", type=_numbers, metavar="N,N", help="with --replay: only these of its events"
    )
    parser.add_argument("--minutes", type=float, default=2, help="how long each story is (%(default)s)")
    parser.add_argument("--replicas", type=int, default=3, help="how many there are (%(default)s)")
    parser.add_argument("--app", metavar="MODULE:ATTR", help="a scheduler, whose jobs are simulated")
    return parser


def _numbers(text: str) -> set[int]:
    return {int(number) for number in text.split(",") if number}


def _load(app: str | None) -> Scheduler | None:
    if app is None:
        return None
    from schedcore._cli_app import load_scheduler

    return load_scheduler(app)


def _command(options: argparse.Namespace, played: Played) -> str:
    words = ["python -m schedcore.testing", f"--replay {played.story.seed}"]
    words += [f"--only={','.join(map(str, played.story.numbers))}"]
    words += [f"--minutes {options.minutes:g}", f"--replicas {options.replicas}"]
    words += [f"--app {options.app}"] if options.app else []
    return f"Play it again: {' '.join(words)}"


def _progress(done: int, of: int, lasted: int, took: float) -> None:
    end = "\n" if done == of else ""
    print(f"\r{done}/{of} seeds, {_days(lasted)} in {took:.0f} s", end=end, file=sys.stderr, flush=True)


def _days(lasted: int) -> str:
    hours = lasted / SECOND / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"


if __name__ == "__main__":
    sys.exit(main())

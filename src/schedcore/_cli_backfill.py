"""`schedcore backfill`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

import click

from schedcore import _cli_options, _cli_show
from schedcore._backfill import Planned
from schedcore._backfilling import AT_ONCE, Backfilling, plan
from schedcore._cli_asking import asking
from schedcore._command import shortened
from schedcore._telling import gist
from schedcore._units import to_datetime, to_micros

COLUMNS = ("scheduled at", "up to", "times", "was", "status", "plan")
NOT_FINE = 1
LONGEST_NAME = 100


@click.command(short_help="Run a job for scheduled times of the past.")
@_cli_options.job()
@click.option(
    "--from",
    "begin",
    type=_cli_options.Instant(),
    required=True,
    metavar="TIME",
    help="The first time: 2026-11-20T18:00Z, in UTC without an offset.",
)
@click.option("--to", "end", type=_cli_options.Instant(), metavar="TIME", help="The last time. [now]")
@click.option(
    "--run", "--yes", "really", is_flag=True, help="Do it; without, it is only told what would run."
)
@click.option("--all", "everything", is_flag=True, help="Also what has succeeded.")
@click.option(
    "--at-once",
    "most",
    type=click.IntRange(1, AT_ONCE),
    default=10,
    show_default=True,
    help="How many of a job that allows overlap.",
)
@click.option(
    "--name", default="", metavar="TEXT", help="Another backfill: what one of another name ran is run again."
)
@_cli_options.of_app
@click.pass_context
def backfill(
    context: click.Context,
    job: str,
    begin: datetime,
    end: datetime | None,
    really: bool,
    everything: bool,
    most: int,
    name: str,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Run JOB for the scheduled times between --from and --to that have not succeeded.

    First look: without --run it only tells what would run. With --run each is triggered, in order, as soon as
    the job's overlap policy lets it through; ended with Ctrl-C and called again it goes on where it was. What
    was backfilled already is not run once more. The exit status is 1 if a run did not succeed.

    \b
      schedcore backfill report --from 2026-11-20 --to 2026-11-22 --app billing
      schedcore backfill report --from 2026-11-20 --to 2026-11-22 --app billing --run
    """  # noqa: D301  the escape is for click
    end = datetime.now(UTC) if end is None else end
    if end < begin:
        raise click.UsageError("--to is before --from")
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise click.UsageError(f"--name is a text of at most {LONGEST_NAME} characters")
    outcomes: dict[str, str] = {}
    after, until = to_micros(begin, "--from") - 1, to_micros(end, "--to")
    with asking(app, backend, waits=really) as scheduler:
        planned = scheduler.wait_for(
            lambda control: plan(control, job, after, until, name=name, everything=everything)
        )
        chosen = [each for each in planned if not each.left_out]
        if not as_json:
            _cli_show.show_table(COLUMNS, _stretches(planned))
        if really:
            tell = _quiet if as_json else _told
            outcomes = scheduler.wait_for(lambda control: Backfilling(control, job, most, tell).run(chosen))
    if as_json:
        _cli_show.show_json(_as_dict(job, planned, outcomes, really=really))
    else:
        click.echo(_sum(len(planned), len(chosen), outcomes, really=really))
    context.exit(NOT_FINE if set(outcomes.values()) - {"succeeded"} else 0)


def _stretches(planned: Sequence[Planned]) -> list[tuple[str, ...]]:
    """Tell successive times of which the same is told in one line."""
    lines: list[tuple[str, ...]] = []
    for (was, status, left_out), group in groupby(
        planned, lambda each: (each.was, each.status, each.left_out)
    ):
        times = [_cli_show.utc(to_datetime(each.at)) for each in group]
        last = times[-1] if len(times) > 1 else ""
        lines.append((times[0], last, str(len(times)), was, status, left_out or "run"))
    return lines


def _told(each: Planned, outcome: str, detail: str) -> None:
    last = shortened(gist(detail), 120)
    text = f"{_cli_show.utc(to_datetime(each.at))}  {outcome}" + (f": {last}" if last else "")
    click.echo(_cli_show.printable(text))


def _quiet(each: Planned, outcome: str, detail: str) -> None:
    """Tell nothing: JSON is one value, at the end."""


def _as_dict(
    job: str, planned: Sequence[Planned], outcomes: dict[str, str], *, really: bool
) -> dict[str, object]:
    times = [
        {
            "scheduled_at": to_datetime(each.at),
            "key": each.key,
            "was": each.was,
            "status": each.status,
            "left_out": each.left_out,
            "outcome": outcomes.get(each.key),
        }
        for each in planned
    ]
    return {"job": job, "ran": really, "times": times}


def _sum(times: int, chosen: int, outcomes: dict[str, str], *, really: bool) -> str:
    if not really:
        return f"{chosen} of {times} scheduled times would be run" + ("; --run does it" if chosen else "")
    listed = ", ".join(f"{count} {outcome}" for outcome, count in sorted(Counter(outcomes.values()).items()))
    return f"{chosen} of {times} scheduled times were run" + (f": {listed}" if listed else "")

"""`schedcore history`."""

from __future__ import annotations

from datetime import datetime

import click

from schedcore import _cli_options, _cli_show
from schedcore._answers import RunInfo
from schedcore._cli_asking import asking
from schedcore._command import shortened
from schedcore._telling import gist
from schedcore.values import Kind, Status

DETAIL_SHOWN = 120
COLUMNS = (
    "scheduled at",
    "up to",
    "times",
    "status",
    "kind",
    "key",
    "started at",
    "took",
    "replica",
    "attempt",
    "delivery",
    "detail",
)


@click.command(short_help="Show what became of a job's triggers.")
@_cli_options.job()
@click.option(
    "--status",
    "statuses",
    multiple=True,
    metavar="STATUS",
    shell_complete=lambda *asked: _cli_options.complete("statuses", *asked),
    help="Only such lines. May be repeated.",
)
@click.option(
    "--after",
    type=_cli_options.Instant(),
    metavar="TIME",
    help="Only scheduled times after TIME: 2026-11-20T18:00Z, in UTC without an offset.",
)
@click.option("--until", type=_cli_options.Instant(), metavar="TIME", help="Only scheduled times up to TIME.")
@click.option(
    "-n",
    "--number",
    type=click.IntRange(1, 1_000_000),
    default=50,
    show_default=True,
    help="How many lines at most.",
)
@_cli_options.of_app
def history(
    job: str,
    statuses: tuple[str, ...],
    after: datetime | None,
    until: datetime | None,
    number: int,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Show what became of the scheduled times and triggers of JOB, newest first.

    \b
      schedcore history report --app billing --status failed --status 'timed out'
      schedcore history report --after 2026-11-20 --until 2026-11-21T06:00+01:00 -n 1000
    """  # noqa: D301
    if after and until and until <= after:
        raise click.UsageError("--until is not after --after: no scheduled time lies between them")
    wanted = [_status(word) for word in statuses] or None
    with asking(app, backend) as scheduler:
        found = scheduler.blocking.history(job, status=wanted, after=after, until=until, limit=number)
    if as_json:
        _cli_show.show_json(found)
        return
    _cli_show.show_table(COLUMNS, [_cells(run) for run in found])
    if not found:
        click.echo(f"job {job} has no such lines", err=True)


def _status(word: str) -> str:
    """Understand what needs no quoting in a shell; what is no status is refused where it is asked for."""
    plain = word.lower().replace("-", " ").replace("_", " ")
    return plain if plain in list(Status) else word


def _cells(run: RunInfo) -> tuple[str, ...]:
    took = (run.ended_at - run.started_at).total_seconds() if run.started_at and run.ended_at else None
    return (
        _cli_show.utc(run.scheduled_at),
        _cli_show.utc(run.last_at) if run.last_at != run.scheduled_at else "",
        str(run.count) if run.count != 1 else "",
        str(run.status),
        "" if run.kind is Kind.SCHEDULED else str(run.kind),
        run.key if run.kind in (Kind.MANUAL, Kind.BACKFILL) else "",
        _cli_show.utc(run.started_at),
        "" if took is None else f"{took:.3f} s",
        run.replica,
        str(run.attempt) if run.attempt > 1 else "",
        str(run.delivery) if run.delivery > 1 else "",
        shortened(gist(run.detail), DETAIL_SHOWN),
    )

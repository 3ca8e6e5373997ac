"""`schedcore audit`."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from schedcore import _cli_options, _cli_show
from schedcore._audit import Audit
from schedcore._cli_asking import asking
from schedcore._command import shortened

COLUMNS = ("job", "scheduled at", "up to", "times", "found", "status", "detail")
DETAIL_SHOWN = 120


@click.command(short_help="Compare the schedule with the history, time by time.")
@click.argument("job", required=False)
@click.option(
    "--from",
    "begin",
    type=_cli_options.Instant(),
    required=True,
    metavar="TIME",
    help="The first time: 2026-11-20T18:00Z, in UTC without an offset.",
)
@click.option("--to", "end", type=_cli_options.Instant(), metavar="TIME", help="The last time. [now]")
@_cli_options.of_app
@click.pass_context
def audit(
    context: click.Context,
    job: str | None,
    begin: datetime,
    end: datetime | None,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Compare the schedule of JOB, or of all jobs, with the history: what became of each scheduled time.

    Each ran once, ran again, was skipped, missed, paused, lost or given up, is outstanding or undecided; is
    unknown, where the history does not reach back so far; or is unaccounted for, which must not be. The exit
    status is 1 if any is. What cannot be known is said on standard error.

    \b
      schedcore audit report --from 2026-11-20 --to 2026-11-21 --app billing
      schedcore audit --from 2026-11-20T18:00+01:00
    """  # noqa: D301  the escape is for click
    if end is not None and end < begin:
        raise click.UsageError("--to is before --from")
    with asking(app, backend) as scheduler:
        if job is None:
            scheduler.wait_for(lambda control: control.check(None))
        found = scheduler.blocking.audit(job, after=begin - timedelta(microseconds=1), until=end)
    if as_json:
        _cli_show.show_json([_as_dict(each) for each in found])
    else:
        _cli_show.show_table(COLUMNS, [cells for each in found for cells in _cells(each)])
        for each in found:
            for note in each.notes:
                click.echo(f"{each.job}: {note}", err=True)
        click.echo(_sum(found))
    context.exit(1 if any(each.unaccounted for each in found) else 0)


def _as_dict(found: Audit) -> dict[str, object]:
    return {
        "job": found.job,
        "after": found.after,
        "until": found.until,
        "unaccounted": found.unaccounted,
        "counts": found.counts,
        "stretches": found.stretches,
        "notes": found.notes,
    }


def _cells(found: Audit) -> list[tuple[str, ...]]:
    return [
        (
            found.job,
            _cli_show.utc(stretch.first),
            _cli_show.utc(stretch.last) if stretch.count > 1 else "",
            str(stretch.count),
            stretch.found,
            stretch.status,
            shortened(stretch.detail, DETAIL_SHOWN),
        )
        for stretch in found.stretches
    ]


def _sum(found: list[Audit]) -> str:
    counts: dict[str, int] = {}
    for each in found:
        for name, count in each.counts.items():
            counts[name] = counts.get(name, 0) + count
    listed = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return f"{sum(counts.values())} scheduled times" + (f": {listed}" if listed else "")

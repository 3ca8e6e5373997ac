"""`schedcore audit`."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from schedcore import _cli_options, _cli_show, _recent
from schedcore._audit import Audit
from schedcore._cli_asking import asking
from schedcore._command import shortened

COLUMNS = ("job", "scheduled at", "up to", "times", "found", "status", "detail")
DETAIL_SHOWN = 120


@click.command(short_help="Compare the schedule with the history, time by time.")
@_cli_options.job(required=False)
@click.option(
    "--from",
    "begin",
    type=_cli_options.Instant(),
    metavar="TIME",
    help="The first time: 2026-11-20T18:00Z, in UTC without an offset. [a day ago; of all jobs, an hour ago]",
)
@click.option("--to", "end", type=_cli_options.Instant(), metavar="TIME", help="The last time. [now]")
@click.option(
    "--after-job", default="", metavar="JOB", help="Of all jobs, those behind JOB in order of name."
)
@_cli_options.of_app
@click.pass_context
def audit(
    context: click.Context,
    job: str | None,
    begin: datetime | None,
    end: datetime | None,
    after_job: str,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Compare the schedule of JOB, or of all jobs, with the history: what became of each scheduled time.

    Each ran once, ran again, was skipped, missed, paused, lost or given up, is outstanding or undecided; is
    unknown, where the history does not reach back so far; or is unaccounted for, which must not be. A line of
    a time that was none is told as unscheduled. The exit status is 1 if there is any of the last two. What
    cannot be known is said on standard error.

    Without --from the latest times are audited, of all jobs as many as there is time for within a second: how
    far it went is said. With --from all histories are read that there are, which may take a minute.

    \b
      schedcore audit report --from 2026-11-20 --to 2026-11-21 --app billing
      schedcore audit --app billing
    """  # noqa: D301  the escape is for click
    _check(job, begin, end, after_job)
    reach = ""
    with asking(app, backend) as scheduler:
        if job is None:
            scheduler.wait_for(lambda control: control.check(None))
        if begin is None:
            recent = scheduler.wait_for(lambda control: _recent.audit(control, job, after_job))
            found, reach = list(recent.audits), _reach(recent)
        else:
            after = begin - timedelta(microseconds=1)
            found = scheduler.blocking.audit(job, after=after, until=end)
    if as_json:
        _cli_show.show_json([_as_dict(each) for each in found])
    else:
        _cli_show.show_table(COLUMNS, [cells for each in found for cells in _cells(each)])
        for each in found:
            for note in each.notes:
                click.echo(f"{each.job}: {note}", err=True)
        click.echo(_sum(found))
    if reach:
        click.echo(reach, err=True)
    context.exit(0 if all(each.is_sound for each in found) else 1)


def _check(job: str | None, begin: datetime | None, end: datetime | None, after_job: str) -> None:
    if begin is None and end is not None:
        raise click.UsageError("--to goes with --from")
    if begin is not None and end is not None and end < begin:
        raise click.UsageError("--to is before --from")
    if after_job and (job is not None or begin is not None):
        raise click.UsageError("--after-job goes with neither JOB nor --from")


def _reach(recent: _recent.Recent) -> str:
    told = f"audited was {recent.reach}; --from TIME goes further back"
    if not recent.goes_on:
        return told
    return (
        f"{told}; of all jobs only {len(recent.audits)} were looked at, up to {recent.goes_on}: "
        f"--after-job {recent.goes_on} goes on"
    )


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

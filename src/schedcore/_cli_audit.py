"""`schedcore audit`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime

import click

from schedcore import _bounded, _cli_options, _cli_show
from schedcore._audit import Audit
from schedcore._cli_asking import asking, check_app
from schedcore._command import shortened
from schedcore._units import to_micros

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
@click.option("--complete", is_flag=True, help="However long it takes: all jobs, and all of their times.")
@_cli_options.of_app
@click.pass_context
def audit(
    context: click.Context,
    job: str | None,
    begin: datetime | None,
    end: datetime | None,
    after_job: str,
    complete: bool,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Compare the schedule of JOB, or of all jobs, with the history: what became of each scheduled time.

    Each ran once, ran again, was skipped, missed, paused, lost or given up, is outstanding or undecided; is
    unknown, where the history does not reach back so far, or the store lost it; or is unaccounted for, which
    must not be. A line of a time that was none is told as unscheduled, and on standard error what contradicts
    the job's counters.
    The exit status is 1 if there is any of the last three. What cannot be known is said on standard error.

    Of all jobs as many are audited as there is time for within a second, and without --from only their latest
    times: how far it went, and how to go on, is said. With --complete it goes through all.

    \b
      schedcore audit report --from 2026-11-20 --to 2026-11-21 --app billing
      schedcore audit --app billing
      schedcore audit --from 2026-11-20 --complete --app billing
    """  # noqa: D301  the escape is for click
    _check(job, begin, end, after_job)
    span = _bounded.Span(
        None if begin is None else to_micros(begin, "--from") - 1,
        None if end is None else to_micros(end, "--to"),
        complete,
    )
    tell = _progress if complete and job is None and sys.stderr.isatty() else _nothing
    with asking(app, backend) as scheduler:
        if job is None:
            check_app(scheduler)
        try:
            bounded = scheduler.wait_for(lambda control: _bounded.audit(control, job, span, after_job, tell))
        finally:
            if tell is _progress:
                click.echo("\r\033[K", nl=False, err=True)
    found = bounded.audits
    if as_json:
        _cli_show.show_json([_as_dict(each) for each in found])
    else:
        _cli_show.show_table(COLUMNS, [cells for each in found for cells in _cells(each)])
        for each in found:
            for note in (*each.notes, *each.contradictions):
                click.echo(f"{each.job}: {note}", err=True)
        click.echo(_sum(found))
    for told in _reach(bounded):
        click.echo(told, err=True)
    context.exit(0 if all(each.is_sound for each in found) else 1)


def _check(job: str | None, begin: datetime | None, end: datetime | None, after_job: str) -> None:
    if begin is None and end is not None:
        raise click.UsageError("--to goes with --from")
    if begin is not None and end is not None and end < begin:
        raise click.UsageError("--to is before --from")
    if after_job and job is not None:
        raise click.UsageError("--after-job goes with all jobs, not with one")


def _progress(jobs: int, last: str) -> None:
    click.echo(f"\r{jobs:,} jobs audited, up to {_cli_show.printable(last)}\033[K", nl=False, err=True)


def _nothing(jobs: int, last: str) -> None:
    pass


def _reach(bounded: _bounded.Bounded) -> Iterator[str]:
    if bounded.reach:
        yield f"audited was {bounded.reach}; --from TIME goes further back"
    if bounded.goes_on:
        last = _cli_show.printable(bounded.goes_on)
        yield (
            f"of all jobs only {len(bounded.audits)} were looked at, up to {last}: --after-job {last} "
            "goes on there, and --complete goes through all, however long it takes"
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
        "contradictions": found.contradictions,
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


def _sum(found: Sequence[Audit]) -> str:
    counts: dict[str, int] = {}
    for each in found:
        for name, count in each.counts.items():
            counts[name] = counts.get(name, 0) + count
    listed = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return f"{sum(counts.values())} scheduled times" + (f": {listed}" if listed else "")

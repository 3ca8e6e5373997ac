"""`schedcore replicas`."""

from __future__ import annotations

import click

from schedcore import _cli_options, _cli_show
from schedcore._answers import ReplicaInfo
from schedcore._cli_asking import asking

COLUMNS = ("replica", "version", "since", "last beat", "clock ahead by", "jobs", "runs", "running", "note")
SHOWN = 5
"""So many of a replica's runs are named in the table."""


@click.command(short_help="List the living replicas, and what they run.")
@_cli_options.of_app
@click.pass_context
def replicas(context: click.Context, app: str | None, backend: str | None, as_json: bool) -> None:
    """List the living replicas of an app, the oldest first, and what they run.

    How far a replica's clock is ahead of the store's is told in seconds; schedules follow the store's. The
    exit status is 1 if none is alive.

    \b
      schedcore replicas --app billing
    """  # noqa: D301  the escape is for click
    with asking(app, backend) as scheduler:
        found = scheduler.blocking.replicas()
    if as_json:
        _cli_show.show_json(found)
    else:
        _cli_show.show_table(COLUMNS, [_cells(info) for info in found])
        if not found:
            click.echo(f"no replica of app {app} is alive", err=True)
    context.exit(0 if found else 1)


def _cells(info: ReplicaInfo) -> tuple[str, ...]:
    runs = sorted(info.running, key=lambda run: run.since)
    more = f" and {len(runs) - SHOWN} more" if len(runs) > SHOWN else ""
    shown = ", ".join(f"{run.job} since {_cli_show.utc(run.since)}" for run in runs[:SHOWN])
    return (
        info.id,
        info.version,
        _cli_show.utc(info.started_at),
        _cli_show.utc(info.beat_at),
        f"{info.offset:+.3f} s",
        str(info.jobs),
        str(len(runs)),
        shown + more,
        "its event loop is blocked" if info.loop_blocked else "",
    )

"""`schedcore dead`: what was given up after several deliveries, and trying it once more."""

from __future__ import annotations

import json

import click

from schedcore import _cli_options, _cli_show
from schedcore._answers import RunInfo
from schedcore._cli_asking import asking, check_app
from schedcore._command import shortened
from schedcore.errors import ConfigurationError
from schedcore.scheduler import Scheduler
from schedcore.values import Status

LINES = 10_000
COLUMNS = ("job", "key", "kind", "scheduled at", "replica", "delivery", "payload", "detail")
PAYLOAD_SHOWN = 60


@click.group(short_help="List what was given up, and try it once more.")
def dead() -> None:
    """List what was given up after five deliveries ended with the death of their replica, and try it again.

    A line is there as long as the job's history keeps it.

    \b
      schedcore dead list --app billing
      schedcore dead show report order-17
      schedcore dead retry report order-17
    """  # noqa: D301  the escape is for click


@dead.command("list", short_help="List the dead, of a job or of all.")
@_cli_options.job(required=False)
@_cli_options.of_app
@click.pass_context
def list_(
    context: click.Context, job: str | None, app: str | None, backend: str | None, as_json: bool
) -> None:
    """List the dead runs of JOB, or of all jobs, newest first. The exit status is 1 if there are any.

    \b
      schedcore dead list --app billing
    """  # noqa: D301
    with asking(app, backend) as scheduler:
        found = [run for name in _jobs_with_dead(scheduler, job) for run in _dead_of(scheduler, name)]
    if as_json:
        _cli_show.show_json(found)
    elif found:
        _cli_show.show_table(COLUMNS, [_cells(run) for run in found])
    else:
        click.echo(f"nothing of {job or f'app {app}'} is dead")
    context.exit(1 if found else 0)


@dead.command(short_help="Show a dead run as a whole.")
@_cli_options.job()
@click.argument("key")
@_cli_options.of_app
def show(job: str, key: str, app: str | None, backend: str | None, as_json: bool) -> None:
    """Show all that is known of the dead run KEY of JOB: its payload, its detail.

    \b
      schedcore dead show report order-17 --app billing
    """  # noqa: D301
    with asking(app, backend) as scheduler:
        run = _find(scheduler, job, key)
    if as_json:
        _cli_show.show_json(run)
        return
    shown = (
        ("job", run.job),
        ("key", run.key),
        ("kind", str(run.kind)),
        ("scheduled at", _cli_show.utc(run.scheduled_at)),
        ("replica", run.replica),
        ("delivery", str(run.delivery)),
        ("payload", _payload(run)),
        ("detail", run.detail),
    )
    for name, text in shown:
        click.echo(f"{name:<13} {_cli_show.printable(text)}".rstrip())


@dead.command(short_help="Trigger a dead run's job by hand, with its payload.")
@_cli_options.job()
@click.argument("key")
@_cli_options.of_app
@click.pass_context
def retry(
    context: click.Context, job: str, key: str, app: str | None, backend: str | None, as_json: bool
) -> None:
    """Trigger JOB by hand, with the payload of its dead run KEY. The exit status is that of `trigger`.

    \b
      schedcore dead retry report order-17 --app billing
    """  # noqa: D301
    with asking(app, backend) as scheduler:
        run = _find(scheduler, job, key)
        said = scheduler.blocking.trigger(job, payload=run.payload)
    if as_json:
        _cli_show.show_json(said)
    else:
        click.echo(f"{said.job}: {said.outcome}, key {said.key}")
    context.exit(0 if said.outcome in ("sent", "waiting", "succeeded") else 1)


def _jobs_with_dead(scheduler: Scheduler, job: str | None) -> list[str]:
    """Name the jobs whose history is read: of many thousands, those whose counters know of a dead one."""
    if job is not None:
        return [job]
    check_app(scheduler)
    infos = scheduler.blocking.jobs()
    return [info.name for info in infos if Status.DEAD in info.counters or Status.DEAD in info.manual]


def _dead_of(scheduler: Scheduler, job: str) -> list[RunInfo]:
    return scheduler.blocking.history(job, status=Status.DEAD, limit=LINES)


def _find(scheduler: Scheduler, job: str, key: str) -> RunInfo:
    found = _dead_of(scheduler, job)
    for run in found:
        if run.key == key:
            return run
    keys = ", ".join(_cli_show.printable(run.key) for run in found[:5]) or "none"
    raise ConfigurationError(f"job {job} has no dead run with the key {key!r}; there are: {keys}")


def _cells(run: RunInfo) -> tuple[str, ...]:
    return (
        run.job,
        run.key,
        str(run.kind),
        _cli_show.utc(run.scheduled_at),
        run.replica,
        str(run.delivery),
        shortened(_payload(run), PAYLOAD_SHOWN),
        shortened(run.detail, PAYLOAD_SHOWN * 2),
    )


def _payload(run: RunInfo) -> str:
    return "" if run.payload is None else json.dumps(run.payload)

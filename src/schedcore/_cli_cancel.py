"""`schedcore cancel`."""

from __future__ import annotations

import click

from schedcore import _cli_options, _cli_show
from schedcore._answers import Running
from schedcore._cli_asking import asking

NOT_FINE = 1


@click.command(short_help="Cancel runs that are under way.")
@_cli_options.job()
@click.argument("key", required=False)
@click.option("--all", "everything", is_flag=True, help="All runs of the job, if there are several.")
@_cli_options.of_app
@click.pass_context
def cancel(
    context: click.Context,
    job: str,
    key: str | None,
    everything: bool,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Cancel the run of JOB that is under way, or the one of several that has KEY, as `jobs --json` tells it.

    Its replica hears of it with its next beat, within three seconds: a coroutine is cancelled then, a plain
    function sees run.cancelled. The run is recorded as failed. What waits for a replica is not cancelled.
    The exit status is 1 if no such run is under way.

    \b
      schedcore cancel report --app billing
      schedcore cancel report order-17
    """  # noqa: D301  the escape is for click
    if key is not None and everything:
        raise click.UsageError("name either a KEY, or --all")
    with asking(app, backend) as scheduler:
        scheduler.wait_for(lambda control: control.check(job))
        (info,) = scheduler.blocking.jobs([job])
        if key is None and not everything and len(info.running) > 1:
            keys = ", ".join(_cli_show.printable(run.key) for run in info.running[:5])
            more = ", ..." if len(info.running) > 5 else ""
            raise click.UsageError(
                f"job {job} has {len(info.running)} runs under way: name a KEY ({keys}{more}), or --all"
            )
        asked = scheduler.blocking.cancel(job, key)
    if as_json:
        _cli_show.show_json(asked)
    else:
        click.echo("\n".join(map(_told, asked)) or _nothing(job, key, len(info.outstanding)))
    context.exit(0 if asked else NOT_FINE)


def _told(run: Running) -> str:
    since = _cli_show.utc(run.since)
    return _cli_show.printable(
        f"{run.job}: asked {run.replica} to cancel {run.key}, which it has since {since}"
    )


def _nothing(job: str, key: str | None, waiting: int) -> str:
    what = "no run" if key is None else f"no run {_cli_show.printable(key)}"
    return f"{job}: {what} is under way" + (f", {waiting} outstanding" if waiting else "")

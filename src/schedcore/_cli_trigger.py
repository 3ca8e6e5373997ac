"""`schedcore trigger`, `pause` and `resume`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import click

from schedcore import _cli_options, _cli_show
from schedcore._answers import Triggered
from schedcore._cli_asking import asking, check_app
from schedcore._telling import gist

NOT_FINE = 1
PENDING = ("sent", "waiting")
FINE = (*PENDING, "succeeded")


@click.command(short_help="Trigger a job now, beside its schedule.")
@_cli_options.job(required=False)
@click.option("--payload", metavar="JSON", help="What run.payload is to be.")
@click.option("--key", help="The same key, within a day, triggers nothing more and tells of the first.")
@click.option(
    "--wait",
    is_flag=False,
    flag_value="",
    metavar="[TIME]",
    help="Wait until the run has ended, TIME at most: 90, 90s, 1h30m. [without an end]",
)
@_cli_options.of_app
@click.pass_context
def trigger(
    context: click.Context,
    job: str | None,
    payload: str | None,
    key: str | None,
    wait: str | None,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Trigger JOB now, beside its schedule, and tell what became of it.

    The exit status is 0 if it was sent, or waits, and if it is known to have succeeded; else 1.

    \b
      schedcore trigger report --app billing
      schedcore trigger report --payload '{"day": "2026-11-20"}' --key order-17 --wait 5m
    """  # noqa: D301  the escape is for click
    if job is None:
        taken = f": --wait took {wait!r} for its time, so put it behind the job" if wait else ""
        raise click.UsageError(f"name the JOB{taken}")
    content, patience = _payload(payload), _patience(wait)
    with asking(app, backend, waits=wait is not None) as scheduler:
        said = scheduler.blocking.trigger(job, payload=content, key=key)
        if said.outcome in PENDING and not scheduler.blocking.replicas():
            click.echo(f"no replica of app {scheduler.app} is alive: it runs once one is", err=True)
        if said.outcome in PENDING and wait is not None:
            try:
                said = scheduler.blocking.trigger(job, key=said.key, wait=True, timeout=patience)
            except TimeoutError as exc:
                raise click.ClickException(str(exc)) from exc
    if as_json:
        _cli_show.show_json(said)
    else:
        click.echo(_told(said))
    context.exit(0 if said.outcome in FINE else NOT_FINE)


def _told(said: Triggered) -> str:
    told = gist(said.detail)
    return _cli_show.printable(f"{said.job}: {said.outcome}, key {said.key}" + (f": {told}" if told else ""))


def _payload(text: str | None) -> object:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as exc:
        raise click.UsageError(
            f"""--payload {text[:80]!r} is no JSON ({exc}); write e.g. '{{"day": "2026-11-20"}}'"""
        ) from exc


def _patience(text: str | None) -> timedelta | None:
    if not text:
        return None
    try:
        return _cli_options.Duration().convert(text, None, None)
    except click.BadParameter as exc:
        raise click.UsageError(f"--wait {exc.message}") from exc


@click.command(short_help="Stop scheduled times from being sent.")
@_cli_options.job(required=False)
@click.option("--all", "everything", is_flag=True, help="All jobs of the app.")
@click.option(
    "--until",
    type=_cli_options.Instant(),
    metavar="TIME",
    help="When it ends: 2026-12-24T18:00Z, in UTC without an offset. [when it is resumed]",
)
@click.option("--note", default="", metavar="TEXT", help="Why; it is shown, and noted in the history.")
@_cli_options.of_app
def pause(
    job: str | None,
    everything: bool,
    until: datetime | None,
    note: str,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Stop scheduled times of JOB, or of all jobs, from being sent; it holds when this ends.

    What was sent already goes on, and triggers by hand are sent.

    \b
      schedcore pause report --app billing --note 'the bank is down'
      schedcore pause --all --until 2026-12-24T18:00+01:00
    """  # noqa: D301
    _check_one(job, everything=everything)
    with asking(app, backend) as scheduler:
        if everything:
            check_app(scheduler)
        scheduler.blocking.pause(job, until=until, note=note)
    if as_json:
        _cli_show.show_json({"job": job, "state": "paused", "until": until, "note": note})
        return
    end = f" until {_cli_show.utc(until)}" if until else ""
    click.echo(f"{job or 'all jobs'}: paused{end}" + (f" ({_cli_show.printable(note)})" if note else ""))


@click.command(short_help="Have scheduled times sent again.")
@_cli_options.job(required=False)
@click.option("--all", "everything", is_flag=True, help="End the pause of all jobs.")
@_cli_options.of_app
@click.pass_context
def resume(
    context: click.Context,
    job: str | None,
    everything: bool,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """End the pause of JOB, or that of all jobs; times that fell in it are recorded as paused.

    A pause of one job and one of all are two: the exit status is 1 if the other one still holds.

    \b
      schedcore resume report --app billing
      schedcore resume --all
    """  # noqa: D301
    _check_one(job, everything=everything)
    with asking(app, backend) as scheduler:
        if everything:
            check_app(scheduler)
        still = scheduler.wait_for(lambda control: control.resume(job))
    if as_json:
        _cli_show.show_json({"job": job, "still_paused": still})
    elif job is not None and still:
        click.echo(f"{job}: still paused, because all jobs are; schedcore resume --all ends that")
    else:
        own = f"; {len(still)} with a pause of their own are still paused" if still else ""
        click.echo(f"{job or 'all jobs'}: resumed{own}")
    context.exit(NOT_FINE if still else 0)


def _check_one(job: str | None, *, everything: bool) -> None:
    if (job is None) != everything:
        raise click.UsageError("name either a JOB, or --all")

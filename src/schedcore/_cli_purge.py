"""`schedcore purge`."""

from __future__ import annotations

import sys
from typing import Any

import click

from schedcore import _cli_options, _cli_show
from schedcore._cli_asking import asking
from schedcore._control import Control
from schedcore.errors import ConfigurationError
from schedcore.protocols import Purging
from schedcore.scheduler import Scheduler


@click.command(short_help="Remove all that the store has of an app.")
@click.option("--yes", "confirmed", metavar="APP", help="Do not ask: this is the name of the app.")
@click.option("--force", is_flag=True, help="Although replicas are alive; they put back what they remember.")
@_cli_options.of_app
def purge(confirmed: str | None, force: bool, app: str | None, backend: str | None, as_json: bool) -> None:
    """Remove an app from the store: its jobs, pauses, counters and history, and what is unfinished.

    It cannot be undone. You are asked to type the app's name, unless --yes says it. Stop its replicas first:
    while one is alive nothing is removed, unless you say --force.

    \b
      schedcore purge --app billing
      schedcore purge --app billing --yes billing
    """  # noqa: D301  the escape is for click
    with asking(app, backend) as scheduler:
        name = scheduler.app
        if confirmed is not None and confirmed != name:
            raise click.UsageError(f"--yes {confirmed!r} is not the app, which is {name!r}")
        what = _content(scheduler)
        alive = scheduler.blocking.replicas()
        if alive and not force:
            raise ConfigurationError(
                f"{len(alive)} replicas of app {name} are alive, {alive[0].id} among them: stop them first, "
                "or remove all but what they remember with --force"
            )
        if confirmed is None:
            _ask(name, what)
        if not scheduler.wait_for(_purged):
            raise ConfigurationError(
                f"the store has nothing of app {name}: is its name right, and the store?"
            )
    if as_json:
        _cli_show.show_json({"app": name, "purged": True, "alive": [info.id for info in alive]})
    else:
        click.echo(f"app {name}: removed, with {what}")


async def _purged(control: Control) -> bool:
    """Have the store forget the app; tell whether there was anything."""

    async def purge(store: Any) -> bool:
        if not hasattr(store, "purge"):
            raise ConfigurationError("this backend cannot remove an app")
        purging: Purging = store
        return await purging.purge()

    return await control.call(purge)


def _content(scheduler: Scheduler) -> str:
    infos = scheduler.blocking.jobs()
    unfinished = sum(len(info.outstanding) + len(info.waiting) for info in infos)
    return f"{len(infos)} jobs, {unfinished} unfinished triggers and all history"


def _ask(name: str, what: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"nobody is there to be asked: confirm with --yes {name}")
    typed = click.prompt(
        f"This removes app {name}, with {what}, and cannot be undone.\nType its name to go on",
        default="",
        show_default=False,
        err=True,
    )
    if typed != name:
        raise ConfigurationError(f"{typed!r} is not {name!r}: nothing was removed")

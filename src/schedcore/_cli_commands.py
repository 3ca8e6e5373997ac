"""The commands that `schedcore` has."""

from __future__ import annotations

from importlib import import_module

import click

from schedcore import _cli_backends, _cli_options, _cli_show

_ELSEWHERE = {
    "audit": "_cli_audit",
    "backfill": "_cli_backfill",
    "cancel": "_cli_cancel",
    "dead": "_cli_dead",
    "doctor": "_cli_doctor",
    "history": "_cli_history",
    "jobs": "_cli_jobs",
    "next": "_cli_upcoming",
    "pause": "_cli_trigger",
    "purge": "_cli_purge",
    "replicas": "_cli_replicas",
    "resume": "_cli_trigger",
    "run": "_cli_run",
    "trigger": "_cli_trigger",
}
"""In which module a command is that is imported only when it is asked for."""


class Commands(click.Group):
    """The commands of this module, and those of others, which nobody waits for who calls a third."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List all of them by name."""
        return sorted({*super().list_commands(ctx), *_ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        name = f"{cmd_name}_" if cmd_name == "next" else cmd_name
        command: click.Command = getattr(import_module(f"schedcore.{_ELSEWHERE[cmd_name]}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Have the nearest names looked for among all commands where there is none of this name."""
        if args and self.get_command(ctx, args[0]) is None:
            for name in _ELSEWHERE:
                self.commands[name] = self.get_command(ctx, name) or self
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True
)
@click.version_option(package_name="schedcore", message="%(package)s %(version)s")
@_cli_options.debug
@click.pass_context
def cli(context: click.Context) -> None:
    """Run jobs on schedule, see when they are due, and operate an app that runs.

    MODULE:ATTR names a Scheduler as uvicorn names an application: app:scheduler is `scheduler` in app.py
    of this directory. Commands for an app that runs need none of its code: --app NAME names it.

    \b
      schedcore run app:scheduler
      schedcore jobs --app billing
      schedcore doctor --app billing

    Have bash complete commands, options and the names of jobs:

    \b
      eval "$(_SCHEDCORE_COMPLETE=bash_source schedcore)"
    """  # noqa: D301  the escape is for click
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command(short_help="List the installed backends.")
@_cli_options.as_json
@_cli_options.debug
def backends(as_json: bool) -> None:
    """List the installed backends, and tell which one a Scheduler takes that names none.

    \b
      schedcore backends
    """  # noqa: D301
    found, why = _cli_backends.survey()
    if as_json:
        _cli_show.show_json({"backends": [backend.as_dict() for backend in found], "why": why})
        return
    if found:
        columns = ("backend", "distribution", "version", "from", "chosen", "trouble")
        _cli_show.show_table(columns, [backend.as_cells() for backend in found])
    click.echo(why)

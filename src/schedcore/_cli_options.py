"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import click
from click.shell_completion import CompletionItem

from schedcore.errors import ConfigurationError, ScheduleError
from schedcore.schedules import parse_duration

Command = Callable[..., Any]


class Duration(click.ParamType[timedelta]):
    """A length of time: 90, 90s, 1h30m."""

    name = "duration"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read it; a bare number is seconds."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value if value[-1:].isalpha() else f"{value}s")
        except ScheduleError:
            self.fail(f"{value!r} is no length of time; write e.g. 90s, 1h30m or 250ms", param, ctx)


class Instant(click.ParamType[datetime]):
    """A point in time, in UTC where it has no offset; a date is its midnight."""

    name = "time"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read it."""
        from schedcore._cli_next import instant

        if isinstance(value, datetime):
            return value
        try:
            return instant(value, "UTC", param.opts[0] if param else "")
        except ConfigurationError as exc:
            raise click.UsageError(str(exc), ctx) from exc


def complete(
    what: str, context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Ask for the names only when a shell does."""
    from schedcore import _cli_complete

    names: list[str] = getattr(_cli_complete, what)(context, parameter, incomplete)
    return [CompletionItem(name) for name in names]


def job(*, required: bool = True) -> Callable[[Command], Command]:
    """Add the argument that names a job."""
    return click.argument("job", required=required, shell_complete=lambda *asked: complete("jobs", *asked))


class Address(click.ParamType[tuple[str | None, int]]):
    """A port, of all interfaces, or of a host's: 8080, 127.0.0.1:8080."""

    name = "address"

    def convert(
        self,
        value: str | tuple[str | None, int],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str | None, int]:
        """Read it."""
        if isinstance(value, tuple):
            return value
        host, _, port = value.rpartition(":")
        if not port.isdecimal() or int(port) > 65535:
            self.fail(f"{value!r} is no port; write e.g. 8080, or 127.0.0.1:8080", param, ctx)
        return host.strip("[]") or None, int(port)


def _set_debug(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        context.ensure_object(dict)["debug"] = True


debug = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_set_debug,
    help="Show the traceback of what goes wrong.",
)
app = click.option(
    "--app", envvar="SCHEDCORE_APP", show_envvar=True, metavar="NAME", help="The name of the app."
)
backend = click.option(
    "--backend",
    metavar="NAME",
    shell_complete=lambda *asked: complete("backends", *asked),
    help="The app's backend. [SCHEDCORE_BACKEND, or the only one installed]",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
directory = click.option(
    "--app-dir",
    "directory",
    default=".",
    metavar="DIR",
    help="Where MODULE is looked for first. [this directory]",
)
number = click.option("-n", "--number", type=click.IntRange(1, 10_000), help="How many times of each job.")


def of_app(command: Command) -> Command:
    """Add the options that name a running app, of which no code is needed, and those that all have."""
    for option in (debug, as_json, backend, app):
        command = option(command)
    return command


def crontab(command: Command) -> Command:
    """Add the options that say which crontabs are meant, and how they are read."""
    for option in reversed(_CRONTAB):
        command = option(command)
    return command


_CRONTAB = (
    click.option(
        "--crontab",
        "crontabs",
        multiple=True,
        metavar="FILE",
        help="A crontab; - is standard input. May be repeated.",
    ),
    click.option(
        "--system/--user",
        default=None,
        help="Whether each line of it names a user. [known for /etc/crontab and /etc/cron.d, else not]",
    ),
    click.option("--skip-invalid", is_flag=True, help="Leave out the lines that cannot be used."),
    click.option(
        "--tz",
        default="UTC",
        show_default=True,
        metavar="ZONE",
        help="The zone of all that names none, as CRON_TZ does.",
    ),
)

"""`schedcore next`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click
from click.core import ParameterSource

from schedcore import _cli_crontab, _cli_options, _cli_show
from schedcore._cli_app import TARGET, load_scheduler
from schedcore._cli_next import Due, due_of_job, due_of_schedule, instant
from schedcore._zones import zone_of
from schedcore.errors import ConfigurationError, UnknownJobError
from schedcore.schedules import parse_schedule


@click.command("next", short_help="Show when jobs are due next.")
@click.argument("what", nargs=-1, metavar="[EXPRESSION | MODULE:ATTR [JOB]...]")
@_cli_options.number
@click.option("--after", metavar="TIME", help="Begin there: 2026-03-28, or 2026-03-28T18:00:00+01:00. [now]")
@click.option(
    "--key", default="", metavar="JOB", help="What an H in EXPRESSION is hashed on: the job's name."
)
@_cli_options.directory
@_cli_options.crontab
@_cli_options.as_json
@_cli_options.debug
@click.pass_context
def next_(
    context: click.Context,
    what: tuple[str, ...],
    number: int | None,
    after: str | None,
    key: str,
    directory: str,
    crontabs: tuple[str, ...],
    system: bool | None,
    skip_invalid: bool,
    tz: str,
    as_json: bool,
) -> None:
    """Show when a schedule, the jobs of an application or the lines of a crontab are due next.

    Times that daylight saving shifts, leaves out or shows twice are marked. Nothing is run.

    \b
      schedcore next '30 2 * * *' --tz Europe/Berlin --after 2026-03-28
      schedcore next app:scheduler send-mail -n 3
      crontab -l | schedcore next --crontab -
    """  # noqa: D301  the escape is for click
    if bool(what) == bool(crontabs):
        raise click.UsageError("name either a schedule, an application (MODULE:ATTR) or a --crontab FILE")
    _check_goes_with(context, what, crontabs)
    zone_of(tz)
    begin = datetime.now(UTC) if after is None else instant(after, tz)
    if crontabs:
        found = _cli_crontab.read(crontabs, tz=tz, system=system)
        _cli_crontab.complain(found)
        if not found.lines:
            raise ConfigurationError(f"{', '.join(crontabs)} holds no command that can be run")
        _show(_cli_crontab.due(found, begin, number or 1), as_json=as_json)
        if found.errors and not skip_invalid:
            raise ConfigurationError("`run` would start nothing of this before these lines are corrected")
    elif TARGET.fullmatch(what[0]):
        _show(_due_of_app(what[0], directory, what[1:], begin, number), as_json=as_json)
    else:
        schedule = parse_schedule(" ".join(what), tz=tz, key=key)
        _show(due_of_schedule(schedule, begin, number or 5), as_json=as_json)


def _check_goes_with(context: click.Context, what: Sequence[str], crontabs: Sequence[str]) -> None:
    """Refuse options that would do nothing, and so are a mistake."""
    of_app = bool(what) and TARGET.fullmatch(what[0]) is not None
    for option, purpose, used in (
        ("system", "--crontab", bool(crontabs)),
        ("skip_invalid", "--crontab", bool(crontabs)),
        ("directory", "MODULE:ATTR", of_app),
        ("key", "an EXPRESSION", not of_app and not crontabs),
    ):
        if not used and context.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            name = {"directory": "--app-dir", "system": "--system or --user"}.get(option)
            raise click.UsageError(f"{name or '--' + option.replace('_', '-')} goes with {purpose} only")


def _due_of_app(
    target: str, directory: str, names: Sequence[str], begin: datetime, number: int | None
) -> list[Due]:
    declared = load_scheduler(target, directory)._jobs
    for name in names:
        if name not in declared:
            raise UnknownJobError(name, declared)
    chosen = [declared[name] for name in names or declared]
    number = number or (5 if len(chosen) == 1 else 1)
    found = [due for job in chosen for due in due_of_job(job, begin, number)]
    return sorted(found, key=lambda due: due.at)


def _show(found: Sequence[Due], *, as_json: bool) -> None:
    if as_json:
        _cli_show.show_json([due.as_dict() for due in found])
        return
    columns = ("local time", "zone", "utc", "job", "schedule", "command", "note")
    _cli_show.show_table(columns, [due.as_cells() for due in found])
    if not found:
        click.echo("nothing is due any more", err=True)

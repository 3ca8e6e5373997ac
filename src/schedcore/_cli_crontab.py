"""Crontabs on the command line: read, complain, and make a scheduler of what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import attrs
import click

from schedcore._accounts import taken_for_programs
from schedcore._cli_next import Due, due_of_schedule
from schedcore._crontab import CrontabLine, is_system_crontab, load_crontab
from schedcore.errors import ConfigurationError, CrontabError
from schedcore.schedules import parse_schedule

REBOOT_AFTER = timedelta(seconds=5)
"""How long after the start of the command `@reboot` is due; the store has to have been reached by then."""


@attrs.frozen
class Crontabs:
    """What one or several files say, names made unique."""

    files: tuple[str, ...]
    lines: tuple[CrontabLine, ...]
    errors: tuple[CrontabError, ...]


def read(files: Sequence[str], *, tz: str, system: bool | None) -> Crontabs:
    """Read crontabs; `-` is standard input.

    Raises:
        ConfigurationError: a file cannot be read, or its format is anybody's guess.
        ScheduleError: there is no such zone.
    """
    parse_schedule("* * * * *", tz=tz)  # once, and not for every line
    at_start = (datetime.now(UTC) + REBOOT_AFTER).isoformat()
    names: set[str] = set()
    lines, errors = [], []
    for file in files:
        found, wrong = load_crontab(
            "/dev/stdin" if file == "-" else file, tz=tz, system=system, at_start=at_start
        )
        if system is None and not is_system_crontab(file):
            _told_users(file, found)
        errors += wrong
        for line in found:
            name, number = line.name, 1
            while name in names:
                number += 1
                name = f"{line.name}-{number}"
            names.add(name)
            lines.append(attrs.evolve(line, name=name))
    return Crontabs(tuple(files), tuple(lines), tuple(errors))


def _told_users(file: str, lines: Sequence[CrontabLine]) -> None:
    """Refuse what must be a system crontab, and warn of lines that may belong into one."""
    doubtful, every_line = taken_for_programs(lines)
    if every_line:
        raise ConfigurationError(
            f"each command of {file} begins with the name of a user, as in a system crontab; "
            "say --system if these are users, or --user if they are programs"
        )
    for doubt in doubtful:
        click.echo(f"{doubt}; say --system if it is who runs the line, or --user if all is well", err=True)


def complain(crontabs: Crontabs) -> None:
    """Report what could not be understood, a line each."""
    for error in crontabs.errors:
        click.echo(str(error), err=True)


def check(crontabs: Crontabs, *, skip_invalid: bool) -> None:
    """Report what is wrong, and refuse to go on with it.

    Raises:
        ConfigurationError: lines were not understood, or there are none.
    """
    complain(crontabs)
    named, wrong = ", ".join(crontabs.files), len(crontabs.errors)
    if wrong and not skip_invalid:
        raise ConfigurationError(
            f"nothing was started: {wrong} of {wrong + len(crontabs.lines)} lines of {named} cannot be used; "
            "correct them, or leave them out with --skip-invalid"
        )
    if not crontabs.lines:
        raise ConfigurationError(f"nothing was started: {named} holds no command that can be run")


def due(crontabs: Crontabs, begin: datetime, number: int) -> list[Due]:
    """List the next times of each line, all in order."""
    found = []
    for line in crontabs.lines:
        schedule = parse_schedule(line.schedule, tz=line.tz, key=line.name)
        times = due_of_schedule(schedule, begin, number, line.name)
        if line.source.lower().startswith("@reboot"):
            times = [attrs.evolve(time, note="@reboot: once after each start of `run`") for time in times]
        found += [attrs.evolve(time, command=line.command) for time in times]
    return sorted(found, key=lambda time: time.at)

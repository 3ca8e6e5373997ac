"""A crontab's commands as jobs of a scheduler."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Unpack

import attrs

from schedcore._accounts import taken_for_programs
from schedcore._command import CommandFailedError, CommandJob, kill_running
from schedcore._crontab import CrontabLine, is_system_crontab, load_crontab
from schedcore._jobs import JobOptions
from schedcore.context import RunContext
from schedcore.errors import ConfigurationError, CrontabError
from schedcore.scheduler import Scheduler

log = logging.getLogger("schedcore")

__all__ = ["CrontabLine", "add_crontab"]


def add_crontab(
    scheduler: Scheduler,
    path: str | os.PathLike[str],
    *,
    system: bool | None = None,
    at_start: datetime | None = None,
    **options: Unpack[JobOptions],
) -> list[CrontabLine]:
    """Declare every command of a crontab as a job; all or, if a line cannot be understood, none.

    A second signal to `run()` kills what still runs. As under cron a command is started although its
    last run goes on; `overlap=` says otherwise.

    Args:
        scheduler: Whose jobs they become.
        path: The crontab.
        system: Whether each line names a user; by default that is known from the path.
        at_start: When `@reboot` is, a time just ahead; without it such a line is not understood.
        options: What every job is given; `tz` is for the lines that no `CRON_TZ` precedes.

    Raises:
        CrontabError: a line cannot be understood; the others of this kind are in its notes.
        ConfigurationError: the file cannot be read or looks like a system crontab, or an option is
            unusable.
    """
    tz = options.pop("tz", "UTC")
    start = "" if at_start is None else at_start.isoformat()
    lines, errors = load_crontab(path, tz=tz, system=system, at_start=start)
    if errors:
        raise _together(errors)
    if system is None and not is_system_crontab(path):
        _tell_users(path, lines)
    add_lines(scheduler, lines, options)
    return lines


def add_lines(scheduler: Scheduler, lines: Iterable[CrontabLine], options: JobOptions) -> None:
    """Declare these lines as jobs."""
    jobs = [(line, Command(line, CommandJob.of(line))) for line in lines]
    for line, command in jobs:
        merged: JobOptions = {"overlap": "allow", **options, "tz": line.tz}
        scheduler.add_job(line.name, line.schedule, command, **merged)

    def kill() -> None:
        kill_running()

    scheduler._lifetime.on_hurry.append(kill)


@attrs.frozen(eq=False)
class Command:
    """A command that tells in the log how each of its runs ended, as nobody gets cron's mail."""

    line: CrontabLine = attrs.field(repr=lambda line: f"{line.file}:{line.line}")
    job: CommandJob = attrs.field(repr=False)

    async def __call__(self, run: RunContext) -> None:
        """Run it."""
        try:
            await self.job(run)
        except CommandFailedError as exc:
            run.log.warning("%s", self.job.in_the_log(run, str(exc)), extra={"event": "command.failed"})
            raise
        except asyncio.CancelledError:
            told = self.job.in_the_log(run, run._progress)
            run.log.warning("%s", told, extra={"event": "command.cancelled"})
            raise
        run.log.info("%s", self.job.in_the_log(run, run._progress), extra={"event": "command.succeeded"})


def _tell_users(path: str | os.PathLike[str], lines: Sequence[CrontabLine]) -> None:
    doubtful, every_line = taken_for_programs(lines)
    if every_line:
        raise ConfigurationError(
            f"each command of {os.fspath(path)} begins with the name of a user, as in a system crontab; "
            "pass system=True if these are users, or system=False if they are programs"
        )
    for doubt in doubtful:
        log.warning(
            "%s; pass system=True if it is who runs the line, or system=False if all is well",
            doubt,
            extra={"event": "crontab.doubt"},
        )


def _together(errors: list[CrontabError]) -> CrontabError:
    for other in errors[1:]:
        errors[0].add_note(str(other))
    return errors[0]

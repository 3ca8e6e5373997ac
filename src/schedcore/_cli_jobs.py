"""`schedcore jobs`: what is declared, and what the store knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import attrs
import click
from click.core import ParameterSource

from schedcore import _cli_options, _cli_show
from schedcore._answers import JobInfo
from schedcore._cli_app import TARGET, load_scheduler
from schedcore._cli_asking import asking, check_app
from schedcore._cli_next import due_of_job
from schedcore._command import shortened
from schedcore._units import to_datetime
from schedcore.errors import UnknownJobError
from schedcore.scheduler import Scheduler

HELD_UP = 5.0
"""A time that is overdue by so many seconds is nobody's: replicas decide within moments."""

PROGRESS_SHOWN = 60

COLUMNS = (
    "job",
    "schedule",
    "zone",
    "next",
    "state",
    "since",
    "delivery",
    "replica",
    "progress",
    "late",
    "last success",
    "runs",
    "by hand",
    "declared in",
)


@attrs.frozen
class JobRow:
    """A job in the list."""

    name: str
    schedule: str
    tz: str
    upcoming: tuple[datetime, ...]
    declared_in: str
    info: JobInfo | None = None

    @property
    def state(self) -> str:
        """Tell in a word how it is; nothing where no store knows it."""
        info = self.info
        if info is None or info.state not in ("idle", "outstanding"):
            return info.state if info else ""
        if info.late > HELD_UP:
            return "held up"
        if info.running:
            return "running"
        return "waiting" if info.outstanding or info.waiting else "idle"

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        info = self.info
        return {
            "name": self.name,
            "schedule": self.schedule,
            "tz": self.tz,
            "next": self.upcoming,
            "declared_in": self.declared_in,
            "state": self.state or None,
            "note": info.note if info else None,
            "late": info.late if info else None,
            "jitter": info.jitter if info else None,
            "paused_until": info.paused_until if info else None,
            "all_paused": info.all_paused if info else None,
            "running": info.running if info else None,
            "outstanding": len(info.outstanding) if info else None,
            "waiting": len(info.waiting) if info else None,
            "last_success": info.last_success if info else None,
            "counters": info.counters if info else None,
            "manual": info.manual if info else None,
        }

    def as_cells(self) -> tuple[str, ...]:
        """Return it for a table, with the oldest of its runs."""
        info = self.info
        run = min(info.running, key=lambda run: run.since) if info and info.running else None
        more = f" and {len(info.running) - 1} more" if info and len(info.running) > 1 else ""
        since = run.since if run else _sent(info) if info else None
        return (
            self.name,
            self.schedule,
            self.tz,
            (", ".join(_cli_show.local(at, self.tz) for at in self.upcoming) or "never") + _jitter(info),
            self.state + _more_of_state(info),
            _cli_show.utc(since),
            str(run.delivery) if run and run.delivery > 1 else "",
            f"{run.replica}{more}" if run else "",
            shortened(run.progress, PROGRESS_SHOWN) if run else "",
            f"{info.late:.0f} s" if info and info.late > HELD_UP else "",
            _cli_show.utc(info.last_success) if info else "",
            _counts(info.counters) if info else "",
            _counts(info.manual) if info else "",
            self.declared_in,
        )


def _jitter(info: JobInfo | None) -> str:
    return f" + {info.jitter:g} s" if info and info.jitter and info.next_at else ""


def _more_of_state(info: JobInfo | None) -> str:
    """Tell until when it is paused, why, and whether by itself; or how many wait behind a run."""
    if info is None:
        return ""
    if info.state != "paused":
        return f", {len(info.waiting)} wait" if info.waiting else ""
    until = f" until {_cli_show.utc(info.paused_until)}" if info.paused_until else ""
    return until + (", as all jobs are" if info.all_paused else "") + (f" ({info.note})" if info.note else "")


def _sent(info: JobInfo) -> datetime | None:
    """Tell of what was sent, and no replica has, the oldest scheduled time: keys by hand tell none."""
    times = [int(key) for key in info.outstanding if key.isdecimal()]
    return to_datetime(min(times)) if times else None


def _counts(counters: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counters.items()))


@click.command(short_help="List jobs, and how they are.")
@click.argument(
    "what",
    nargs=-1,
    metavar="[MODULE:ATTR] [JOB]...",
    shell_complete=lambda *asked: _cli_options.complete("jobs", *asked),
)
@_cli_options.directory
@_cli_options.number
@_cli_options.of_app
@click.pass_context
def jobs(
    context: click.Context,
    what: tuple[str, ...],
    directory: str,
    number: int | None,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """List jobs: schedule, zone, next times and, from the store, how they are.

    Those of MODULE:ATTR, or those of the app that --app names, of which no code is needed. With --app, each
    further word is a job; so a job named like a MODULE:ATTR can be asked for.
    The RAM backend has no store that another process could ask: with MODULE:ATTR you see what is declared.

    \b
      schedcore jobs app:scheduler
      schedcore jobs --app billing report
    """  # noqa: D301
    named = context.get_parameter_source("app") is ParameterSource.COMMANDLINE
    if not named and what and (TARGET.fullmatch(what[0]) or not app):
        if backend:
            raise click.UsageError("--backend goes with --app only; here the code decides")
        scheduler, names = load_scheduler(what[0], directory), what[1:]
        rows = job_rows(scheduler, number or 1, datetime.now(UTC), names)
        name = scheduler.app
    else:
        for option in ("directory", "number"):
            if context.get_parameter_source(option) is ParameterSource.COMMANDLINE:
                shown = {"directory": "--app-dir", "number": "--number"}[option]
                raise click.UsageError(f"{shown} goes with MODULE:ATTR only")
        with asking(app, backend) as scheduler:
            if not what:
                check_app(scheduler)
            rows = [_only_stored(info, "") for info in _infos(scheduler, what)]
        name = scheduler.app
    if as_json:
        _cli_show.show_json([row.as_dict() for row in rows])
        return
    _cli_show.show_table(COLUMNS, [row.as_cells() for row in rows])
    if not rows:
        click.echo(f"app {name} has no jobs", err=True)


def _infos(scheduler: Scheduler, names: Sequence[str]) -> list[JobInfo]:
    """Ask the store; a name that it does not know is refused."""
    found = scheduler.blocking.jobs(dict.fromkeys(names) if names else None)
    known = {info.name for info in found}
    for name in names:
        if name not in known:
            scheduler.wait_for(lambda control, name=name: control.check(name))  # type: ignore[misc]
    return found


def job_rows(scheduler: Scheduler, number: int, now: datetime, names: Sequence[str] = ()) -> list[JobRow]:
    """List the declared jobs and those that only the store knows, in order of name, or those `names`."""
    infos = {info.name: info for info in scheduler.blocking.jobs(names or None)}
    declared = {name: job for name, job in scheduler._jobs.items() if not names or name in names}
    for name in names:
        if name not in declared and name not in infos:
            raise UnknownJobError(name, scheduler._jobs)
    rows = [
        JobRow(
            job.name,
            job.spec.expression,
            job.spec.tz,
            tuple(due.at for due in due_of_job(job, now, number)),
            job.declared_in,
            infos.pop(job.name, None),
        )
        for job in declared.values()
    ]
    rows += [_only_stored(info, "elsewhere") for info in infos.values()]
    return sorted(rows, key=lambda row: row.name)


def _only_stored(info: JobInfo, where: str) -> JobRow:
    upcoming = () if info.next_at is None else (info.next_at,)
    return JobRow(info.name, info.schedule, info.tz, upcoming, where, info)

"""`schedcore run`."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, get_args

import click
from click.core import ParameterSource

from schedcore import _cli_crontab, _cli_options, _cli_show
from schedcore._cli_app import load_scheduler
from schedcore._cli_next import due_of_job
from schedcore._jobs import JobOptions
from schedcore._state import Overlap
from schedcore.crontab import add_lines
from schedcore.errors import ConfigurationError, SeveralBackendsError
from schedcore.scheduler import Scheduler

if TYPE_CHECKING:
    from schedcore.probes import Probes

log = logging.getLogger("schedcore")

SHOWN = 50
"""So many jobs are listed at start."""

COMMANDS_AT_ONCE = 1000
"""Under cron a command that hangs keeps no other from starting: neither shall it here, for long."""

OF_CRONTABS = ("system", "skip_invalid", "tz", "app", "backend", "timeout", "overlap", "drain")


@click.command(short_help="Run the jobs of an application, or of a crontab.")
@click.argument("target", required=False, metavar="[MODULE:ATTR]")
@_cli_options.directory
@_cli_options.crontab
@click.option(
    "--timeout",
    type=_cli_options.Duration(),
    metavar="TIME",
    help="When a command is killed: 90, 90s, 1h30m. [never]",
)
@click.option(
    "--overlap",
    type=click.Choice(get_args(Overlap)),
    default="allow",
    show_default=True,
    help="What becomes of a time at which the last run of the command still goes on.",
)
@click.option(
    "--drain",
    type=_cli_options.Duration(),
    default="20s",
    show_default=True,
    metavar="TIME",
    help="How long commands may go on after a first signal.",
)
@click.option(
    "--app",
    envvar="SCHEDCORE_APP",
    default="crontab",
    show_default=True,
    show_envvar=True,
    help="The name under which replicas share the jobs of a crontab.",
)
@click.option(
    "--backend", metavar="NAME", help="The backend of a crontab. [SCHEDCORE_BACKEND, or the only one]"
)
@click.option(
    "--health-port",
    type=_cli_options.Address(),
    metavar="[HOST:]PORT",
    help="Answer /live, /ready and /health there: for the probes of Kubernetes.",
)
@click.option(
    "--metrics",
    is_flag=True,
    help="Answer /metrics there, too: for Prometheus, with the extra prometheus.",
)
@click.option(
    "--log-level",
    type=click.Choice(("debug", "info", "warning", "error"), case_sensitive=False),
    default="info",
    show_default=True,
    help="What is logged to standard error.",
)
@click.option(
    "--log-format",
    type=click.Choice(("plain", "json")),
    default="plain",
    show_default=True,
    help="How a line of the log is written: json for programs that read it.",
)
@_cli_options.debug
@click.pass_context
def run(
    context: click.Context,
    target: str | None,
    directory: str,
    crontabs: tuple[str, ...],
    system: bool | None,
    skip_invalid: bool,
    tz: str,
    timeout: timedelta | None,
    overlap: Overlap,
    drain: timedelta,
    app: str,
    backend: str | None,
    health_port: tuple[str | None, int] | None,
    metrics: bool,
    log_level: str,
    log_format: str,
) -> None:
    """Run the jobs of MODULE:ATTR, or those of a crontab, until SIGTERM or SIGINT (Ctrl-C).

    A first signal lets what runs come to its end; a second one stops now, and kills commands.

    \b
      schedcore run app:scheduler
      crontab -l | schedcore run --crontab -
      schedcore run --crontab /etc/crontab --tz Europe/Berlin

    With --crontab each line is a job, and its command runs as under cron: by $SHELL, in $HOME, with no
    variables but the crontab's and cron's own. Two things are chosen: as under cron a command is started
    although its last run goes on (--overlap skip is the careful choice); unlike under cron a time that was
    missed, because the machine slept, say, is made up for, once. Each command has a process group of its
    own, killed as a whole when its time is up. Its exit code and the last line of its output are in the
    log, more of it is in the job's history. A line for another user needs root. If one line cannot be
    understood nothing is started, unless --skip-invalid. On a backend with a store, replicas that run the
    same crontab under the same --app run each line once between them.
    """  # noqa: D301  the escape is for click
    if metrics and health_port is None:
        raise click.UsageError("--metrics goes with --health-port: it is a page more there")
    if bool(target) == bool(crontabs):
        raise click.UsageError("name either an application, such as app:scheduler, or a --crontab FILE")
    if target:
        given = [
            name for name in OF_CRONTABS if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        ]
        if given:
            raise click.UsageError(
                f"--{given[0].replace('_', '-')} goes with --crontab only; here the code decides"
            )
        scheduler = load_scheduler(target, directory)
    else:
        found = _cli_crontab.read(crontabs, tz=tz, system=system)
        _cli_crontab.check(found, skip_invalid=skip_invalid)
        scheduler = _of_crontabs(app, backend, drain)
        options: JobOptions = {"overlap": overlap, "timeout": timeout}
        add_lines(scheduler, found.lines, options)
    _cli_show.log_to_stderr(log_level, as_json=log_format == "json")
    _say(scheduler, tz if crontabs else "")
    if health_port is None:
        scheduler.run()
        return
    from schedcore.probes import Probes

    host, port = health_port
    probes = Probes(scheduler, port, host=host)
    if metrics:
        _add_metrics(probes, scheduler)
    with probes:
        scheduler.run()


def _add_metrics(probes: Probes, scheduler: Scheduler) -> None:
    try:
        from schedcore.prometheus import expose, page
    except ImportError as exc:
        raise ConfigurationError(f"--metrics: {exc}") from exc
    expose(scheduler)
    probes.pages["/metrics"] = page


def _of_crontabs(app: str, backend: str | None, drain: timedelta) -> Scheduler:
    try:
        return Scheduler(app, backend=backend, drain=drain, concurrency=COMMANDS_AT_ONCE)
    except SeveralBackendsError as exc:
        remedy = "such as --backend ram, which needs no server, or set SCHEDCORE_BACKEND"
        raise ConfigurationError(f"several backends are installed; name one, {remedy}") from exc


def _say(scheduler: Scheduler, tz: str) -> None:
    """Log what is about to run."""
    jobs = list(scheduler._jobs.values())
    log.info(
        "app %s on backend %s, %d jobs",
        scheduler.app,
        scheduler._backend.name,
        len(jobs),
        extra={"event": "app.jobs", "app": scheduler.app, "jobs": len(jobs)},
    )
    if tz:
        log.info(
            "a line's times are %s, unless a CRON_TZ above it says otherwise",
            tz,
            extra={"event": "app.zone"},
        )
    now = datetime.now(UTC)
    for job in jobs[:SHOWN]:
        upcoming = due_of_job(job, now, 1)
        following = _cli_show.local(upcoming[0].at, job.spec.tz) if upcoming else "never"
        log.info(
            "job %s: %s, next %s (%s)",
            job.name,
            job.spec.expression,
            following,
            job.spec.tz,
            extra={"event": "app.job", "job": job.name},
        )
    if len(jobs) > SHOWN:
        log.info("and %d more", len(jobs) - SHOWN, extra={"event": "app.more_jobs"})

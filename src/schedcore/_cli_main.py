"""Calls the command line, and turns whatever goes wrong into one line and an exit status."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import click

from schedcore._cli_commands import cli
from schedcore.errors import BackendImportError, LifecycleError, SchedcoreError, StoreUnavailableError

UNUSABLE, FAILED, INTERRUPTED = 2, 1, 130


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A crontab may hold any bytes, and a terminal may know few characters.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    state: dict[str, bool] = {}
    try:
        result = cli.main(arguments, prog_name="schedcore", standalone_mode=False, obj=state)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as exc:  # noqa: BLE001  this is where they all end
        if state.get("debug"):
            traceback.print_exc()
        sys.stderr.write(f"schedcore: {_one_line(exc, debug=bool(state.get('debug')))}\n")
        return _status(exc)
    return result if isinstance(result, int) else 0


def _one_line(exc: Exception, *, debug: bool) -> str:
    if isinstance(exc, click.UsageError):
        of = exc.ctx.command_path if exc.ctx else "schedcore"
        text = f"{exc.format_message()} ({of} --help tells what there is)"
    elif isinstance(exc, click.ClickException):
        text = exc.format_message()
    elif isinstance(exc, SchedcoreError):
        text = str(exc)
    else:
        text = f"{type(exc).__name__}: {exc}" + ("" if debug else " (--debug shows where)")
    return " ".join(text.split())


def _status(exc: Exception) -> int:
    if isinstance(exc, click.ClickException):
        return exc.exit_code
    fault = (StoreUnavailableError, LifecycleError, BackendImportError)
    told = isinstance(exc, SchedcoreError) and not isinstance(exc, fault)
    return int(getattr(exc, "exit_status", UNUSABLE if told else FAILED))

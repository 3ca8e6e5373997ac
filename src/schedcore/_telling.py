"""What became of runs, told for the history and for the log."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Sequence
from pathlib import Path

from schedcore._state import Options
from schedcore._units import to_datetime
from schedcore.errors import SchedcoreError
from schedcore.protocols import Micros, Run, Status

TRACEBACK_LIMIT = 8192

LINE = 400
"""So many characters of it are told in the log."""

LEVELS = {
    Status.SKIPPED: logging.INFO,
    Status.PAUSED: logging.INFO,
    Status.MISSED: logging.WARNING,
    Status.LOST: logging.WARNING,
    Status.DEAD: logging.ERROR,
}

_OURS = str(Path(__file__).parent) + os.sep

log = logging.getLogger("schedcore")


class TimeUpError(TimeoutError):
    """An attempt took longer than the job's `timeout`."""

    def __init__(self, timeout: Micros, *, lives_on: bool) -> None:
        """Tell the limit, and whether its thread could not be stopped."""
        more = "; its thread lives on and keeps its place until it ends" if lives_on else ""
        super().__init__(f"the attempt took longer than its limit of {timeout / 1_000_000:g} s{more}")


def describe(error: BaseException, options: Options) -> str:
    """Tell an error for the history: its traceback's last 8 KB, or its type where that may carry secrets."""
    if not options.traceback:
        return type(error).__name__
    if isinstance(error, (TimeUpError, SchedcoreError)):
        return str(error)  # where it was raised is ours, and says nothing to the job's author
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001  what it asks of the error is the user's code, and may raise anything
        return f"{type(error).__name__} (its traceback cannot be told)"
    return text if len(text) <= TRACEBACK_LIMIT else "..." + text[3 - TRACEBACK_LIMIT :]


def as_exception(error: BaseException) -> Exception:
    """Wrap what a loop or a future would take for its own: SystemExit, StopIteration and their kin."""
    wrapped = RuntimeError(f"the function raised {type(error).__name__}: {message_of(error)}")
    wrapped.__cause__ = error
    return wrapped


def message_of(error: BaseException) -> str:
    """Return an error's message, whatever its class makes of `str`."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001  it is the user's code, and may raise anything
        return "(its message cannot be told)"


def begin_with_theirs(error: BaseException) -> None:
    """Cut our own frames off the beginning of a traceback, where they say nothing to the job's author."""
    for each in (error, error.__cause__):
        trace = None if each is None else each.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
            trace = trace.tb_next
        if each is not None and trace is not None:
            BaseException.with_traceback(each, trace)


def in_a_line(detail: str) -> str:
    """Tell what is in the history for the log: a traceback's last line, or of a message both ends."""
    first, *others = detail.strip().splitlines() or [""]
    if others:
        first = others[-1] if is_traceback(detail) else f"{first[: LINE // 2]} ... {others[-1]}"
    return first if len(first) <= LINE else first[: LINE - 3] + "..."


def is_traceback(detail: str) -> bool:
    """Tell whether `describe` told a traceback, rather than a sentence."""
    return detail.startswith(("Traceback", "..."))


def gist(detail: str) -> str:
    """Tell a detail in a line: of a traceback what was raised, else the reason, and how far the run was."""
    lines = detail.strip().splitlines()
    return lines[-1] if any(map(is_traceback, lines)) else "; ".join(lines)


def describe_shortly(error: BaseException, options: Options) -> str:
    """Tell an error in a line: its type, and its message unless that may carry secrets."""
    name = type(error).__name__
    message = in_a_line(message_of(error)) if options.traceback else ""
    return f"{name}: {message}" if message else name


def tell_undone(runs: Sequence[Run]) -> None:
    """Say what did not run; what ran was said when it ended."""
    for run in runs:
        level = LEVELS.get(run.status)
        if level is not None and log.isEnabledFor(level):
            log.log(
                level,
                "job %s: %d %s, the first at %s (%s)",
                run.job,
                run.count,
                run.status,
                to_datetime(run.scheduled_at).isoformat(),
                run.detail,
                extra={
                    "event": f"run.{run.status}",
                    "job": run.job,
                    "status": str(run.status),
                    "key": run.key,
                    "count": run.count,
                    "reason": run.detail,
                },
            )

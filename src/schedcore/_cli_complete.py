"""What a shell is told when somebody presses the tabulator key."""

from __future__ import annotations

import logging
import os
import threading
from functools import partial
from importlib.metadata import entry_points
from queue import Empty, SimpleQueue

import click

from schedcore import _plugins
from schedcore._cli_asking import asking
from schedcore._control import Control
from schedcore.values import Status

PATIENCE = 1.0
"""Seconds: who waits for longer types the name himself."""

MOST = 100


def jobs(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Name the jobs that begin like this, from the store; none if it does not answer at once."""
    logging.disable()
    app = context.params.get("app") or os.environ.get("SCHEDCORE_APP")
    loaded = threading.Event()
    answers: SimpleQueue[list[str]] = SimpleQueue()
    ask = partial(_ask, loaded, answers, app, context.params.get("backend"), incomplete)
    threading.Thread(target=ask, daemon=True).start()  # to connect, and to disconnect, may take long too
    loaded.wait()  # what a busy machine takes to import the backend is no server's fault
    try:
        return answers.get(timeout=PATIENCE)
    except Empty:
        return []


def _ask(
    loaded: threading.Event,
    answers: SimpleQueue[list[str]],
    app: str | None,
    backend: str | None,
    begin: str,
) -> None:
    try:
        with asking(app, backend) as scheduler:
            loaded.set()
            answers.put(scheduler.wait_for(lambda control: _names(control, begin)))
    except Exception:  # noqa: BLE001  nobody wants to read an error in the middle of a line
        answers.put([])
    finally:
        loaded.set()


async def _names(control: Control, begin: str) -> list[str]:
    before = f"{begin[:-1]}{chr(ord(begin[-1]) - 1)}\x7f" if begin else ""
    rows = await control.call(lambda store: store.rows(after=before, limit=MOST))
    return [row.job for row in rows if row.job.startswith(begin)]


def statuses(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Name the statuses, as they need no quoting."""
    words = [str(status).replace(" ", "-") for status in Status]
    return [word for word in words if word.startswith(incomplete)]


def backends(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Name the installed backends."""
    names = sorted(point.name for point in entry_points(group=_plugins.GROUP))
    return [name for name in names if name.startswith(incomplete)]

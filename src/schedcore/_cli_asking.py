"""How commands ask a running app: by its name, without its code."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import click

from schedcore.errors import ConfigurationError, SeveralBackendsError, UnknownJobError
from schedcore.scheduler import Scheduler


@contextmanager
def asking(app: str | None, backend: str | None, *, waits: bool = False) -> Iterator[Scheduler]:
    """Have a scheduler of the app that only asks, and disconnect it at the end.

    With `waits` it is one that may take hours, and its garbage is collected meanwhile.

    Raises:
        ConfigurationError: no other process reaches the state of an app on this backend.
    """
    if not app:
        raise click.UsageError("name the app: --app NAME, or set SCHEDCORE_APP")
    try:
        scheduler = Scheduler(app, backend=backend)
    except SeveralBackendsError as exc:
        raise ConfigurationError(
            "several backends are installed; name the app's with --backend, or set SCHEDCORE_BACKEND"
        ) from exc
    found = scheduler._backend
    if not getattr(found, "shared", True):
        raise ConfigurationError(
            f"the {found.name} backend keeps an app within its process, where no command reaches it: "
            "ask there, with scheduler.blocking, or name the backend on which it runs with --backend"
        )
    collects = gc.isenabled()
    if not waits:
        gc.disable()  # of many jobs much is made, and nothing of it is garbage before the end
    try:
        yield scheduler
    except UnknownJobError as exc:
        if exc.known:
            raise
        raise _no_jobs(app) from exc
    finally:
        if collects:
            gc.enable()
        scheduler.stop()


def check_app(scheduler: Scheduler) -> None:
    """Tell apart an app that does not exist from one of which nothing is to be told.

    Raises:
        ConfigurationError: the store knows no job of it.
    """
    if not scheduler.wait_for(lambda control: control.call(lambda store: store.rows(limit=1))):
        raise _no_jobs(scheduler.app)


def _no_jobs(app: str) -> ConfigurationError:
    remedy = "is its name right, and the store? Its jobs come with its first start"
    return ConfigurationError(f"the store knows no job of app {app}: {remedy}")

"""Jobs of a Flask application: they run in its application context.

    scheduler = FlaskScheduler("shop")
    scheduler.init_app(app)

Needs the extra `flask`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Unpack

from flask import Flask
from flask.ctx import AppContext

from schedcore._jobs import JobFunction, JobOptions
from schedcore._within import within
from schedcore.errors import ConfigurationError
from schedcore.scheduler import Scheduler
from schedcore.schedules import Schedule


class FlaskScheduler(Scheduler):
    """A scheduler whose jobs find `flask.current_app` and all that hangs on it, a database session say.

    Takes what `Scheduler` takes. Each attempt of a run has an application context of its own, whose end
    runs the application's teardown functions, as the end of a request does.
    """

    _flask: Flask | None = None

    def init_app(self, flask_app: Flask) -> None:
        """Have jobs run in the context of `flask_app`; it has the scheduler as `extensions["schedcore"]`."""
        self._flask = flask_app
        flask_app.extensions["schedcore"] = self

    def add_job(
        self,
        name: str,
        schedule: str | datetime | Schedule,
        function: JobFunction,
        **options: Unpack[JobOptions],
    ) -> None:
        """Declare a job, as `Scheduler.add_job` does."""
        if callable(function):
            function = within(function, self._context, self._async_context)
        super().add_job(name, schedule, function, **options)

    def _context(self) -> AppContext:
        if self._flask is None:
            raise ConfigurationError(
                f"the scheduler of {self.app} knows no Flask application: "
                "call scheduler.init_app(app) where the application is made, before jobs run"
            )
        return self._flask.app_context()

    @asynccontextmanager
    async def _async_context(self) -> AsyncIterator[None]:
        with self._context():
            yield


__all__ = ["FlaskScheduler"]

"""The scheduler of a Django project."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Unpack

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import close_old_connections, connections, reset_queries

from schedcore._jobs import JobFunction, JobOptions
from schedcore._within import within
from schedcore.scheduler import Scheduler
from schedcore.schedules import Schedule


class DjangoScheduler(Scheduler):
    """A scheduler whose runs begin with usable database connections and leave none open."""

    def add_job(
        self,
        name: str,
        schedule: str | datetime | Schedule,
        function: JobFunction,
        **options: Unpack[JobOptions],
    ) -> None:
        """Declare a job, as `Scheduler.add_job` does."""
        if callable(function):
            function = within(function, connected, async_connected)
        super().add_job(name, schedule, function, **options)


@contextmanager
def connected() -> Iterator[None]:
    """Give a plain function this thread's connections, and close them: the thread may be idle for long."""
    _refresh()
    try:
        yield
    finally:
        connections.close_all()


@asynccontextmanager
async def async_connected() -> AsyncIterator[None]:
    """Give a coroutine a thread of its own for what it asks of the database, as Django gives each request."""
    async with ThreadSensitiveContext():
        await sync_to_async(_refresh)()
        try:
            yield
        finally:
            await sync_to_async(connections.close_all)()


def _refresh() -> None:
    reset_queries()
    close_old_connections()

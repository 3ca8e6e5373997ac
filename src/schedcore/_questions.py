"""What can be asked about an app, from any process of it, started or not."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from schedcore._answers import JobInfo, ReplicaInfo, RunInfo, Running, Triggered
from schedcore._units import Seconds, seconds
from schedcore.protocols import Status

if TYPE_CHECKING:
    from schedcore._audit import Audit
    from schedcore._lifetimes import Lifetime


class Questions:
    """The part of a scheduler that asks its app's store."""

    _lifetime: Lifetime

    async def trigger(
        self,
        name: str,
        *,
        payload: object = None,
        key: str | None = None,
        wait: bool = False,
        timeout: Seconds | None = None,
    ) -> Triggered:
        """Trigger a job now, beside its schedule, and tell what became of it.

        Args:
            name: The job's.
            payload: What `run.payload` is to be: anything that JSON can hold, 64 KB at most.
            key: The same key, within a day, triggers nothing more and answers what became of the first.
            wait: Whether to wait until the run has ended.
            timeout: How long to wait at most, seconds or a `timedelta`.

        Raises:
            UnknownJobError: the app has no such job.
            TimeoutError: the run took longer than `timeout`; it goes on.
            StoreUnavailableError: the store did not answer.
        """
        limit = None if timeout is None else seconds("timeout", timeout)
        return await self._lifetime.ask(
            lambda control: control.trigger(name, payload=payload, key=key, wait=wait, timeout=limit)
        )

    async def pause(self, name: str | None = None, *, until: datetime | None = None, note: str = "") -> None:
        """Stop scheduled times of a job, or of all jobs, from being sent, on every replica.

        What already waits still goes, and triggers by hand are sent. It holds when this returns.

        Raises:
            UnknownJobError: the app has no such job.
            ConfigurationError: `until` has passed.
        """
        await self._lifetime.ask(lambda control: control.pause(name, until=until, note=note))

    async def resume(self, name: str | None = None) -> None:
        """End the pauses of a job, or those of all jobs; the times that fell in them are recorded as paused.

        Raises:
            UnknownJobError: the app has no such job.
        """
        await self._lifetime.ask(lambda control: control.resume(name))

    async def jobs(self, names: Collection[str] | None = None) -> list[JobInfo]:
        """Tell what the app knows of these jobs, or of all, in order of name."""
        return await self._lifetime.ask(lambda control: control.jobs(names))

    async def history(
        self,
        name: str,
        *,
        status: Status | str | Collection[str] | None = None,
        after: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
    ) -> list[RunInfo]:
        """Read a job's history, newest first: lines of `status`, with scheduled times in (after, until].

        Raises:
            UnknownJobError: the app has no such job.
        """
        return await self._lifetime.ask(
            lambda control: control.history(name, status=status, after=after, until=until, limit=limit)
        )

    async def cancel(self, name: str, key: str | None = None) -> list[Running]:
        """Have runs of a job that are under way cancelled: the one with `key`, or all; tell which these are.

        Their replicas hear of it with their next beat. A coroutine is cancelled then, a plain function sees
        `run.cancelled`; what waits for a replica is not cancelled.

        Raises:
            UnknownJobError: the app has no such job.
        """
        return await self._lifetime.ask(lambda control: control.cancel(name, key))

    async def audit(
        self, name: str | None = None, *, after: datetime, until: datetime | None = None
    ) -> list[Audit]:
        """Compare the schedule of a job, or of all, with the history: each scheduled time in (after, until].

        Without `until`, up to now. What cannot be known, because the history is trimmed, say, is said.

        Raises:
            UnknownJobError: the app has no such job.
            ConfigurationError: a job has too many scheduled times between the two, or none was due yet.
        """
        return await self._lifetime.ask(lambda control: control.audit(name, after=after, until=until))

    async def replicas(self) -> list[ReplicaInfo]:
        """List the living replicas of the app, the oldest first, with what they run."""
        return await self._lifetime.ask(lambda control: control.replicas())

"""The same questions from synchronous code: one call per method, each for its twin of the scheduler."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from schedcore._answers import Health, JobInfo, ReplicaInfo, RunInfo, Running, Triggered
from schedcore._units import Seconds, seconds
from schedcore.protocols import Status

if TYPE_CHECKING:
    from schedcore._audit import Audit
    from schedcore._control import Control

T = TypeVar("T")


class Asker(Protocol):
    """What the blocking side needs of a scheduler."""

    def wait_for(self, question: Callable[[Control], Coroutine[Any, Any, T]]) -> T:
        """Block until the question is answered."""
        ...

    def wait_for_health(self) -> Health:
        """Block until the engine has told its health."""
        ...

    def wait_for_removal(self, name: str) -> None:
        """Block until the job is removed."""
        ...


class Blocking:
    """Blocking twins of the scheduler's coroutine methods."""

    def __init__(self, scheduler: Asker) -> None:
        """Ask `scheduler`."""
        self._scheduler = scheduler

    def trigger(
        self,
        name: str,
        *,
        payload: object = None,
        key: str | None = None,
        wait: bool = False,
        timeout: Seconds | None = None,
    ) -> Triggered:
        """Block on `Scheduler.trigger`."""
        limit = None if timeout is None else seconds("timeout", timeout)
        return self._scheduler.wait_for(
            lambda control: control.trigger(name, payload=payload, key=key, wait=wait, timeout=limit)
        )

    def pause(self, name: str | None = None, *, until: datetime | None = None, note: str = "") -> None:
        """Block on `Scheduler.pause`."""
        self._scheduler.wait_for(lambda control: control.pause(name, until=until, note=note))

    def resume(self, name: str | None = None) -> None:
        """Block on `Scheduler.resume`."""
        self._scheduler.wait_for(lambda control: control.resume(name))

    def jobs(self, names: Collection[str] | None = None) -> list[JobInfo]:
        """Block on `Scheduler.jobs`."""
        return self._scheduler.wait_for(lambda control: control.jobs(names))

    def history(
        self,
        name: str,
        *,
        status: Status | str | Collection[str] | None = None,
        after: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
    ) -> list[RunInfo]:
        """Block on `Scheduler.history`."""
        return self._scheduler.wait_for(
            lambda control: control.history(name, status=status, after=after, until=until, limit=limit)
        )

    def cancel(self, name: str, key: str | None = None) -> list[Running]:
        """Block on `Scheduler.cancel`."""
        return self._scheduler.wait_for(lambda control: control.cancel(name, key))

    def audit(
        self, name: str | None = None, *, after: datetime, until: datetime | None = None
    ) -> list[Audit]:
        """Block on `Scheduler.audit`."""
        return self._scheduler.wait_for(lambda control: control.audit(name, after=after, until=until))

    def replicas(self) -> list[ReplicaInfo]:
        """Block on `Scheduler.replicas`."""
        return self._scheduler.wait_for(lambda control: control.replicas())

    def health(self) -> Health:
        """Block on `Scheduler.health`."""
        return self._scheduler.wait_for_health()

    def remove_job(self, name: str) -> None:
        """Block on `Scheduler.remove_job`."""
        self._scheduler.wait_for_removal(name)

"""Where somebody asks and orders by hand, without being a replica."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, cast

from schedcore._control import Control
from schedcore._units import to_datetime
from schedcore.errors import SchedcoreError, StoreUnavailableError
from schedcore.protocols import Micros
from schedcore.testing._books import SECOND
from schedcore.testing._machines import Machine
from schedcore.testing._server import Line

if TYPE_CHECKING:
    from schedcore.testing._cluster import Cluster
    from schedcore.testing._replicas import Process


class _Seat:
    """What a line has to know of who calls: nothing ever befalls it."""

    noise = None
    dead = is_cut_off = silent = False

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.node = self

    def dies_in(self, call: str, *, heard: bool) -> bool:
        """Never."""
        return False


class Desk:
    """A process that is no replica; nothing comes of what is done here while the store is away."""

    def __init__(self, cluster: Cluster) -> None:
        """Connect with the cluster's store."""
        self._cluster = cluster
        self._machine = cluster.time.add()
        server, seat = cluster.server, cast("Process", _Seat(self._machine))
        self._line = Line(server, seat, server.store.make_backend(), Random(0))
        self.control = Control(self._line, "desk")
        self._paused_for_good = False

    @property
    def store(self) -> Any:
        """What reads the store."""
        return self._line.store

    def open(self) -> None:
        """Connect."""
        self.do(self._line.open("desk"))

    def do(self, what: Coroutine[Any, Any, None]) -> None:
        """Have something done here."""
        self._machine.spawn(what)

    def pause(self, job: str | None, lasts: Micros, *, ends: bool) -> None:
        """Pause a job or all; resume them then, unless the pause `ends` by itself."""
        until = to_datetime(self._cluster.server.clock() + lasts) if ends else None

        async def pause() -> None:
            if not ends:
                self._cluster.later(lasts, lambda: self.do(self._resume(job)))
            with suppress(SchedcoreError):  # nobody has declared it, or the store is away
                await self.control.pause(job, until=until)

        self.do(pause())

    async def _resume(self, job: str | None) -> None:
        if self._paused_for_good:
            return
        try:
            await self.control.resume(job)
        except StoreUnavailableError:
            self._cluster.later(SECOND, lambda: self.do(self._resume(job)))
        except SchedcoreError:
            return

    def pause_all(self) -> None:
        """Pause every job for ever: nobody resumes any later."""
        self._paused_for_good = True
        self.do(self.control.pause(None))

    def resume_all(self) -> None:
        """Let go of every pause."""

        async def resume() -> None:
            for job in (None, *sorted(self._cluster.jobs)):
                with suppress(SchedcoreError):
                    await self.control.resume(job)

        self.do(resume())

    def trigger(self, job: str, key: str, payload: object) -> None:
        """Trigger a job."""
        self._try(self.control.trigger(job, key=key, payload=payload))

    def cancel(self, job: str) -> None:
        """Have every run of a job that is under way end."""
        self._try(self.control.cancel(job))

    def _try(self, what: Coroutine[Any, Any, object]) -> None:
        async def wait() -> None:
            with suppress(SchedcoreError):
                await what

        self.do(wait())

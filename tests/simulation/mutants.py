"""Stores with one mistake each, in a simulated cluster."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tests.contracts.ram import OneLocker
from tests.mutants.parts import RemembersWhatTheLockerRefused

from sched_ram import DirectExecutor, Memory
from sched_ram._backend import RamBus, RamStore
from schedcore.protocols import Backend, Micros
from schedcore.testing import _stores


class MutantStore(_stores.RamStore):
    """The RAM backend of every replica, one part of which is not as it should be."""

    atomic = True

    def __init__(self, clock: Callable[[], Micros], mutant: type[Any]) -> None:
        super().__init__(clock, mutant if issubclass(mutant, Memory) else None)
        self.mutant = mutant
        self.atomic = not mutant.__name__.startswith(("Torn", "HeldBefore"))
        self.locker = mutant(_Now(clock)) if issubclass(mutant, OneLocker) else None
        if mutant is RemembersWhatTheLockerRefused:
            self.locker = BusyLocker()

    def make_backend(self) -> Backend:
        backend: Any = super().make_backend()
        if issubclass(self.mutant, RamBus):
            backend.bus = self.mutant(self.memory)
        elif issubclass(self.mutant, RamStore):
            backend.store = self.mutant(self.memory, "app")
            backend.store.between = 0.5
        elif issubclass(self.mutant, DirectExecutor):
            backend.executor = self.mutant()
        if self.locker is not None:
            backend.locker = self.locker
        made: Backend = backend
        return made


class BusyLocker:
    """Somebody has every third name that is asked for."""

    def __init__(self) -> None:
        self._asked = 0

    async def acquire(self, name: str, owner: str, ttl: Micros) -> bool:
        """Refuse now and then."""
        self._asked += 1
        return bool(self._asked % 3)

    async def release(self, name: str, owner: str) -> bool:
        """Accept it."""
        return True


class _Now(SimpleNamespace):
    """What a locker looks at to tell the time."""

    def __init__(self, clock: Callable[[], Micros]) -> None:
        super().__init__(clock=clock)

    @property
    def now(self) -> Micros:
        now: Micros = self.clock()
        return now

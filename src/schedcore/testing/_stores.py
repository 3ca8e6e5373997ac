"""What keeps the data of a simulated cluster: the RAM backend, or one of yours."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from copy import copy as shallow
from typing import Any, TypeVar

from schedcore import _plugins
from schedcore.protocols import Backend, Micros
from schedcore.testing._growth import weigh

T = TypeVar("T")


class SimulatedStore:
    """One app's store within a simulated cluster; `clock` is its only clock.

    Subclass it to simulate replicas on a backend of your own. What else it can do, it declares.
    """

    loses = False
    """Whether `clear` is written."""

    restores = False
    """Whether `save` and `load` are written."""

    atomic = False
    """Whether no call but `receive` ever waits for anything: such calls are simulated faster."""

    waits = False
    """Whether calls wait for threads, files or sockets: virtual time then stands still for each."""

    def __init__(self, clock: Callable[[], Micros]) -> None:
        """Begin without data."""
        self.clock = clock

    def make_backend(self) -> Backend:
        """Make one replica's backend over this store, not opened."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to make a backend")

    def clear(self) -> None:
        """Lose all data."""
        raise NotImplementedError(f"{type(self).__name__} declares that it loses, and does not say how")

    def save(self) -> object:
        """Copy all data, as a snapshot on disk would."""
        raise NotImplementedError(f"{type(self).__name__} declares that it restores, and does not say how")

    def load(self, saved: Any) -> None:
        """Go back to what `save` gave."""
        raise NotImplementedError(f"{type(self).__name__} declares that it restores, and does not say how")

    def size(self) -> int:
        """Count what is kept, in whatever unit: after quiet it has to be the same in every hour."""
        return 0

    def close(self) -> None:
        """Remove what is left."""


class RamStore(SimulatedStore):
    """The memory of the backend `ram`, which all replicas share."""

    loses = restores = atomic = True

    def __init__(self, clock: Callable[[], Micros], memory: type[Any] | None = None) -> None:
        """Begin with an empty memory, of another class if that is told.

        Raises:
            UnknownBackendError: the backend `ram` is not installed.
        """
        super().__init__(clock)
        backend: Any = _plugins.load("app", "ram", {})
        self._kind: Any = type(backend)
        self.memory: Any = backend.memory if memory is None else memory(clock)
        self.memory.clock = clock

    def make_backend(self) -> Backend:
        """Make one over the memory."""
        backend: Backend = self._kind("app", memory=self.memory)
        return backend

    def clear(self) -> None:
        """Lose all."""
        self.memory.clear()

    def save(self) -> object:
        """Copy it; what cannot change is shared."""
        return _copied(self.memory)

    def size(self) -> int:
        """Count all but ids of steps, and lines of history: both grow for hours, up to a limit."""
        memory = vars(self.memory).items()
        return weigh({name: each for name, each in memory if not name.startswith(("_committed", "history"))})

    def load(self, saved: Any) -> None:
        """Have it again."""
        waiting = self.memory.changed
        vars(self.memory).update(_copied(saved))
        self.memory.changed = waiting


def _copied(memory: Any) -> Any:
    """Copy what changes in place: containers, and what has an identity, of which each stays one."""
    known: dict[int, Any] = {}

    def copy(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: copy(each) for key, each in value.items()}
        if isinstance(value, deque | list | set):
            return type(value)(copy(each) for each in value)
        if value is None or getattr(type(value), "__eq__", None) is not object.__eq__:
            return value
        if id(value) not in known:
            known[id(value)] = other = shallow(value)
            for name, each in getattr(other, "__dict__", {}).items():
                setattr(other, name, copy(each))
        return known[id(value)]

    source = memory if isinstance(memory, dict) else vars(memory)
    return {name: copy(each) for name, each in source.items() if name not in ("lock", "changed", "clock")}


class Outside:
    """A loop in a thread, in real time, for stores that wait; each call is answered before time goes on."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, method: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Await one call."""

        async def wait() -> T:
            return await method(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result(60)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

"""Takes from the group as much as there are places for."""

from __future__ import annotations

from collections.abc import Callable

from schedcore.protocols import Micros, Places, TriggerBus


class GroupExecutor:
    """One of the group's readers; the pool on every replica is the core's runner."""

    WAIT: Micros = 5_000_000

    async def serve(self, bus: TriggerBus, jobs: Callable[[], frozenset[str]], places: Places) -> None:
        """Take and start, until cancelled."""
        while True:
            limit = await places.free()
            places.start(await bus.receive(jobs(), limit, self.WAIT))

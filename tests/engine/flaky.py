"""A backend over a network that can fail."""

import asyncio
import inspect
from typing import Any

import attrs

from sched_ram import RamBackend

ALL = (
    "open",
    "commit",
    "receive",
    "renew",
    "give_back",
    "lapsed",
    "take_over",
    "now",
    "rows",
    "held",
    "beat",
)
"""Every method of bus and store that can be away, and connecting."""


class Flaky:
    """A part of a backend that can be away: before a call gets there, or before its reply is back."""

    def __init__(self, part: Any) -> None:
        self._part = part
        self.away: set[str] = set()
        self.lose_replies: set[str] = set()
        self.calls: list[str] = []
        self.server = ""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            if name in self.away:
                raise ConnectionError(f"{name}: connection refused")
            answer = await method(*arguments, **named)
            if name == "beat":
                answer = attrs.evolve(answer, server=self.server)
            if name in self.lose_replies:
                self.lose_replies.remove(name)
                raise ConnectionResetError(f"{name}: reply lost")
            return answer

        return call


class Far(Flaky):
    """A part of a backend whose calls take two milliseconds."""

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def call(*arguments: Any, **named: Any) -> Any:
            await asyncio.sleep(0.002)
            return await method(*arguments, **named)

        return call


class FlakyBackend(RamBackend):
    """The RAM backend over a network that can fail."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.replica_bus = self.bus
        self.bus = Flaky(self.bus)
        self.store = Flaky(self.store)

    async def open(self, replica: str) -> None:
        """Connect, if that is possible."""
        if "open" in self.store.away:
            raise ConnectionError("open: connection refused")
        self.replica_bus.replica = replica

    def fail(self, *methods: str) -> None:
        """Have these methods fail from now on; none of them: all is well again."""
        for part in (self.bus, self.store):
            part.away = set(methods)

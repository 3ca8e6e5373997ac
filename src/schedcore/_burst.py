"""Many that start at once: their starts go before the record of what has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from schedcore.protocols import Delivery

PAUSE = 0.02
"""How many seconds without a start make the end of a burst."""

PATIENCE = 0.5
PATIENCE_EACH = 0.001
"""How many seconds a burst takes at most: in all, and for each of its triggers."""

MOMENT = 0.0001
"""So few seconds are not waited for: a clock may not tell that they have passed."""


class Burst:
    """From when many triggers are there until they have started, or have had their time."""

    def __init__(self) -> None:
        """Begin without one."""
        self._started_at = self._until = 0.0

    def begin(self, triggers: int) -> None:
        """Take note that so many belong together; what follows while they start prolongs nothing."""
        now = asyncio.get_running_loop().time()
        if now >= self._until:
            self._until = now + min(PATIENCE, triggers * PATIENCE_EACH)

    def started(self, deliveries: Sequence[Delivery]) -> None:
        """Take note of a start; several of one job make a burst: each record writes the job's whole row."""
        self.begin(len(deliveries) - len({delivery.trigger.job for delivery in deliveries}))
        self._started_at = asyncio.get_running_loop().time()

    async def over(self) -> None:
        """Wait while the starts follow each other."""
        now = asyncio.get_running_loop().time
        await asyncio.sleep(0)  # who has places again asks for more first, and is answered meanwhile
        while (left := min(self._until, self._started_at + PAUSE) - now()) > MOMENT:  # noqa: ASYNC110
            await asyncio.sleep(left)
        self._until = 0.0

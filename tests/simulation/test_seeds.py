"""The promise under random misfortunes, a few hundred seeds of it."""

from __future__ import annotations

import logging
import os

import pytest

from .checker import violations
from .stories import play
from .virtual import run_virtual
from .world import World

SEEDS = int(os.environ.get("SCHEDCORE_SEEDS", "200"))
CHUNK = 20


def story(seed: int) -> list[str]:
    """Play one seed; what of the promise it broke."""

    async def world() -> list[str]:
        world = World(seed)
        await play(world)
        return violations(world)

    return run_virtual(world())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_the_promise_holds_whatever_befalls_the_replicas(first: int) -> None:
    """Once, done and accounted for: under kills, freezes, outages, lost replies, edits and pauses."""
    logging.disable(logging.CRITICAL)
    try:
        broken = {seed: found for seed in range(first, first + CHUNK) if (found := story(seed))}
    finally:
        logging.disable(logging.NOTSET)
    assert not broken, broken

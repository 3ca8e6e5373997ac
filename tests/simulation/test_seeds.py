"""The promise under random misfortunes, a few hundred seeds of it; `make simulate` plays thousands."""

from __future__ import annotations

import os

import pytest

from schedcore.testing import simulate

SEEDS = int(os.environ.get("SCHEDCORE_SEEDS", "200"))
CHUNK = 20


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_the_promise_holds_whatever_befalls_the_replicas(first: int) -> None:
    """Every invariant: under deaths, freezes, outages, losses, noise, clock steps, deploys and pauses."""
    played = simulate(seeds=range(first, first + CHUNK), minutes=2)
    assert sum(result.steps for result in played) > CHUNK * 50

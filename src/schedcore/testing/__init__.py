"""Tests that every backend passes, virtual time for the tests of jobs, and a simulated cluster.

    from schedcore.testing import BackendContract, World

    class MyWorld(World):
        async def make_backends(self, count): ...      # replicas of one app over one empty store

    class TestMyBackend(BackendContract):
        @pytest.fixture
        def world(self): return MyWorld()

Each condition in the docstrings of `schedcore.protocols` is a test there, or several. What a backend may
have or not have is said by attributes of its `World`. A test that fails names the condition that broke
and what to look at. These tests need pytest, which the extra `testing` brings; the rest of this does not.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from schedcore.testing._clock import VirtualClock
from schedcore.testing._drawing import draw
from schedcore.testing._invariants import INVARIANTS
from schedcore.testing._simulate import BrokenPromiseError, Played, play, simulate
from schedcore.testing._stores import SimulatedStore
from schedcore.testing._story import Story

if TYPE_CHECKING:
    from schedcore.testing._contract import BackendContract
    from schedcore.testing._locker import LockerContract
    from schedcore.testing.world import World, scenario

__all__ = [
    "INVARIANTS",
    "BackendContract",
    "BrokenPromiseError",
    "LockerContract",
    "Played",
    "SimulatedStore",
    "Story",
    "VirtualClock",
    "World",
    "draw",
    "play",
    "scenario",
    "simulate",
]

_NEED_PYTEST = {
    "BackendContract": "_contract",
    "LockerContract": "_locker",
    "World": "world",
    "scenario": "world",
}
_TESTS = (
    "beats concurrency deliveries executor faults growing handovers history leases locker neighbours parking"
    " processes repeats restarts steps store versions"
)

if sys.modules.get("pytest") is not None:
    sys.modules["pytest"].register_assert_rewrite(
        *(f"{__name__}._{name}" for name in _TESTS.split()), f"{__name__}.world"
    )


def __getattr__(name: str) -> Any:
    """Import what needs pytest when it is asked for."""
    if name not in _NEED_PYTEST:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_NEED_PYTEST[name]}"), name)
    except ModuleNotFoundError as exc:
        if exc.name != "pytest":
            raise
        raise ModuleNotFoundError(
            f"{name} of schedcore.testing needs pytest; the extra schedcore[testing] brings it", name="pytest"
        ) from exc

"""Tests that every backend passes, and virtual time for the tests of jobs; the extra `testing` brings pytest.

    from schedcore.testing import BackendContract, World

    class MyWorld(World):
        async def make_backends(self, count): ...      # replicas of one app over one empty store

    class TestMyBackend(BackendContract):
        @pytest.fixture
        def world(self): return MyWorld()

Each condition in the docstrings of `schedcore.protocols` is a test there, or several. What a backend may
have or not have is said by attributes of its `World`. A test that fails names the condition that broke
and what to look at.
"""

from __future__ import annotations

try:
    import pytest
except ModuleNotFoundError as exc:
    raise ModuleNotFoundError(
        "schedcore.testing needs pytest; the extra schedcore[testing] brings it", name="pytest"
    ) from exc

_TESTS = (
    "beats concurrency deliveries executor faults handovers history leases locker neighbours parking"
    " processes repeats restarts steps store versions"
)
pytest.register_assert_rewrite(*(f"{__name__}._{name}" for name in _TESTS.split()), f"{__name__}.world")

from schedcore.testing._clock import VirtualClock  # noqa: E402
from schedcore.testing._contract import BackendContract  # noqa: E402
from schedcore.testing._locker import LockerContract  # noqa: E402
from schedcore.testing.world import World, scenario  # noqa: E402

__all__ = ["BackendContract", "LockerContract", "VirtualClock", "World", "scenario"]

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
        "schedcore.testing needs pytest 8.3 or later, which the extra schedcore[testing] brings",
        name="pytest",
    ) from exc

_REWRITTEN = ("_deliveries", "_executor", "_leases", "_locker", "_steps", "_store", "_versions", "world")
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _REWRITTEN))

from schedcore.testing._contract import BackendContract, BusContract  # noqa: E402
from schedcore.testing._deliveries import DeliveryContract  # noqa: E402
from schedcore.testing._executor import ExecutorContract  # noqa: E402
from schedcore.testing._leases import LeaseContract  # noqa: E402
from schedcore.testing._locker import LockerContract  # noqa: E402
from schedcore.testing._steps import StepContract  # noqa: E402
from schedcore.testing._store import StoreContract  # noqa: E402
from schedcore.testing._versions import VersionContract  # noqa: E402
from schedcore.testing.world import World, scenario  # noqa: E402

__all__ = [
    "BackendContract",
    "BusContract",
    "DeliveryContract",
    "ExecutorContract",
    "LeaseContract",
    "LockerContract",
    "StepContract",
    "StoreContract",
    "VersionContract",
    "World",
    "scenario",
]

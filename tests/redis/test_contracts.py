"""sched_redis keeps the contracts, on a real server."""

import pytest
from tests.contracts.contract import (
    BusContract,
    ExecutorContract,
    LockerContract,
    StoreContract,
    World,
)
from tests.redis.world import RedisWorld

from schedcore.protocols import Locker


@pytest.fixture
def world(redis_url: str) -> RedisWorld:
    return RedisWorld(redis_url)


class TestBus(BusContract):
    """The stream."""


class TestStore(StoreContract):
    """Hashes, lists and sorted sets."""


class TestExecutor(ExecutorContract):
    """`GroupExecutor`."""


class TestLocker(LockerContract):
    """`SET NX PX`."""

    async def lockers(self, world: World) -> tuple[Locker, Locker]:
        """One for each of two replicas."""
        first, second = await world.make_backends(2)
        return first.locker, second.locker

"""sched_redis keeps the contracts, on a real server."""

import pytest
from tests.redis.world import RedisWorld

from schedcore.testing import BackendContract


@pytest.fixture
def world(redis_url: str) -> RedisWorld:
    return RedisWorld(redis_url)


class TestRedis(BackendContract):
    """The stream; hashes, lists and sorted sets; `GroupExecutor`; `SET NX PX`."""

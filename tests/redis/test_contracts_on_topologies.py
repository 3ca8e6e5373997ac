"""sched_redis keeps the contracts wherever Redis is, as a user with no rights but the documented ones."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.redis.rights import add_user, documented_rights
from tests.redis.world import RedisWorld

from schedcore.testing import BackendContract

if TYPE_CHECKING:
    from tests.redis.topologies import SentinelSet

PLACES = [pytest.param(place, marks=pytest.mark.topology(place)) for place in ("cluster", "sentinel", "acl")]


@pytest.fixture(scope="module")
def sentinels() -> Iterator["SentinelSet"]:
    """A Sentinel set for all these tests: none of them disturbs it."""
    from tests.redis.topologies import SentinelSet

    with SentinelSet() as sentinels:
        yield sentinels


@pytest.fixture(params=PLACES)
def world(request: pytest.FixtureRequest) -> RedisWorld:
    """An app in each place."""
    if request.param == "sentinel":
        return RedisWorld(request.getfixturevalue("sentinels").url)
    if request.param == "cluster":
        return RedisWorld(request.getfixturevalue("redis_cluster").url.replace("redis:", "redis+cluster:"))
    server = request.getfixturevalue("redis_server")
    world = RedisWorld("", server.url)
    world.neighbours = False  # the rights are to one app's keys
    # The lock by itself is for other buses: the scheduler needs no right to it.
    more = ["+del"] if request.function.__module__.endswith("_locker") else []
    more += ["+scan", "+unlink"] if "purge" in request.function.__name__ else []
    world.url = add_user(server, world.app, documented_rights() + more)
    return world


class TestRedis(BackendContract):
    """The stream; hashes, lists and sorted sets; `GroupExecutor`; `SET NX PX`."""

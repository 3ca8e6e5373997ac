import itertools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.redis.servers import RedisServer

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def redis_server() -> Iterator["RedisServer"]:
    """A server of this worker's own, for all of its tests: keep to `app_name`, and leave it running."""
    from tests.redis.servers import RedisServer

    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest) -> str:
    """Where tests that only need a server find one: as SCHEDCORE_TEST_REDIS_URL says, or our own."""
    given = os.environ.get("SCHEDCORE_TEST_REDIS_URL")
    return given or request.getfixturevalue("redis_server").url


@pytest.fixture
def app_name() -> str:
    """A name that no other test has, nor any test of another run on the same server."""
    return f"t{next(NUMBERS)}-{uuid4().hex[:8]}"

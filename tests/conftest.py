import itertools
import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.redis.servers import RedisServer
    from tests.redis.topologies import ClusterSet, SentinelSet, TlsServer

NUMBERS = itertools.count(1)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has what it runs in the background ignore Ctrl-C, and so would the processes that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """Take more workers than cores: most tests wait for something, and do not compute."""
    return 3 * (os.cpu_count() or 2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have reports say on what a test ran, for the table of `make test-matrix`."""
    for item in items:
        for marker in item.iter_markers("topology"):
            item.user_properties.append(("topology", marker.args[0]))


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


@pytest.fixture(scope="session")
def redis_tls() -> Iterator["TlsServer"]:
    """A server that listens for TLS; the test is skipped where no server can."""
    from tests.redis.topologies import TlsServer

    try:
        server = TlsServer()
    except LookupError as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator["ClusterSet"]:
    """A Cluster of this worker's own, for all of its tests, to be left as it was."""
    from tests.redis.topologies import ClusterSet

    with ClusterSet() as cluster:
        yield cluster


@pytest.fixture
def redis_sentinels() -> Iterator["SentinelSet"]:
    """A Sentinel set of the test's own, to do with as it likes."""
    from tests.redis.topologies import SentinelSet

    with SentinelSet() as sentinels:
        yield sentinels


@pytest.fixture
def app_name() -> str:
    """A name that no other test has, nor any test of another run on the same server."""
    return f"t{next(NUMBERS)}-{uuid4().hex[:8]}"

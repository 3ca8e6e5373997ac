import os
from collections.abc import Iterator
from pathlib import Path
from random import Random, SystemRandom

import pytest
from tests.faults.cluster import Cluster
from tests.redis.servers import RedisServer


@pytest.fixture
def random() -> Random:
    """Timings come from a seed that is told: SCHEDCORE_FAULT_SEED repeats them."""
    seed = int(os.environ.get("SCHEDCORE_FAULT_SEED") or SystemRandom().randrange(10**6))
    print(f"SCHEDCORE_FAULT_SEED={seed}")  # noqa: T201  pytest shows it with a failure
    return Random(seed)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own, to be killed and emptied; what it answered is on the disk."""
    with RedisServer(persistence="aof-always") as server:
        yield server


@pytest.fixture
def cluster(server: RedisServer, tmp_path: Path, app_name: str) -> Iterator[Cluster]:
    """A cluster without jobs and without replicas, on the test's own server."""
    with Cluster(tmp_path, server.url, (), app=app_name) as cluster:
        yield cluster

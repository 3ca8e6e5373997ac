"""Replicas whose machine's clock is wrong: everything happens by the store's."""

import os
import time
from pathlib import Path
from random import Random

import pytest
from tests.faults.cluster import Cluster
from tests.faults.jobs import MIX

OFFSETS = (2.0, -2.0, 70.0, -70.0)
STRICT = tuple(job for job in MIX if job.name in ("quick", "plain", "work", "many"))

LIBRARIES = (
    *filter(None, [os.environ.get("SCHEDCORE_TEST_FAKETIME")]),
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
    "/usr/local/lib/faketime/libfaketime.so.1",
)


@pytest.mark.faults_quick
@pytest.mark.timeout(60)
def test_one_clock_is_wrong(cluster: Cluster, random: Random) -> None:
    """By seconds or by minutes, ahead or behind: each time is fired once, by the store's clock."""
    cluster.jobs = list(STRICT)
    cluster.start([0, 1])
    for offset in random.sample(OFFSETS, 4):
        cluster.start([2], clock=offset)
        time.sleep(random.uniform(2.5, 3.5))
        cluster.terminate([2])
    cluster.start([2], clock=random.choice(OFFSETS))
    cluster.terminate([0, 1])
    time.sleep(2)
    verdict = cluster.finish()
    verdict.assert_good()
    assert len(cluster.logged("clock.skew")) == 5
    assert all(set(verdict.statuses(job.name)) <= {"succeeded", "open"} for job in STRICT)


@pytest.mark.faults_ci
@pytest.mark.timeout(60)
def test_one_clock_is_wrong_for_the_whole_process(cluster: Cluster) -> None:
    """As above, with libfaketime, which nothing in the process escapes."""
    library = next((path for path in LIBRARIES if Path(path).exists()), None)
    if library is None:
        pytest.skip("libfaketime is not installed, or SCHEDCORE_TEST_FAKETIME does not name it")
    cluster.jobs = list(STRICT)
    for slot, offset in enumerate(OFFSETS):
        faked = {
            "LD_PRELOAD": library,
            "FAKETIME": f"{offset:+.0f}s",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        cluster.start([slot], environment=faked)
    time.sleep(6)
    verdict = cluster.finish()
    verdict.assert_good()
    assert len(cluster.logged("clock.skew")) == 4

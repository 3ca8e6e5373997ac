"""Jobs that not every replica knows, that are edited between deploys, and that run for very long."""

import time
from random import Random

import attrs
import pytest
from tests.faults.cluster import Cluster, JobSpec
from tests.faults.jobs import MIX
from tests.faults.test_store import streams
from tests.redis.servers import RedisServer


@pytest.mark.faults_ci
@pytest.mark.timeout(60)
def test_unknown_jobs_and_garbage(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """A replica leaves alone what it does not know; garbage in the stream ends nobody, and does not stay."""
    late = JobSpec("later", "@every 1s", seconds=0.1, options={"overlap": "queue_all"})
    cluster.jobs = [*MIX, late]
    cluster.start([0, 1], jobs=MIX)
    cluster.start([2])
    for number in range(20):
        time.sleep(random.uniform(0, 0.4))
        for stream in streams(server):
            server.cli("XADD", stream, "*", "job", "quick", "garbage", f"\x00{number}")
            server.cli("XADD", stream, "*", "x", "")
            server.cli("XADD", stream, "*", "t", '{"job": "quick"', "e", "not msgpack")
    assert cluster.find("start", "later")
    verdict = cluster.finish()
    verdict.assert_good()
    assert {record.pid for record in cluster.find("start", "later")} == {cluster.current[2].life.pid}
    bounded = [stream for stream in streams(server) if stream.endswith(":changes")]
    assert sum(server.cli("XLEN", stream) for stream in set(streams(server)) - set(bounded)) < 30, (
        "garbage stays"
    )
    assert all(server.cli("XLEN", stream) <= 64 for stream in bounded)


@pytest.mark.faults_ci
@pytest.mark.timeout(120)
def test_the_only_replica_that_knows_a_job_comes_and_goes(cluster: Cluster, random: Random) -> None:
    """Its times wait for it, and neither burn the others nor get lost."""
    late = JobSpec("later", "@every 1s", seconds=0.4, options={"overlap": "queue_all"})
    cluster.jobs = [*MIX, late]
    cluster.start([0, 1], jobs=MIX)
    cluster.start([2])
    cluster.next_record("start", "later")
    cluster.kill(2)
    time.sleep(random.uniform(3, 12))
    cluster.start([2])
    cluster.finish().assert_good()


@pytest.mark.faults_ci
@pytest.mark.timeout(120)
def test_edited_removed_and_added_back_between_deploys(cluster: Cluster, random: Random) -> None:
    """Two releases run side by side in each deploy; no time of either definition is lost or doubled."""
    options = {"overlap": "queue_all"}
    edited = JobSpec("edited", "@every 1s", seconds=0.1, options=options)
    kept = JobSpec("kept", "@every 1s", seconds=0.1, options=options)
    cluster.jobs = [edited, kept]
    releases = [
        [edited, kept],
        [attrs.evolve(edited, schedule="@every 700ms"), kept],
        [kept],
        [attrs.evolve(edited, schedule="@every 1300ms", kind="plain"), kept],
        [attrs.evolve(edited, options={"overlap": "queue_one"}), kept],
    ]
    cluster.start(jobs=releases[0])
    for release in releases[1:]:
        for slot in range(3):
            cluster.terminate([slot])
            cluster.start([slot], jobs=release)
            time.sleep(random.uniform(0.3, 1.2))
    verdict = cluster.finish(allow=["skipped"])
    verdict.assert_good()
    assert set(verdict.statuses("kept")) <= {"succeeded", "open"}


@pytest.mark.faults_ci
@pytest.mark.timeout(200)
def test_runs_far_longer_than_the_lease(cluster: Cluster) -> None:
    """As a coroutine, as one that blocks its loop, as a plain function: each runs once, and is renewed."""
    options = {"overlap": "queue_one"}
    cluster.jobs = [
        JobSpec("coroutine", "@every 30s", seconds=28, options=options),
        JobSpec("blocks", "@every 30s", seconds=24, blocks=True, options=options),
        JobSpec("plain", "@every 30s", "plain", seconds=28, options=options),
        JobSpec("quick", "@every 1s", options={"overlap": "queue_all"}),
    ]
    cluster.start()
    for job in ("coroutine", "blocks", "plain"):
        cluster.until(lambda job=job: cluster.find("end", job), 75, f"the end of {job}")
    verdict = cluster.finish(settle=60)
    verdict.assert_good()
    assert sum(fate.retaken + fate.fenced for fate in verdict.fates.values()) == 0

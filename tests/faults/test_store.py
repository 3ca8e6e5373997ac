"""The store is killed, restarted, stalled and emptied while replicas work."""

import contextlib
import time
from random import Random

import pytest
from tests.faults.checker import SECOND
from tests.faults.cluster import Cluster, JobSpec, now
from tests.faults.jobs import LATE, MIX, soon
from tests.redis.servers import RedisServer

from schedcore.protocols import Micros

ANNOUNCED = 10 * SECOND
RESUMED = 15.0


def streams(server: RedisServer) -> list[str]:
    """Find every stream in the store, whatever it is called."""
    found: list[str] = []
    cursor = "0"
    while True:
        cursor, keys = server.cli("SCAN", cursor, "COUNT", 1000, "TYPE", "stream")
        found += keys
        if str(cursor) == "0":
            return sorted(set(found))


def groups(server: RedisServer) -> list[tuple[str, str]]:
    """Find every consumer group, with its stream."""
    return [
        (
            stream,
            dict(zip(info[::2], info[1::2], strict=True))["name"] if isinstance(info, list) else info["name"],
        )
        for stream in streams(server)
        for info in server.cli("XINFO", "GROUPS", stream)
    ]


@pytest.mark.faults_quick
@pytest.mark.timeout(90)
def test_redis_is_down_for_5_s_and_keeps_its_data(
    cluster: Cluster, server: RedisServer, random: Random
) -> None:
    """What fell due is caught up or missed as each job says; nobody takes over what goes on running."""
    cluster.jobs = [*MIX, *LATE, JobSpec("long", soon(9), seconds=13)]
    cluster.start()
    cluster.until(lambda: cluster.find("start", "long"), 20, "the start of long")
    time.sleep(random.uniform(0, 1))
    server.kill()
    time.sleep(5)
    server.restart()
    cluster.next_record("start", "quick", 10)  # replicas compare what they remember, for 6 s
    verdict = cluster.finish(allow=["missed"])
    verdict.assert_good()
    missed = {job.name: verdict.statuses(job.name)["missed"] for job in cluster.jobs}
    assert sum(fate.retaken + fate.fenced for fate in verdict.of("long")) == 0
    assert {name for name, number in missed.items() if number} == {"latest", "none"}
    assert 2 <= missed["none"] <= 14


@pytest.mark.faults_ci
@pytest.mark.timeout(120)
def test_redis_stalls_for_longer_than_the_lease(
    cluster: Cluster, server: RedisServer, random: Random
) -> None:
    """The server is frozen, and goes on: no run is stolen."""
    cluster.jobs = [*(job for job in MIX if job.name != "careful"), JobSpec("long", soon(9), seconds=20)]
    cluster.start()
    cluster.until(lambda: cluster.find("start", "long"), 20, "the start of long")
    server.pause()
    time.sleep(random.uniform(11, 14))
    server.resume()
    verdict = cluster.finish()
    verdict.assert_good()
    assert sum(fate.retaken + fate.fenced for fate in verdict.of("long")) == 0


@pytest.mark.faults_ci
@pytest.mark.timeout(120)
def test_redis_restarts_again_and_again(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """In good order or not, for a moment or longer, in the middle of whatever."""
    cluster.jobs = list(MIX)
    cluster.start()
    for _ in range(5):
        time.sleep(random.uniform(0.5, 3))
        if random.random() < 0.5:
            server.kill()
            time.sleep(random.uniform(0, 3))
        server.restart()
    cluster.finish().assert_good()


@pytest.mark.faults_ci
@pytest.mark.timeout(60)
def test_scripts_are_flushed_and_clients_killed(
    cluster: Cluster, server: RedisServer, random: Random
) -> None:
    """Neither is noticed by any job."""
    cluster.jobs = list(MIX)
    cluster.start()
    until = time.monotonic() + 6
    while time.monotonic() < until:
        time.sleep(random.uniform(0.05, 0.5))
        server.cli("SCRIPT", "FLUSH")
        if random.random() < 0.7:
            server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    cluster.finish().assert_good()


def recover(cluster: Cluster, since: Micros, *, by_all: bool = True) -> Micros:
    """Wait until the loss is announced and each job fires again; until when that took.

    Who comes to a restarted server after the others have put back all that is missing says only that it was
    restarted, and nothing if it was not.
    """

    def told() -> set[int]:
        events = ("store.lost_data", "store.moved")
        return {line["pid"] for event in events for line in cluster.logged(event, since)}

    alive = {replica.life.pid for replica in cluster.current.values() if replica.life.died is None}
    cluster.until(
        lambda: told() >= alive if by_all else told(), ANNOUNCED / SECOND, "an announcement of each replica"
    )
    assert cluster.logged("store.lost_data", since)
    for job in cluster.jobs:
        cluster.until(
            lambda job=job: [
                r for r in cluster.find("start", job.name, since + SECOND) if in_time(cluster, r.t, r.at)
            ],
            RESUMED + 10,
            f"{job.name} firing again",
        )
    return time.time_ns() // 1000


def in_time(cluster: Cluster, t: Micros, at: Micros) -> bool:
    return t - at - cluster._monotonic_at_epoch < SECOND


@pytest.mark.faults_quick
@pytest.mark.timeout(90)
def test_flushall(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """The loss is announced within 10 s, firing resumes, and what was lost or repeated is told."""
    cluster.jobs = [job for job in MIX if job.name != "many"]
    cluster.start()
    time.sleep(random.uniform(2, 5))
    since = now()
    server.cli("FLUSHALL")
    lossy_until = recover(cluster, since)
    cluster.finish(allow=["failed"], lossy_until=lossy_until).assert_good()


@pytest.mark.faults_long
@pytest.mark.timeout(90)
def test_what_a_flush_took_from_a_job_that_may_overlap(
    cluster: Cluster, server: RedisServer, random: Random
) -> None:
    """It is recorded as lost as well, though nothing of the job ever waits for it."""
    cluster.jobs = [job for job in MIX if job.name == "many"]
    cluster.start()
    time.sleep(random.uniform(2, 5))
    since = now()
    server.cli("FLUSHALL")
    lossy_until = recover(cluster, since)
    cluster.finish(lossy_until=lossy_until).assert_good()


@pytest.mark.faults_ci
@pytest.mark.timeout(120)
def test_redis_restarts_without_its_data(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """As after a flush, but everybody was away for a moment."""
    cluster.jobs = [job for job in MIX if job.name != "many"]
    cluster.start()
    time.sleep(random.uniform(2, 5))
    server.kill()
    time.sleep(random.uniform(0, 4))
    server.restart(keep_data=False)
    since = now() - SECOND
    lossy_until = recover(cluster, since)
    cluster.finish(allow=["failed"], lossy_until=lossy_until).assert_good()


@pytest.mark.faults_ci
@pytest.mark.timeout(120)
def test_the_consumer_group_is_destroyed(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """It is made again; nothing that was sent is lost."""
    cluster.jobs = list(MIX)
    cluster.start()
    lossy_until = 0
    for _ in range(3):
        time.sleep(random.uniform(1, 3))
        for stream, group in groups(server):
            server.cli("XGROUP", "DESTROY", stream, group)
        lossy_until = time.time_ns() // 1000
    verdict = cluster.finish(allow=["lost"], lossy_until=lossy_until)
    verdict.assert_good()


@pytest.mark.faults_long
@pytest.mark.timeout(240)
def test_flushed_again_and_again_while_replicas_are_killed(
    cluster: Cluster, server: RedisServer, random: Random
) -> None:
    """Nobody exits by itself, and once it is over everything is as it should be."""
    cluster.jobs = list(MIX)
    cluster.start()
    for _ in range(4):
        time.sleep(random.uniform(1, 8))
        with contextlib.suppress(ConnectionError):
            server.cli("FLUSHALL")
        slot = random.randrange(3)
        time.sleep(random.uniform(0, 3))
        cluster.kill(slot)
        cluster.start([slot])
    time.sleep(20)
    cluster.forget_definitions()
    cluster.finish(allow=["failed"], lossy_until=time.time_ns() // 1000)
    assert not cluster.judge(allow=["failed"], lossy_until=time.time_ns() // 1000).exits

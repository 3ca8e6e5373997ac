"""The store answers late, refuses to write, forgets what it had, and drops whom it likes."""

import shutil
import time
from collections.abc import Iterator
from random import Random

import pytest
from tests.faults.cluster import Cluster, JobSpec, now
from tests.faults.jobs import MIX, soon
from tests.faults.test_store import recover
from tests.redis.servers import RedisServer

CALM = tuple(job for job in MIX if job.name != "careful")
"""Without the one that asks to be interrupted by an outage."""


def stop_answering(server: RedisServer, how: str) -> None:
    """Have the server say nothing for a while, and come back by itself, or after `SIGCONT`."""
    if how == "sigstop":
        server.pause()
        time.sleep(12)
        server.resume()
    elif how == "client pause":
        server.cli("CLIENT", "PAUSE", 8000, "ALL")
        time.sleep(8)
    else:
        with server.client(socket_timeout=20) as client:
            client.execute_command("DEBUG", "SLEEP", 6)


@pytest.mark.faults_long
@pytest.mark.timeout(150)
@pytest.mark.parametrize("how", ["sigstop", "client pause", "debug sleep"])
def test_the_store_stands_still(cluster: Cluster, server: RedisServer, random: Random, how: str) -> None:
    """Twice, for long enough to be missed: nothing is stolen, lost or done twice."""
    cluster.jobs = [*CALM, JobSpec("long", soon(9), seconds=35)]
    cluster.start()
    cluster.until(lambda: cluster.find("start", "long"), 20, "the start of long")
    for _ in range(2):
        time.sleep(random.uniform(0, 2))
        stop_answering(server, how)
    verdict = cluster.finish(settle=60)
    verdict.assert_good()
    assert sum(fate.retaken + fate.fenced for fate in verdict.of("long")) == 0


@pytest.mark.faults_long
@pytest.mark.timeout(120)
def test_random_connections_are_killed_every_200_ms(
    cluster: Cluster, server: RedisServer, random: Random
) -> None:
    """For 20 s, one by one, in the middle of whatever: each call is simply repeated."""
    cluster.jobs = [*MIX, JobSpec("long", soon(9), seconds=14)]
    cluster.start()
    until = time.monotonic() + 20
    killed = 0
    while time.monotonic() < until:
        time.sleep(0.2)
        clients = [line.split("id=")[1].split()[0] for line in client_list(server)]
        if clients:
            killed += int(server.cli("CLIENT", "KILL", "ID", random.choice(clients)))
    verdict = cluster.finish()
    verdict.assert_good()
    assert killed > 20
    assert sum(fate.retaken + fate.fenced for fate in verdict.of("long")) == 0


def client_list(server: RedisServer) -> Iterator[str]:
    """List the connections of replicas, which come over TCP."""
    said = server.cli("CLIENT", "LIST")
    lines = said.splitlines() if isinstance(said, str) else [f"id={c['id']} addr={c['addr']}" for c in said]
    return (line for line in lines if "127.0.0.1:0" not in line and server.unix_path not in line)


@pytest.mark.faults_long
@pytest.mark.timeout(120)
def test_the_memory_is_full_for_10_s(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """Nothing can be written, so nothing is sent and nobody's run is taken; afterwards all goes on."""
    cluster.jobs = [*CALM, JobSpec("long", soon(9), seconds=25)]
    cluster.start()
    cluster.until(lambda: cluster.find("start", "long"), 20, "the start of long")
    time.sleep(random.uniform(0, 2))
    server.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
    since = now()
    server.cli("CONFIG", "SET", "maxmemory", 1024)
    time.sleep(10)
    assert len(cluster.logged("store.away", since)) >= 3, "it was not full"
    server.cli("CONFIG", "SET", "maxmemory", 0)
    verdict = cluster.finish(settle=60)
    verdict.assert_good()
    assert sum(fate.retaken + fate.fenced for fate in verdict.of("long")) == 0


@pytest.mark.faults_long
@pytest.mark.timeout(150)
@pytest.mark.parametrize("how", ["restart", "reload"])
def test_the_store_goes_back_to_an_older_snapshot(
    cluster: Cluster, server: RedisServer, random: Random, how: str
) -> None:
    """The loss is announced, what was decided since stays decided, and firing resumes."""
    server.cli("CONFIG", "SET", "appendonly", "no")
    server.config |= {"appendonly": "no", "dbfilename": "dump.rdb"}
    cluster.jobs = [job for job in MIX if job.name != "many"]
    cluster.start()
    time.sleep(random.uniform(2, 5))
    server.cli("SAVE")
    time.sleep(random.uniform(2, 8))
    since = now()
    if how == "restart":
        data = server.directory / "data"
        kept = server.directory / "kept.rdb"
        shutil.copy(data / "dump.rdb", kept)
        server.kill()
        shutil.rmtree(data)
        data.mkdir()
        shutil.move(kept, data / "dump.rdb")
        server.restart()
    else:
        server.cli("DEBUG", "RELOAD", "NOSAVE")
    lossy_until = recover(cluster, since, by_all=how == "restart")
    cluster.finish(allow=["failed", "lost"], lossy_until=lossy_until).assert_good()

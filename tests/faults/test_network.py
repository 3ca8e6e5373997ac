"""Networks that stall, cut, refuse and delay, between one replica or all and the store."""

import time
from random import Random

import pytest
from tests.faults.cluster import Cluster, JobSpec
from tests.faults.jobs import MIX
from tests.redis.servers import RedisServer

LONG = JobSpec("long", "@every 30s", seconds=20, options={"overlap": "queue_all"})


@pytest.mark.faults_ci
@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", ["stall", "refuse"])
def test_one_replica_is_cut_off_for_longer_than_the_lease(
    cluster: Cluster, server: RedisServer, random: Random, fault: str
) -> None:
    """Its runs are taken over, it is told that it is in doubt, and it works on afterwards."""
    cluster.jobs = list(MIX)
    with cluster.behind_proxies(server.port) as proxies:
        cluster.start()
        record = cluster.next_record("start", "work")
        slot = cluster.slot_of(record)
        cluster.note_impaired(slot)
        getattr(proxies[slot], fault)()
        time.sleep(random.uniform(14, 17))
        proxies[slot].heal()
        cluster.note_recovered(slot)
        healed = time.monotonic_ns() // 1000
        cluster.until(
            lambda: [
                r for r in cluster.records() if r.pid == record.pid and r.event == "start" and r.t > healed
            ],
            20,
            "a run on the replica that was cut off",
        )
        verdict = cluster.finish(allow=["failed"])
    verdict.assert_good()


@pytest.mark.faults_ci
@pytest.mark.timeout(90)
def test_connections_are_cut_all_the_time(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """Each call is simply repeated: nobody loses a lease, and nothing is lost or done twice."""
    cluster.jobs = list(MIX)
    with cluster.behind_proxies(server.port) as proxies:
        cluster.start()
        until = time.monotonic() + 9
        while time.monotonic() < until:
            time.sleep(random.uniform(0.05, 0.8))
            proxies[random.randrange(3)].cut()
        verdict = cluster.finish()
    verdict.assert_good()


@pytest.mark.faults_long
@pytest.mark.timeout(120)
def test_answers_are_torn(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """The middle of an answer is missing, or comes byte by byte: what was done is not done again."""
    cluster.jobs = [*MIX, LONG]
    with cluster.behind_proxies(server.port) as proxies:
        cluster.start()
        for proxy, chance in zip(proxies.values(), (0.02, 0.1, 0.3), strict=True):
            proxy.tear(chance, random)
        time.sleep(12)
        for proxy in proxies.values():
            proxy.crumble(random.choice((1, 3, 17)))
            proxy.tear(0.002, random)
        time.sleep(8)
        for proxy in proxies.values():
            proxy.heal()
        verdict = cluster.finish(allow=["failed"])
    verdict.assert_good()


@pytest.mark.faults_ci
@pytest.mark.timeout(90)
def test_a_slow_network(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """Half a second there and back for one replica, which lets the others be faster."""
    cluster.jobs = list(MIX)
    with cluster.behind_proxies(server.port) as proxies:
        cluster.start()
        proxies[0].delay(0.25)
        time.sleep(random.uniform(6, 9))
        proxies[1].delay(random.uniform(0.05, 0.4))
        time.sleep(random.uniform(3, 5))
        verdict = cluster.finish()
    verdict.assert_good()


@pytest.mark.faults_long
@pytest.mark.timeout(90)
def test_a_slow_replica_of_a_busy_job(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """A row that changes faster than one replica can answer does not keep that replica's runs from ending."""
    busy = JobSpec("busy", "@every 500ms", seconds=0.75, options={"overlap": "allow"})
    cluster.jobs = [busy, JobSpec("calm", "@every 5s", seconds=0.1)]
    with cluster.behind_proxies(server.port, [0]) as proxies:
        cluster.start()
        proxies[0].delay(random.uniform(0.25, 0.35))
        cluster.until(lambda: len(cluster.find("end", "busy")) > 20)
        cluster.settle(15)
        proxies[0].heal()
        cluster.finish().assert_good()


@pytest.mark.faults_ci
@pytest.mark.timeout(120)
def test_short_stalls_cost_nobody_a_lease(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """Below the lease, in the middle of runs: nothing is taken over."""
    cluster.jobs = [*MIX, LONG]
    with cluster.behind_proxies(server.port) as proxies:
        cluster.start()
        for _ in range(3):
            slot = cluster.slot_of(cluster.next_record("start", "work"))
            proxies[slot].stall()
            time.sleep(random.uniform(1, 3))
            proxies[slot].heal()
            time.sleep(random.uniform(0, 3))
        verdict = cluster.finish()
    verdict.assert_good()


@pytest.mark.faults_ci
@pytest.mark.timeout(120)
def test_all_are_cut_off_at_once(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """An outage steals nothing: nobody takes over from anybody, however long it lasted."""
    cluster.jobs = [job for job in MIX if job.name != "careful"] + [LONG]
    with cluster.behind_proxies(server.port) as proxies:
        cluster.start()
        cluster.next_record("start", "long", 35)
        for proxy in proxies.values():
            random.choice((proxy.stall, proxy.refuse))()
        time.sleep(random.uniform(11, 14))
        for proxy in proxies.values():
            proxy.heal()
        verdict = cluster.finish()
    verdict.assert_good()
    assert sum(fate.retaken + fate.fenced for fate in verdict.of("long")) == 0


@pytest.mark.faults_long
@pytest.mark.timeout(420)
def test_everything_at_once(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """Kills, freezes, stalls, cuts and restarts of the store, for two minutes."""
    cluster.jobs = [*MIX, LONG]
    with cluster.behind_proxies(server.port) as proxies:
        cluster.start()
        told: list[str] = []
        until = time.monotonic() + 120
        while time.monotonic() < until:
            time.sleep(random.uniform(0.5, 3))
            slot = random.randrange(3)
            fault = random.choice(("kill", "freeze", "stall", "cut", "restart", "delay"))
            told.append(f"{time.monotonic():.1f} {fault} {slot}")
            if fault == "kill":
                cluster.kill(slot)
                cluster.start([slot], wait=False)
            elif fault == "freeze":
                cluster.freeze(slot)
                time.sleep(random.uniform(1, 16))
                cluster.thaw(slot)
            elif fault == "stall":
                cluster.note_impaired(slot)
                proxies[slot].stall()
                time.sleep(random.uniform(1, 16))
                proxies[slot].heal()
                cluster.note_recovered(slot)
            elif fault == "cut":
                proxies[slot].cut()
            elif fault == "delay":
                proxies[slot].delay(random.uniform(0, 0.3))
            else:
                server.kill()
                time.sleep(random.uniform(0, 4))
                server.restart()
        for proxy in proxies.values():
            proxy.heal()
        verdict = cluster.finish(allow=["failed", "dead"], settle=150)
    assert verdict.good, "\n".join([*told, verdict.table()])

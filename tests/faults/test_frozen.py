"""Replicas that stand still for longer than a lease, and go on as if nothing had been."""

import time
from random import Random

import pytest
from tests.faults.cluster import Cluster
from tests.faults.jobs import MIX


@pytest.mark.faults_quick
@pytest.mark.timeout(90)
def test_sigstop_for_longer_than_the_lease(cluster: Cluster, random: Random) -> None:
    """Its run is taken over; what it says of it afterwards is refused, and it works on."""
    cluster.jobs = list(MIX)
    cluster.start()
    record = cluster.next_record("start", "work")
    slot = cluster.slot_of(record)
    time.sleep(random.uniform(0, 0.5))
    cluster.freeze(slot)
    again = cluster.until(
        lambda: [r for r in cluster.find("start", "work") if r.at == record.at and r.pid != record.pid], 16
    )
    assert again[0].token > record.token
    time.sleep(random.uniform(0, 1))
    cluster.thaw(slot)
    thawed = time.monotonic_ns() // 1000
    cluster.until(
        lambda: [r for r in cluster.records() if r.pid == record.pid and r.event == "start" and r.t > thawed],
        20,
        "a run on the replica that was frozen",
    )
    assert cluster.logged("lease.lost", thawed) or cluster.logged("run.refused", thawed)
    verdict = cluster.finish(allow=["failed"])
    verdict.assert_good()


@pytest.mark.faults_ci
@pytest.mark.timeout(60)
def test_sigstop_for_less_than_the_lease(cluster: Cluster, random: Random) -> None:
    """Nothing of it is taken over."""
    cluster.jobs = list(MIX)
    cluster.start()
    slot = cluster.slot_of(cluster.next_record("start", "work"))
    cluster.freeze(slot)
    time.sleep(random.uniform(3, 5))
    cluster.thaw(slot)
    verdict = cluster.finish()
    verdict.assert_good()
    assert sum(fate.fenced + fate.retaken for fate in verdict.fates.values()) == 0


@pytest.mark.faults_long
@pytest.mark.timeout(300)
def test_two_of_three_stand_still_again_and_again(cluster: Cluster, random: Random) -> None:
    """For a while that may be longer than the lease or not; the third does the work."""
    cluster.jobs = list(MIX)
    cluster.start()
    for _ in range(5):
        slots = random.sample(range(3), 2)
        for slot in slots:
            cluster.next_record("start", random.choice(("work", "many", "plain-work")), 40)
            cluster.freeze(slot)
        time.sleep(random.uniform(2, 18))
        for slot in slots:
            cluster.thaw(slot)
        time.sleep(random.uniform(0, 6))
    verdict = cluster.finish(allow=["failed", "dead"], settle=90)
    verdict.assert_good()

"""Replicas die or are told to stop, also in the middle of runs: their work is done by the others."""

import time
from itertools import pairwise
from random import Random

import pytest
from tests.faults.checker import SECOND
from tests.faults.cluster import Cluster, JobSpec
from tests.faults.jobs import MIX, soon

TAKE_OVER = 14.5 * SECOND
"""Within 14 s of a kill -9, and a moment until the function has begun."""


def kill_for(cluster: Cluster, random: Random, seconds: float) -> None:
    """Kill a replica every few seconds, mostly in a run, and have another take its place."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(random.uniform(0.3, 3))
        slot = random.randrange(3)
        if random.random() < 0.7:
            record = cluster.next_record("start", random.choice(("work", "plain-work", "once")))
            slot = cluster.slot_of(record)
            time.sleep(random.uniform(0, 0.3))
        cluster.kill(slot)
        time.sleep(random.uniform(0, 1))
        cluster.start([slot], wait=False)


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(9, marks=[pytest.mark.faults_quick, pytest.mark.timeout(90)]),
        pytest.param(90, marks=[pytest.mark.faults_long, pytest.mark.timeout(240)]),
    ],
)
def test_kill_9_every_few_seconds(cluster: Cluster, random: Random, seconds: float) -> None:
    """Nothing is lost or doubled, and what a killed replica held runs elsewhere within 14 s."""
    cluster.jobs = list(MIX)
    cluster.start()
    kill_for(cluster, random, seconds)
    verdict = cluster.finish(allow=["dead"], settle=60)
    verdict.assert_good()
    assert all(took <= TAKE_OVER for took in verdict.takeovers)
    assert verdict.takeovers, "nobody was killed in a run"


@pytest.mark.faults_ci
@pytest.mark.timeout(90)
def test_sigterm_in_a_long_run(cluster: Cluster, random: Random) -> None:
    """A short run ends within the drain; of a long one, what cannot end goes to another replica at once."""
    long = {"overlap": "queue_one", "catch_up": "none"}
    cluster.jobs = [
        JobSpec("short", "@every 1s", seconds=0.8, options={"overlap": "queue_all"}),
        JobSpec("long", "@every 5s", seconds=4, options=long),
        JobSpec("long-plain", "@every 5s", "plain", seconds=4, heeds=True, options=long),
        JobSpec("once", "@every 5s", seconds=4, options={**long, "delivery": "at_most_once"}),
    ]
    cluster.start(drain=1)
    slots: list[int] = []
    for job in ("long", "long-plain", "once"):
        record = cluster.next_record("start", job)
        time.sleep(random.uniform(0.2, 1))
        slot = cluster.slot_of(record)
        told = time.monotonic()
        cluster.terminate([slot], limit=15)
        assert time.monotonic() - told < 6
        slots.append(slot)
        if job != "once":
            again = cluster.until(
                lambda job=job, record=record: [
                    r
                    for r in cluster.find("start", job)
                    if (r.at, r.pid) != (record.at, record.pid) and r.at == record.at
                ],
                5,
                "the next start of what was given back",
            )
            assert again[0].delivery == 1
        cluster.start([slot], drain=1)
    verdict = cluster.finish()
    verdict.assert_good()


@pytest.mark.faults_long
@pytest.mark.timeout(300)
def test_a_job_that_kills_its_process(cluster: Cluster) -> None:
    """After five deliveries it is dead; meanwhile the others take their turns, and nothing dies with it."""
    deadly = JobSpec("deadly", soon(9), crashes=9)
    cluster.jobs = [*MIX, deadly]
    cluster.supervised = True
    cluster.start()
    crashes = cluster.until(
        lambda: len(cluster.find("crash", "deadly")) == 5 and cluster.find("crash", "deadly"), 150
    )
    times = [record.t for record in crashes]
    apart = [later - earlier for earlier, later in pairwise(times)]
    assert min(apart) > 5 * SECOND
    time.sleep(16)
    verdict = cluster.finish(allow=["dead"], settle=90)
    verdict.assert_good()
    assert verdict.statuses("deadly") == {"dead": 1}
    assert [job.name for job in cluster.jobs if "dead" in verdict.statuses(job.name)] == ["deadly"]


@pytest.mark.faults_ci
@pytest.mark.timeout(120)
def test_the_whole_cluster_is_down_for_20_s(cluster: Cluster, random: Random) -> None:
    """What fell due meanwhile is caught up or recorded as missed; what was running is taken over."""
    policies = {"grace": 5, "overlap": "queue_all"}
    cluster.jobs = [
        *MIX[:3],
        JobSpec("latest", "@every 1s", options={**policies, "catch_up": "latest"}),
        JobSpec("all", "@every 1s", options={**policies, "catch_up": "all"}),
        JobSpec("none", "@every 1s", options={**policies, "catch_up": "none"}),
    ]
    cluster.start()
    time.sleep(random.uniform(3, 5))
    cluster.next_record("start", "work")
    for slot in range(3):
        cluster.kill(slot)
    time.sleep(20)
    started = time.monotonic()
    cluster.start()
    cluster.next_record("start", "all", 20)  # a run that was killed is taken over first: a lease and a beat
    assert time.monotonic() - started < 20
    verdict = cluster.finish(allow=["missed"])
    verdict.assert_good()
    missed = {job: verdict.statuses(job)["missed"] for job in ("quick", "latest", "all", "none")}
    assert missed["quick"] == missed["all"] == 0
    assert 12 <= missed["none"] <= 18
    assert 11 <= missed["latest"] <= missed["none"]


@pytest.mark.faults_long
@pytest.mark.timeout(240)
def test_kill_9_every_2_to_7_seconds(cluster: Cluster, random: Random) -> None:
    """One of three, or two at once, in a run or not, or one that has only just begun to start."""
    cluster.jobs = list(MIX)
    cluster.start()
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(random.uniform(2, 7))
        slots = random.sample(range(3), random.choice((1, 2)))
        if random.random() < 0.5:
            first = cluster.slot_of(cluster.next_record("start", random.choice(("work", "plain-work"))))
            slots = [first, *[slot for slot in slots if slot != first][: len(slots) - 1]]
        for slot in slots:
            cluster.kill(slot)
        cluster.start(slots, wait=False)
        if random.random() < 0.5:
            time.sleep(random.uniform(0, 1.2))
            cluster.kill(slots[0])
            cluster.start(slots[:1], wait=False)
    verdict = cluster.finish(allow=["dead"], settle=90)
    verdict.assert_good()
    assert all(took <= TAKE_OVER for took in verdict.takeovers)
    assert verdict.takeovers, "nobody was killed in a run"


@pytest.mark.faults_long
@pytest.mark.timeout(120)
def test_killed_right_after_the_start(cluster: Cluster, random: Random) -> None:
    """A replica that dies at any line of its start takes nothing with it."""
    cluster.jobs = list(MIX)
    cluster.start([0, 1])
    cluster.start([2], wait=False)
    for _ in range(12):
        if random.random() < 0.5:
            cluster.until(lambda: cluster.current[2].ready, 20)
            time.sleep(random.uniform(0, 0.1))
        else:
            time.sleep(random.uniform(0.2, 1.5))
        cluster.kill(2)
        cluster.start([2], wait=False)
    cluster.until(lambda: cluster.current[2].ready, 20)
    verdict = cluster.finish(settle=45)
    verdict.assert_good()
    assert all(took <= TAKE_OVER for took in verdict.takeovers)

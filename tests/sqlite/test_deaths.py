"""Three processes on one file are killed: every scheduled time is accounted for, and none is done twice."""

import time
from pathlib import Path

import pytest
from tests.faults.checker import SECOND
from tests.faults.cluster import Cluster, JobSpec

TAKE_OVER = 14.5 * SECOND

JOBS = (
    JobSpec("quick", "@every 1s"),
    JobSpec("work", "@every 2s", seconds=1.2, options={"overlap": "queue_all"}),
    JobSpec("once", "@every 1s", seconds=0.3, options={"delivery": "at_most_once"}),
    JobSpec("plain", "@every 1s", "plain", seconds=0.05),
)


@pytest.mark.faults_quick
@pytest.mark.timeout(120)
def test_one_is_killed_in_a_run_and_one_between_runs(installed: Path, tmp_path: Path, app_name: str) -> None:
    """Nothing is lost, and only what the killed one had begun is begun again, within 14 s."""
    with Cluster(tmp_path, str(installed), JOBS, app=app_name, backend="sqlite") as cluster:
        cluster.start()
        busy = cluster.slot_of(cluster.next_record("start", "work"))
        time.sleep(0.3)
        cluster.kill(busy)
        (idle,) = sorted({0, 1, 2} - {busy})[:1]
        cluster.next_record("end", "quick")
        cluster.kill(idle)
        cluster.start([busy], wait=False)
        verdict = cluster.finish()
    verdict.assert_good()
    assert verdict.takeovers, "nobody was killed in a run"
    assert all(took <= TAKE_OVER for took in verdict.takeovers)
    assert verdict.statuses("work").keys() <= {"succeeded", "open"}  # what still waits for its turn is open
    started_twice = [fate for fate in verdict.of("work") if len(fate.starts) > 1]
    assert len(started_twice) == 1


@pytest.mark.faults_ci
@pytest.mark.timeout(150)
def test_all_are_killed_again_and_again(installed: Path, tmp_path: Path, app_name: str) -> None:
    """Kill -9 at any moment leaves the file as it was before or after a step."""
    with Cluster(tmp_path, str(installed), JOBS, app=app_name, backend="sqlite") as cluster:
        cluster.start()
        for number in range(9):
            time.sleep(0.37 * (number % 4) + 0.2)
            cluster.kill(number % 3)
            cluster.start([number % 3], wait=False)
        verdict = cluster.finish(settle=60)
    verdict.assert_good()

"""Cases of which more is to be seen than that every invariant holds, each played on purpose."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from tests.simulation.directed import story

from schedcore.protocols import Status
from schedcore.testing import Story
from schedcore.testing import _events as e
from schedcore.testing._books import Record
from schedcore.testing._cluster import Cluster
from schedcore.testing._events import SECOND
from schedcore.testing._invariants import violations
from schedcore.testing._replicas import Node
from schedcore.testing._story import Plan, jobs_of

START = datetime(2026, 1, 1, tzinfo=UTC)


def played(told: Story, *acts: tuple[float, Callable[[Cluster], object]]) -> Cluster:
    """Play a story, and act at some seconds of it; every invariant holds."""
    cluster = Cluster(told, jobs_of(told))
    for at, act in acts:
        cluster.later(round(at * SECOND), partial(act, cluster))
    cluster.play()
    assert violations(cluster) == []
    return cluster


def starts(cluster: Cluster, job: str, at: float) -> list[Record]:
    """List the starts of one scheduled time, which is so many seconds after the story began."""
    due = cluster.story.start + round(at * SECOND)
    return [r for r in cluster.books if (r.event, r.job, r.at) == ("start", job, due)]


def ends(cluster: Cluster, job: str) -> list[Status]:
    """List how the first of a job's times that ended did so, and all others under its key."""
    lines = [run for run in cluster.server.witness.ended if run.job == job]
    return [run.status for run in lines if run.key == lines[0].key]


def runs_it(cluster: Cluster) -> Node:
    """Find the replica that began a run last."""
    pid = next(r.pid for r in reversed(cluster.books) if r.event == "start")
    return next(node for node in cluster.nodes if node.process and node.process.life.pid == pid)


def test_a_one_off_fires_once_and_a_bygone_one_leaves_its_line() -> None:
    """However many replicas declare it, and however often they start."""
    times = {"soon": START + timedelta(seconds=20), "bygone": START - timedelta(seconds=20)}
    plans = tuple(Plan(name, time.isoformat(), 1) for name, time in times.items())
    deaths = (e.Killed(at * SECOND, who, 0) for at, who in ((15, "a"), (30, "b"), (45, "c")))
    cluster = played(story(1, plans, *deaths))
    assert len(starts(cluster, "soon", 20)) == 1
    assert ends(cluster, "bygone") == [Status.MISSED]


def test_a_loss_of_data_is_noticed_and_firing_goes_on_from_what_is_remembered() -> None:
    """Within 10 s it is announced; counters and marks come back, and no time is run twice."""
    counted = []

    def count(cluster: Cluster) -> None:
        state = cluster.server.witness.state("a")
        counted.append(state.counters[Status.SUCCEEDED] if state is not None else 0)

    def noticed(cluster: Cluster) -> None:
        assert [node.process.engine.losses for node in cluster.nodes if node.process] == [1, 1, 1]

    lost = e.Restarted(31 * SECOND, SECOND // 1000, "lost")
    told = story(1, (Plan("a", "@every 5s"),), lost)
    cluster = played(told, (30.9, count), (41, noticed), (101, count))
    assert counted[1] >= counted[0] + 12
    keys = [r.key for r in cluster.books if r.event == "start"]
    assert len(keys) == len(set(keys))


def test_a_job_that_kills_its_process_is_dead_after_five_deliveries() -> None:
    """Each start is delayed more than the one before, and the sixth does not come."""
    told = story(1, (Plan("bomb", "@every 1200s", 500),), minutes=25, replicas=2)
    deaths = [(1241.0 + 40 * n, lambda cluster: runs_it(cluster).kill(0)) for n in range(5)]
    cluster = played(told, *deaths)
    assert [run.delivery for run in starts(cluster, "bomb", 1200)] == [1, 2, 3, 4, 5]
    assert ends(cluster, "bomb") == [Status.DEAD]


def test_a_clean_stop_hands_back_at_once() -> None:
    """A stopped replica's run starts on the other one without waiting for a lease."""
    told = story(1, (Plan("long", "@every 100s", 30),), minutes=3, replicas=2)
    cluster = played(told, (101, lambda cluster: runs_it(cluster).stop(2, 60 * SECOND)))
    first, second = starts(cluster, "long", 100)
    assert second.t - first.t <= 3.1 * SECOND


def test_on_doubt_cancel_never_lets_two_runs_overlap() -> None:
    """The run of a replica that is cut off is cancelled before its lease can be taken over."""
    told = story(1, (Plan("a", "@every 100s", 40, {"on_doubt": "cancel"}),), minutes=3, replicas=2)
    cluster = played(told, (105, lambda cluster: runs_it(cluster).cut_off(60 * SECOND, silent=True)))
    first, second = starts(cluster, "a", 100)
    (cancelled,) = [r for r in cluster.books if (r.event, r.token) == ("cancelled", first.token)]
    assert cancelled.t <= second.t


def test_a_stop_while_the_store_is_away_runs_nothing_twice_that_is_to_run_at_most_once() -> None:
    """What was cancelled and could not be recorded is left to lapse, not given back; then it is lost."""
    plan = Plan("a", "@every 100s", 30, {"delivery": "at_most_once"})
    # It is back a moment before who stops gives up recording, and hands back what is left.
    told = story(1, (plan,), e.Outage(105 * SECOND, 5_999_000), minutes=3, replicas=2)
    cluster = played(told, (105, lambda cluster: runs_it(cluster).stop(1, 5 * SECOND)))
    assert len(starts(cluster, "a", 100)) == 1
    assert ends(cluster, "a") == [Status.LOST]


def test_a_machine_whose_clock_is_off_fires_on_time() -> None:
    """Schedules run on the store's clock: 70 s off in both directions changes nothing."""
    slow = e.Noise(0, 100 * SECOND, "", 0, 0, 0.01)
    told = Story(1, (-70 * SECOND, 70 * SECOND), (Plan("a", "@every 5s"),), (slow,), 100 * SECOND)
    until = told.start + told.length
    late = [r.t - r.at for r in played(told).books if r.event == "start" and r.at <= until]
    assert len(late) >= 19
    assert min(late) >= 0
    assert max(late) < 200_000

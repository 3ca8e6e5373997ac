"""Metrics for Prometheus, and what is measured of what happens."""

import asyncio
import subprocess
import sys
import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from tests.engine.replica import RARELY, Replica, virtual
from tests.monitoring.exposed import labels_of, measured, samples, value

from sched_ram import RamBackend
from schedcore import Scheduler, _metrics
from schedcore._control import Control
from schedcore._observers import Observers
from schedcore.prometheus import expose
from schedcore.watching import Event


class Measuring:
    """Adds up what is measured, as the adapters do."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, ...], list[float]] = {}

    def notice(self, event: Event) -> None:
        for metric, number, labels in _metrics.of_event(event):
            assert len(labels) == len(metric.labels)
            self.found.setdefault((metric.name, *labels), []).append(round(number, 3))


def measuring(replica: Replica, name: str) -> tuple[Replica, Measuring]:
    """Make a replica beside another, of which everything is measured."""
    observers, measured_here = Observers(), Measuring()
    observers.add(measured_here)
    backend = RamBackend("app", memory=replica.memory)
    made = Replica(backend, name, observers=observers)
    made.control = Control(backend, name, observers)
    return made, measured_here


@pytest.mark.parametrize("backend", ["ram", "redis"])
def test_what_a_run_exposes(backend: str, request: pytest.FixtureRequest, app_name: str) -> None:
    """Outcomes, durations and delays of each job, the state of the replica, and what is next and last."""
    options: dict[str, Any] = {}
    if backend == "redis":
        options["url"] = request.getfixturevalue("redis_url")
    began = time.time()
    with measured(Scheduler(app_name, backend=backend, drain=1, **options)) as registry:
        found = samples(registry)

    def of(name: str, **labels: str) -> float | None:
        return value(found, f"schedcore_{name}", app=app_name, **labels)

    assert of("runs_total", job="good", status="succeeded") == 1
    assert of("runs_total", job="bad", status="failed") == 1
    assert of("runs_total", job="good", status="failed") == 0  # it begins at 0, so that it can grow
    assert of("missed_total", job="good", reason="late") == 0
    assert of("run_duration_seconds_count", job="bad", status="failed") == 1
    assert of("start_delay_seconds_count", job="good") == 1
    assert of("backlog", job="good") == of("overdue_seconds", job="good") == 0
    assert [of(name) for name in ("ready", "live", "store_connected", "jobs")] == [1, 1, 1, 2]
    assert of("data_losses_total") == of("runs_in_progress") == 0
    last, following = (of(f"{name}_timestamp_seconds", job="good") for name in ("last_success", "next"))
    assert last is not None
    assert following is not None
    assert began - 1 < last < time.time() + 1
    assert last < following < last + 86_401
    assert following % 86_400 == 0
    assert of("last_success_timestamp_seconds", job="bad") is None
    offset = of("clock_offset_seconds")
    assert offset is not None
    assert abs(offset) < 1


def test_every_metric_is_exposed() -> None:
    """Each of the table is there in a real run, with its labels, under the name that is documented."""
    found = labels_of()
    endings = {"histogram": "_bucket", "counter": "", "gauge": ""}
    for metric in (*_metrics.HAPPENING, *_metrics.SEEN):
        if metric in (_metrics.PAUSED, _metrics.TAKEOVERS, _metrics.LEASES_LOST):
            continue  # they have no series before they happen
        labels = found[metric.prometheus + endings[metric.kind]]
        assert labels - {"le"} == {"app", *metric.labels}, metric.name


@virtual
async def test_delays_and_lengths(replica: Replica) -> None:
    """From due to sent, from due to begun, and how long it took, in seconds of the store's clock."""
    watched, found = measuring(replica, "r1")

    async def job() -> None:
        await asyncio.sleep(12)

    watched.add("a", "@every 10s", job, overlap="queue_one")
    async with watched.running():
        await asyncio.sleep(41)
    assert found.found["fire_delay", "a"] == [0]
    assert found.found["start_delay", "a"][:3] == [0, 2, 4]
    assert found.found["run_duration", "a", "succeeded"][:3] == [12, 12, 12]


@virtual
async def test_what_does_not_run_is_counted_by_reason(replica: Replica) -> None:
    """Skipped because of an overlap, replaced in the queue, missed while nobody ran or before a pause."""
    first, before = measuring(replica, "r1")
    watched, found = measuring(replica, "r2")

    async def slow() -> None:
        await asyncio.sleep(35)

    for each in (first, watched):
        each.add("skips", "@every 10s", slow, catch_up="none")
        each.add("replaces", "@every 10s", slow, overlap="queue_one", catch_up="none")
        each.add("pauses", "@every 10s", catch_up="none")
    async with first.running():
        await asyncio.sleep(45)
        await first.control.pause("pauses", note="a note of somebody")
    await asyncio.sleep(300)
    async with watched.running():
        await asyncio.sleep(1)
        await watched.control.resume("pauses")
        await asyncio.sleep(10)
    assert sum(before.found["skipped", "skips", "overlap"]) >= 2
    assert sum(before.found["skipped", "replaces", "replaced"]) >= 1
    assert sum(found.found["missed", "skips", "late"]) > 20
    assert sum(found.found["paused", "pauses"]) > 20
    words = {labels[2] for labels in (*before.found, *found.found) if labels[0] in ("skipped", "missed")}
    assert "other" not in words


@virtual
async def test_take_overs_and_lost_leases(replica: Replica) -> None:
    """Counted where they are noticed: by who takes over, and by who finds its lease gone."""
    first, lost = measuring(replica, "r1")
    second, taken = measuring(replica, "r2")

    async def slow() -> None:
        await asyncio.sleep(22)

    async def away(*_: object) -> None:
        raise ConnectionError

    for each in (first, second):
        each.add("a", RARELY, slow)
    async with first.running() as engine:
        await first.control.trigger("a")
        await asyncio.sleep(1)
        renew = engine.backend.bus.renew
        engine.backend.bus.renew = away
        async with second.running():
            await asyncio.sleep(20)
            engine.backend.bus.renew = renew
            await asyncio.sleep(25)
    assert taken.found["takeovers", "a"] == [1]
    assert lost.found["leases_lost", "a"] == [1]
    runs = [labels for labels in (*lost.found, *taken.found) if labels[0] == "runs"]
    assert runs == [("runs", "a", "succeeded")]


def test_several_schedulers_share_a_registry() -> None:
    """Each has its app's label; what is counted and what is seen do not mix."""
    registry = CollectorRegistry()
    schedulers = [Scheduler(app, backend="ram", drain=1) for app in ("one", "two")]
    for number, s in enumerate(schedulers):
        for job in range(number + 1):
            s.add_job(f"j{job}", "@every 24h", lambda: None)
        expose(s, registry)
    with schedulers[0], schedulers[1]:
        schedulers[1].blocking.trigger("j0", wait=True, timeout=5)
        found = samples(registry)
    assert [value(found, "schedcore_jobs", app=app) for app in ("one", "two")] == [1, 2]
    ended = [
        value(found, "schedcore_runs_total", app=a, job="j0", status="succeeded") for a in ("one", "two")
    ]
    assert ended == [0, 1]


def test_a_scheduler_that_is_not_started_is_exposed_as_such() -> None:
    """It is not ready, and nothing is asked of a store."""
    registry = CollectorRegistry()
    expose(Scheduler("idle", backend="ram"), registry)
    found = samples(registry)
    assert value(found, "schedcore_ready", app="idle") == 0
    assert value(found, "schedcore_live", app="idle") == 1


def test_a_stuck_engine_is_scraped_at_once() -> None:
    """A scrape waits for nobody: while something blocks the engine's thread it takes no time."""
    registry = CollectorRegistry()
    s = Scheduler("stuck", backend="ram", drain=1)
    expose(s, registry)
    with s:

        async def block() -> None:
            time.sleep(1)  # noqa: ASYNC251  it blocks the engine's loop: awaiting would not

        s._lifetime._service.submit(block())
        began = time.monotonic()
        generate_latest(registry)
        assert time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("prometheus", "prometheus_client", "schedcore[prometheus]"),
        ("opentelemetry", "opentelemetry", "schedcore[opentelemetry]"),
    ],
)
def test_without_the_library_it_says_what_to_install(module: str, library: str, extra: str) -> None:
    """The module's import names the extra."""
    code = f"import sys; sys.modules[{library!r}] = None; import schedcore.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"install the extra {extra}" in done.stderr


def test_a_scheduler_that_is_exposed_twice_is_counted_once() -> None:
    """The application exposes it, and so does the command that runs it."""
    registry, s = CollectorRegistry(), Scheduler("app", backend="ram")
    expose(s, registry=registry)
    expose(s, registry=registry)
    assert len(s._observers.all) == 1

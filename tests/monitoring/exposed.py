"""A real run, and all the metrics that it exposes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from schedcore import Scheduler
from schedcore.prometheus import expose

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(registry: CollectorRegistry) -> Samples:
    """Read back what a registry exposes, as Prometheus would."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    """Find one sample."""
    return found.get((name, tuple(sorted(labels.items()))))


@contextmanager
def measured(scheduler: Scheduler) -> Iterator[CollectorRegistry]:
    """Run a scheduler with two jobs, one of which fails, each triggered once."""
    registry = CollectorRegistry()

    def fail() -> None:
        raise ValueError("no paper")

    scheduler.add_job("good", "@every 24h", lambda: None)
    scheduler.add_job("bad", "@every 24h", fail)
    expose(scheduler, registry)
    with scheduler:
        generate_latest(registry)
        for job in ("good", "bad"):
            scheduler.blocking.trigger(job, wait=True, timeout=5)
        yield registry


LAST = {
    "schedcore_fire_delay_seconds_bucket",
    "schedcore_run_duration_seconds_bucket",
    "schedcore_last_success_timestamp_seconds",
}
"""What is there only after something ran by its schedule."""


@cache
def labels_of() -> dict[str, set[str]]:
    """Tell which labels each sample has of a real run, in which a job fires by its schedule."""
    registry = CollectorRegistry()
    scheduler = Scheduler("monitored", backend="ram", drain=1)
    scheduler.add_job("often", "@every 100ms", lambda: None)
    expose(scheduler, registry)
    with scheduler:
        found = samples(registry)
        while not {name for name, _ in found} >= LAST:
            scheduler.blocking.trigger("often", wait=True, timeout=5)
            found = samples(registry)
    return {name: {label for label, _ in labels} for name, labels in found}

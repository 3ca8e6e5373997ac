"""Metrics for Prometheus: with the extra `prometheus`.

    expose(scheduler)
    prometheus_client.start_http_server(9000)

They go to a registry of prometheus-client, and from there wherever the application serves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

try:
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector, CollectorRegistry
except ImportError as exc:
    raise ImportError(
        "metrics for Prometheus need prometheus-client; install the extra schedcore[prometheus]"
    ) from exc

from schedcore import _metrics

if TYPE_CHECKING:
    from schedcore.scheduler import Scheduler
    from schedcore.watching import Event

__all__ = ["expose", "page"]


def expose(scheduler: Scheduler, registry: CollectorRegistry = REGISTRY) -> None:
    """Have a scheduler's metrics in `registry`, from now on; several schedulers can share one."""
    metrics = _known.get(registry)
    if metrics is None:
        metrics = _known[registry] = _Metrics()
        registry.register(metrics)
    metrics.add(scheduler)


def page() -> tuple[HTTPStatus, str, bytes]:
    """Answer all metrics of the global registry: a page for `schedcore.probes`."""
    return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest()


class _Metrics(Collector):
    """The metrics of all schedulers of a registry."""

    def __init__(self) -> None:
        self._schedulers: list[Scheduler] = []
        self._begun: set[tuple[str, str]] = set()
        self._of_events: dict[str, Counter | Histogram] = {}
        for metric in _metrics.HAPPENING:
            labels, name = ("app", *metric.labels), f"schedcore_{metric.name}"
            if metric.kind == "histogram":
                self._of_events[metric.name] = Histogram(
                    name, metric.help, labels, unit="seconds", buckets=metric.buckets, registry=None
                )
            else:
                self._of_events[metric.name] = Counter(name, metric.help, labels, registry=None)

    def add(self, scheduler: Scheduler) -> None:
        """Have the metrics of one more; once, however often it is asked."""
        if scheduler in self._schedulers:
            return
        self._schedulers.append(scheduler)
        scheduler.observe(_Observer(scheduler.app, self._of_events))

    def describe(self) -> Iterable[Metric]:
        """Name them, without asking a scheduler."""
        for metric in self._of_events.values():
            yield from metric.describe()
        yield from self._seen(())

    def collect(self) -> Iterator[Metric]:
        """Read them all; what is seen first, which has the counters of new jobs begin at 0."""
        yield from self._seen(self._schedulers)
        for metric in self._of_events.values():
            yield from metric.collect()

    def _begin(self, app: str, job: str) -> None:
        if (app, job) not in self._begun:
            self._begun.add((app, job))
            for metric, labels in _metrics.from_zero(job):
                self._of_events[metric.name].labels(app, *labels)

    def _seen(self, schedulers: Iterable[Scheduler]) -> Iterable[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for metric in _metrics.SEEN:
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            name = metric.prometheus.removesuffix("_total")
            families[metric.name] = kind(name, metric.help, labels=("app", *metric.labels))
        for scheduler in schedulers:
            glance = scheduler.glance()
            for job in glance.jobs:
                self._begin(scheduler.app, job.name)
            for metric, value, labels in _metrics.of_glance(glance):
                families[metric.name].add_metric((scheduler.app, *labels), value)
        return families.values()


_known: WeakKeyDictionary[CollectorRegistry, _Metrics] = WeakKeyDictionary()


class _Observer:
    """Counts what happens in one scheduler."""

    def __init__(self, app: str, metrics: dict[str, Counter | Histogram]) -> None:
        self._app = app
        self._metrics = metrics

    def notice(self, event: Event) -> None:
        """Count it."""
        for metric, value, labels in _metrics.of_event(event):
            found = self._metrics[metric.name].labels(self._app, *labels)
            if isinstance(found, Histogram):
                found.observe(value)
            else:
                found.inc(value)

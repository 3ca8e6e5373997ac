"""Traces and metrics for OpenTelemetry: one trace per trigger, whichever replicas have to do with it."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode
from tests.engine.replica import RARELY, Replica, scheduler, virtual

from sched_ram import RamBackend
from schedcore import RunContext, Scheduler, _metrics
from schedcore import opentelemetry as adapter
from schedcore._observers import Observers
from schedcore.opentelemetry import instrument


class Spans:
    """A provider of its own, as each process has one, and what it exported."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def of(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name]


def traced(spans: Spans, app: str = "traced") -> Scheduler:
    s = scheduler(app=app)
    instrument(s, tracer_provider=spans.provider, meter_provider=MeterProvider(shutdown_on_exit=False))
    return s


def traced_replica(replica: Replica, name: str, spans: Spans) -> Replica:
    """Make a replica beside another, which is traced by a provider of its own."""
    observers = Observers()
    observers.add(adapter._Tracing("app", spans.provider))
    return Replica(RamBackend("app", memory=replica.memory), name, observers=observers)


def ids(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def parent_ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.parent is not None
    return span.parent.trace_id, span.parent.span_id


@pytest.mark.parametrize("plain", [False, True])
def test_a_trigger_is_one_trace(plain: bool) -> None:
    """Its span is the root; under it is the run, and under that whatever the function does."""
    spans = Spans()
    s = traced(spans)
    tracer = spans.provider.get_tracer("the job's own")

    def function() -> None:
        with tracer.start_as_current_span("query"):
            pass

    async def coroutine() -> None:
        await asyncio.sleep(0)
        function()

    s.add_job("a", RARELY, function if plain else coroutine)
    with s:
        s.blocking.trigger("a", key="k", wait=True, timeout=5)
    query, run, trigger = (spans.of(name)[0] for name in ("query", "run a", "trigger a"))
    assert trigger.parent is None
    assert parent_ids(run) == ids(trigger)
    assert parent_ids(query) == ids(run)
    assert (trigger.kind, run.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert run.attributes is not None
    assert {
        name: run.attributes[f"schedcore.{name}"] for name in ("app", "job", "key", "kind", "status")
    } == {
        "app": "traced",
        "job": "a",
        "key": "manual:k",
        "kind": "manual",
        "status": "succeeded",
    }
    assert run.status.status_code is not StatusCode.ERROR
    assert not trace.get_current_span().get_span_context().is_valid


def test_every_trigger_has_a_trace_of_its_own() -> None:
    """Other keys, other jobs and other apps have other traces; spans that are not ours have random ids."""
    spans = Spans()
    schedulers = [traced(spans, app) for app in ("one", "two")]
    for s in schedulers:
        for job in ("a", "b"):
            s.add_job(job, RARELY, lambda: None)
        with s:
            for key in ("1", "2"):
                for job in ("a", "b"):
                    s.blocking.trigger(job, key=key, wait=True, timeout=5)
    assert len({ids(span)[0] for span in spans.all()}) == 8
    assert len({ids(span) for span in spans.all()}) == 16
    others = spans.provider.get_tracer("schedcore")
    assert len({others.start_span("mine").get_span_context().trace_id for _ in range(5)}) == 5


@virtual
async def test_replicas_tell_one_trace(replica: Replica) -> None:
    """One sends a trigger and dies in the run, another takes it over: both tell of the same trace."""
    here, there = Spans(), Spans()
    first, second = (traced_replica(replica, name, spans) for name, spans in (("r1", here), ("r2", there)))

    async def slow() -> None:
        await asyncio.sleep(22)

    async def away(*_: object) -> None:
        raise ConnectionError

    for each in (first, second):
        each.add("a", "@every 60s", slow)
    async with first.running() as engine:
        await asyncio.sleep(61)
        engine.backend.bus.renew = away
        async with second.running():
            await asyncio.sleep(50)
    (trigger,), (taken,) = here.of("trigger a"), there.of("run a")
    assert parent_ids(taken) == ids(trigger)
    assert taken.attributes is not None
    assert taken.attributes["schedcore.delivery"] == 2
    assert [parent_ids(span) for span in here.of("run a")] == [ids(trigger)]
    assert trigger.start_time == 1_767_225_660_000_000_000
    assert there.of("trigger a") == []


@virtual
async def test_a_trigger_and_its_runs_are_sampled_together(replica: Replica) -> None:
    """With a ratio each replica decides the same: there is no run without its trigger, and no half trace."""
    here, there = (Spans(ParentBased(TraceIdRatioBased(0.5))) for _ in range(2))
    sender, runner = (traced_replica(replica, name, spans) for name, spans in (("r1", here), ("r2", there)))
    for each in (sender, runner):
        each.add("a", "@every 1s", nothing)
    async with sender.running(), runner.running():
        await asyncio.sleep(100.5)
    spans = [*here.all(), *there.all()]
    triggers = {ids(span) for span in spans if span.name == "trigger a"}
    runs = [parent_ids(span) for span in spans if span.name == "run a"]
    assert 20 < len(triggers) < 80
    assert set(runs) == triggers
    assert len(runs) == len(triggers)


async def nothing() -> None: ...


def test_a_failure_is_an_error_of_its_span() -> None:
    """With the message, and the traceback, also of a run that told its progress; an end by timeout too."""
    spans = Spans()
    s = traced(spans)

    def fail() -> None:
        raise ValueError("no paper")

    def stop_halfway(run: RunContext) -> None:
        run.progress(1, 2, "printing")
        fail()

    async def sleep() -> None:
        await asyncio.sleep(5)

    s.add_job("fails", RARELY, fail)
    s.add_job("stops", RARELY, stop_halfway)
    s.add_job("hangs", RARELY, sleep, timeout=0.01)
    with s:
        for job in ("fails", "stops", "hangs"):
            s.blocking.trigger(job, wait=True, timeout=5)
    (hung,) = spans.of("run hangs")
    for failed in (*spans.of("run fails"), *spans.of("run stops")):
        assert (failed.status.status_code, failed.status.description) == (
            StatusCode.ERROR,
            "ValueError: no paper",
        )
        (event,) = failed.events
        assert event.attributes is not None
        stack = str(event.attributes["exception.stacktrace"])
        assert stack.startswith("Traceback")
        assert "in fail" in stack
    assert hung.status.status_code is StatusCode.ERROR
    assert "exception.stacktrace" not in (hung.events[0].attributes or {})


def test_who_asked_by_hand_is_linked() -> None:
    """A trigger by hand has its own trace, with a link to the span in which it was asked for."""
    spans = Spans()
    s = traced(spans)
    s.add_job("a", RARELY, lambda: None)
    tracer = spans.provider.get_tracer("a request")
    with s:
        with tracer.start_as_current_span("GET /"):
            s.blocking.trigger("a", wait=True, timeout=5)
        s.blocking.trigger("a", wait=True, timeout=5)
    (request,) = spans.of("GET /")
    triggers = spans.of("trigger a")
    links = [[(link.context.trace_id, link.context.span_id) for link in span.links] for span in triggers]
    assert links == [[ids(request)], []]


def test_without_an_sdk_nothing_happens() -> None:
    """With the API alone there is nobody to tell: jobs run as ever."""
    s = scheduler(app="traced")
    instrument(s, tracer_provider=trace.NoOpTracerProvider())
    s.add_job("a", RARELY, lambda: None)
    with s:
        assert s.blocking.trigger("a", wait=True, timeout=5).outcome == "succeeded"


def points(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    """Read all metrics: by name, the attributes and the value, or the count, of each."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: [
            (dict(point.attributes or {}), getattr(point, "value", getattr(point, "count", None)))
            for point in metric.data.data_points
        ]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_the_same_is_measured_as_for_prometheus() -> None:
    """Every metric that happened is there, with the same labels; what exporters make of names is theirs."""
    reader = InMemoryMetricReader()
    s = scheduler(app="measured")
    provider = MeterProvider([reader], shutdown_on_exit=False)
    instrument(s, meter_provider=provider)
    s.add_job("a", "@every 100ms", lambda: None)
    s.add_job("bad", RARELY, lambda: 1 / 0)
    with s:
        found = points(reader)
        s.blocking.trigger("bad", wait=True, timeout=5)
        limit = time.monotonic() + 5
        while "schedcore.run_duration" not in found or "schedcore.last_success_timestamp" not in found:
            assert time.monotonic() < limit
            time.sleep(
                0.6
            )  # the adapter keeps a glance for half a second of real time: sooner nothing is new
            found = points(reader)
    rare = (_metrics.PAUSED, _metrics.TAKEOVERS, _metrics.LEASES_LOST)
    expected = {f"schedcore.{m.name}": m for m in (*_metrics.HAPPENING, *_metrics.SEEN) if m not in rare}
    assert set(found) == set(expected)
    for name, metric in expected.items():
        assert all(set(attributes) == {"app", *metric.labels} for attributes, _ in found[name]), name
    failed = {"app": "measured", "job": "bad", "status": "failed"}
    assert (failed, 1) in found["schedcore.runs"]
    assert ({**failed, "status": "dead"}, 0) in found["schedcore.runs"]
    assert found["schedcore.ready"] == [({"app": "measured"}, 1)]
    provider.shutdown()

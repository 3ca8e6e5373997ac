"""Traces and metrics for OpenTelemetry: with the extra `opentelemetry`.

    instrument(scheduler)

A trigger is one trace, in which one span tells when it was due and sent, and one span per delivery how it
ran. The ids of trace and trigger are made of app, job and key: every replica knows them, and nothing travels.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar, Token
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

try:
    from opentelemetry import context as contexts
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, MeterProvider, Observation
    from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
except ImportError as exc:
    raise ImportError(
        "traces and metrics for OpenTelemetry need opentelemetry-api; "
        "install the extra schedcore[opentelemetry]"
    ) from exc

from schedcore import _metrics
from schedcore._state import SECOND
from schedcore._telling import in_a_line, is_traceback
from schedcore.values import Kind, Trigger
from schedcore.values import Status as RunStatus
from schedcore.watching import Ended, Event, Glance, Sent, Started

if TYPE_CHECKING:
    from schedcore.scheduler import Scheduler

__all__ = ["instrument"]

FRESH = 0.5
"""For so many seconds one glance serves all gauges: a collection asks for each of them."""

BY_HAND = (Kind.MANUAL, Kind.BACKFILL)


def instrument(
    scheduler: Scheduler,
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Have a scheduler traced and measured from now on, by the global providers unless others are given."""
    scheduler.observe(_Tracing(scheduler.app, tracer_provider))
    scheduler.observe(_Measuring(scheduler, meter_provider or metrics.get_meter_provider()))


class _Measuring:
    """Counts what happens in one scheduler."""

    def __init__(self, scheduler: Scheduler, provider: MeterProvider) -> None:
        self._scheduler = scheduler
        self._seen: tuple[float, Glance] | None = None
        self._instruments: dict[str, Counter | Histogram] = {}
        self._jobs: set[str] = set()
        meter = provider.get_meter("schedcore")
        for metric in _metrics.HAPPENING:
            name = f"schedcore.{metric.name}"
            if metric.kind == "histogram":
                self._instruments[metric.name] = meter.create_histogram(
                    name, metric.unit, metric.help, explicit_bucket_boundaries_advisory=metric.buckets
                )
            else:
                self._instruments[metric.name] = meter.create_counter(name, metric.unit, metric.help)
        for metric in _metrics.SEEN:
            create = (
                meter.create_observable_counter if metric.kind == "counter" else meter.create_observable_gauge
            )
            create(
                f"schedcore.{metric.name}",
                callbacks=[partial(self._observe, metric)],
                unit=metric.unit,
                description=metric.help,
            )

    def notice(self, event: Event) -> None:
        """Count it."""
        for metric, value, labels in _metrics.of_event(event):
            self._add(metric, value, labels)

    def _add(self, metric: _metrics.Metric, value: float, labels: tuple[str, ...]) -> None:
        instrument, attributes = self._instruments[metric.name], self._attributes(metric, labels)
        if isinstance(instrument, Histogram):
            instrument.record(value, attributes)
        else:
            instrument.add(value, attributes)

    def _observe(self, metric: _metrics.Metric, _: CallbackOptions) -> Iterable[Observation]:
        glance = self._glance()
        for job in glance.jobs:
            if job.name not in self._jobs:
                self._jobs.add(job.name)
                for counter, labels in _metrics.from_zero(job.name):
                    self._add(counter, 0, labels)
        for each, value, labels in _metrics.of_glance(glance):
            if each is metric:
                yield Observation(value, self._attributes(metric, labels))

    def _glance(self) -> Glance:
        now = time.monotonic()
        if self._seen is None or now - self._seen[0] > FRESH:
            self._seen = now, self._scheduler.glance()
        return self._seen[1]

    def _attributes(self, metric: _metrics.Metric, labels: tuple[str, ...]) -> Mapping[str, str]:
        return {"app": self._scheduler.app, **dict(zip(metric.labels, labels, strict=True))}


_ids: ContextVar[tuple[int, int]] = ContextVar("schedcore_trace_ids")


class _Ids:
    """Gives the trigger's own ids where they are set, else those of the generator that was there before."""

    def __init__(self, others: Any) -> None:
        self.others = others

    def generate_trace_id(self) -> int:
        ids = _ids.get(None)
        return int(self.others.generate_trace_id() if ids is None else ids[0])

    def generate_span_id(self) -> int:
        ids = _ids.get(None)
        return int(self.others.generate_span_id() if ids is None else ids[1])

    def is_trace_id_random(self) -> bool:
        """A hash is as good: samplers may rely on its bits."""
        return True


class _Tracing:
    """Makes the spans of one scheduler."""

    def __init__(self, app: str, provider: trace.TracerProvider | None) -> None:
        self._app = app
        self._provider = provider
        self._running: dict[int, tuple[Span, Token[contexts.Context]]] = {}

    def notice(self, event: Event) -> None:
        """Begin or end a span."""
        if isinstance(event, Sent):
            self._sent(event)
        elif isinstance(event, Started):
            self._started(event)
        elif isinstance(event, Ended):
            self._ended(event)

    def _tracer(self) -> trace.Tracer:
        """Return a tracer that gives triggers their own ids, if it is the SDK's: others decide themselves."""
        tracer = trace.get_tracer("schedcore", tracer_provider=self._provider)
        generator = getattr(tracer, "id_generator", None)
        if generator is not None and not isinstance(generator, _Ids):
            tracer.id_generator = _Ids(generator)  # type: ignore[attr-defined]
        return tracer

    def _sent(self, event: Sent) -> None:
        tracer, trigger = self._tracer(), event.trigger
        asked_in = trace.get_current_span().get_span_context()
        links = [Link(asked_in)] if trigger.kind in BY_HAND and asked_in.is_valid else []
        token = _ids.set(_ids_of(self._app, trigger))
        try:
            span = tracer.start_span(
                f"trigger {trigger.job}",
                contexts.Context(),
                SpanKind.PRODUCER,
                self._attributes(trigger),
                links,
                start_time=(event.at if event.due_at is None else min(event.due_at, event.at)) * 1000,
            )
        finally:
            _ids.reset(token)
        span.end(end_time=event.at * 1000)

    def _started(self, event: Started) -> None:
        tracer, run = self._tracer(), event.run
        trigger = run._delivery.trigger
        span = tracer.start_span(
            f"run {run.job}",
            trace.set_span_in_context(self._parent(tracer, trigger), contexts.Context()),
            SpanKind.CONSUMER,
            {**self._attributes(trigger), "schedcore.delivery": run.delivery},
        )
        self._running[id(run)] = span, contexts.attach(trace.set_span_in_context(span))

    def _ended(self, event: Ended) -> None:
        span, token = self._running.pop(id(event.run), (None, None))
        if span is None or token is None:  # it began before anybody was told
            return
        contexts.detach(token)
        span.set_attribute("schedcore.status", str(event.status or "given back"))
        span.set_attribute("schedcore.attempt", event.run.attempt)
        if event.status in (RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.LOST):
            detail = event.detail.removeprefix(f"{event.run._progress}\n")  # it stands before a traceback
            what = in_a_line(detail)
            told = {"exception.message": what}
            if is_traceback(detail):
                told["exception.stacktrace"] = detail
            span.add_event("exception", told)
            span.set_status(Status(StatusCode.ERROR, what))
        span.end()

    def _parent(self, tracer: trace.Tracer, trigger: Trigger) -> Span:
        """Return the trigger's span as any replica knows it, and sampled if it is where it was sent."""
        trace_id, span_id = _ids_of(self._app, trigger)
        sampler: Any = getattr(tracer, "sampler", None)
        name = f"trigger {trigger.job}"
        sampled = (
            sampler is None
            or sampler.should_sample(
                contexts.Context(), trace_id, name, SpanKind.PRODUCER, self._attributes(trigger)
            ).decision.is_sampled()
        )
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        return trace.NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags))

    def _attributes(self, trigger: Trigger) -> Mapping[str, str | int]:
        return {
            "schedcore.app": self._app,
            "schedcore.job": trigger.job,
            "schedcore.key": trigger.key,
            "schedcore.kind": str(trigger.kind),
            "schedcore.scheduled_at": trigger.scheduled_at // SECOND,
        }


def _ids_of(app: str, trigger: Trigger) -> tuple[int, int]:
    """Make the ids of a trigger's trace and span, the same on every replica; neither may be 0."""
    name = "\0".join((app, trigger.job, trigger.key)).encode(errors="surrogatepass")
    digest = blake2b(name, digest_size=24).digest()
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:]) or 1

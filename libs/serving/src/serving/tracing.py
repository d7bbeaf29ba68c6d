"""OpenTelemetry spans to a collector by OTLP/HTTP: one a request, and one below it for each stage.

Imported only where `OFFERS_TRACES_ENDPOINT` is set. Spans wait in a queue with a bound, and a thread of their own sends
them: a collector that is away costs spans, and nothing else.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from inference import LiveModel, ModelSource, ModelVersion, Predictor, PredictorLimits, ScoredRows
from serving.current_request import CURRENT_REQUEST
from serving.measures import Times

__all__ = ["TracedPredictor", "TracedStage", "Tracing", "open_tracing"]

_QUEUED_SPANS = 4096
_SPANS_A_REQUEST = 512
_SEND_EVERY_MS = 1000
_EXPORT_SECONDS = 5.0
_STOP_SECONDS = 2.0
_PROPAGATOR = TraceContextTextMapPropagator()
_NONE: Mapping[str, int] = MappingProxyType({})


class _Spans:
    """`RequestSpans` of one request that is recorded."""

    __slots__ = ("_context", "_epoch_ns", "_span", "_tracer", "trace_id")

    def __init__(self, tracer: Tracer, span: Span, epoch_ns: int) -> None:
        self._tracer = tracer
        self._span = span
        self._context = set_span_in_context(span, Context())
        self._epoch_ns = epoch_ns
        self.trace_id = f"{span.get_span_context().trace_id:032x}"

    def stage(self, name: str, ended: float, seconds: float, attributes: Mapping[str, int] | None = None) -> None:
        """Note a stage that has ended."""
        ended_ns = self._epoch_ns + int(ended * 1e9)
        started_ns = ended_ns - int(seconds * 1e9)
        self._tracer.start_span(name, self._context, attributes=attributes, start_time=started_ns).end(ended_ns)

    def answer_headers(self) -> list[tuple[bytes, bytes]]:
        """`traceresponse` of W3C Trace Context level 2."""
        context = self._span.get_span_context()
        value = f"00-{self.trace_id}-{context.span_id:016x}-{context.trace_flags:02x}"
        return [(b"traceresponse", value.encode("ascii"))]

    def end(self, status: int, request_id: bytes) -> None:
        """End the request's span; only a server's fault is an error."""
        self._span.set_attributes(
            {"http.response.status_code": status, "offers.request_id": request_id.decode("latin-1")}
        )
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class Tracing:
    """Begins the spans of requests."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def begin(self, method: str, route: str, headers: Mapping[bytes, bytes], started: float) -> _Spans | None:
        """Open the span of a request that began at `started` (`time.perf_counter`); None where it is not sampled."""
        parent = headers.get(b"traceparent")
        context = Context()
        if parent is not None:
            carrier = {"traceparent": parent.decode("latin-1")}
            state = headers.get(b"tracestate")
            if state is not None:
                carrier["tracestate"] = state.decode("latin-1")
            context = _PROPAGATOR.extract(carrier, context)
        epoch_ns = time.time_ns() - time.perf_counter_ns()
        span = self._tracer.start_span(
            f"{method} {route}",
            context,
            SpanKind.SERVER,
            {"http.request.method": method, "http.route": route},
            start_time=epoch_ns + int(started * 1e9),
        )
        return _Spans(self._tracer, span, epoch_ns) if span.is_recording() else None


class TracedPredictor:
    """A predictor that leaves the stages of a batch as spans of each request that was in it."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    async def score(
        self, keys: Mapping[str, Sequence[str]], overrides: Mapping[str, object] | None = None
    ) -> ScoredRows:
        """Score as the predictor does."""
        called = time.perf_counter()
        rows = await self._predictor.score(keys, overrides)
        _note_stages(rows, called)
        return rows

    async def score_values(self, values: Mapping[str, Sequence[object] | NDArray[np.generic]]) -> ScoredRows:
        """Score as the predictor does."""
        called = time.perf_counter()
        rows = await self._predictor.score_values(values)
        _note_stages(rows, called)
        return rows

    async def explain(self, rows: ScoredRows, indices: Sequence[int] | None = None) -> NDArray[np.float64]:
        """Explain as the predictor does."""
        started = time.perf_counter()
        values = await self._predictor.explain(rows, indices)
        _note("explain", time.perf_counter() - started)
        return values

    def beside(
        self,
        models: ModelSource,
        *,
        spare: Callable[[LiveModel], LiveModel | None] | None = None,
        limits: PredictorLimits | None = None,
    ) -> Predictor:
        """Make a predictor over other models as the predictor does; a stream's chunks are no spans."""
        return self._predictor.beside(models, spare=spare, limits=limits)

    def spare_of(self, live: LiveModel) -> LiveModel | None:
        """Give the spare as the predictor does."""
        return self._predictor.spare_of(live)

    def observe(self, batch: ScoredRows) -> None:
        """Show the predictor's observers rows that were scored past it."""
        self._predictor.observe(batch)

    def observe_failure(self, version: ModelVersion, rows: int, error: Exception, *, ranked: bool = False) -> None:
        """Tell the predictor's observers of rows that could not be scored past it."""
        self._predictor.observe_failure(version, rows, error, ranked=ranked)


def _note_stages(rows: ScoredRows, called: float) -> None:
    """Lay the stages one after the other, the last to end now: a batch tells how long each took, and not when.

    Before them a request waits for its batch to begin. Chunks of a large call overlap, and their sums are cut at the
    call.
    """
    request = CURRENT_REQUEST.get()
    if request is None or request.spans is None:
        return
    timings = rows.timings
    stages = (
        ("postprocess", timings.postprocess_seconds),
        ("model", timings.model_seconds),
        ("features", timings.features_seconds),
    )
    ended = time.perf_counter()
    attributes = {"offers.batch_rows": timings.rows}
    for name, took in stages:
        seconds = min(took, ended - called)
        request.spans.stage(name, ended, seconds, attributes)
        ended -= seconds


def _note(name: str, seconds: float) -> None:
    request = CURRENT_REQUEST.get()
    if request is not None and request.spans is not None:
        request.spans.stage(name, time.perf_counter(), seconds)


class TracedStage:
    """Times of a stage that are a span of the current request too."""

    __slots__ = ("_name", "_times")

    def __init__(self, name: str, times: Times) -> None:
        self._name = name
        self._times = times

    def observe(self, value: float, times: int = 1) -> None:
        """Count a stage that ended just now."""
        self._times.observe(value, times)
        _note(self._name, value)


@asynccontextmanager
async def open_tracing(service: str, worker: int, endpoint: str, ratio: float) -> AsyncIterator[Tracing]:
    """Send spans to a collector for as long as this is open.

    A request whose caller decided is sampled as decided, of the others the share `ratio`. What waits at the end is
    sent within two seconds, or lost.
    """
    url = endpoint if endpoint.endswith("/v1/traces") else endpoint.rstrip("/") + "/v1/traces"
    # It tells of each span that finds no room, and the exporter of each batch that it could not send: enough.
    logging.getLogger("opentelemetry.sdk._shared_internal").setLevel(logging.ERROR)
    processor = BatchSpanProcessor(
        OTLPSpanExporter(url, timeout=_EXPORT_SECONDS),
        max_queue_size=_QUEUED_SPANS,
        schedule_delay_millis=_SEND_EVERY_MS,
        max_export_batch_size=_SPANS_A_REQUEST,
    )
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        resource=Resource.create({"service.name": service, "service.instance.id": str(worker)}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    try:
        yield Tracing(provider.get_tracer("offers.serving"))
    finally:
        # A thread that nobody waits for at exit: a collector that hangs must not hold the process.
        stopping = threading.Thread(target=processor.shutdown, name="stop-tracing", daemon=True)
        stopping.start()
        await asyncio.to_thread(stopping.join, _STOP_SECONDS)

"""Spans that nobody takes."""

import threading
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from serving import tracing

pytestmark = pytest.mark.anyio


class HeldExporter(SpanExporter):
    """Sends nothing until it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.sent = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.let.wait()
        self.sent += len(spans)
        return SpanExportResult.SUCCESS


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_spans_that_nobody_takes_find_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = HeldExporter()
    monkeypatch.setattr(tracing, "OTLPSpanExporter", lambda *_, **__: exporter)
    async with tracing.open_tracing("hourly_rate", 0, "http://127.0.0.1:9", 1.0) as begun:
        for _ in range(6000):
            spans = begun.begin("POST", "/v1/score", {}, 0.0)
            assert spans is not None
            spans.end(200, b"one")
        exporter.let.set()

    # The queue, and at most what was in the sender's hands.
    assert 4096 <= exporter.sent <= 4096 + 512


async def test_a_malformed_traceparent_begins_a_trace_of_its_own() -> None:
    async with tracing.open_tracing("hourly_rate", 0, "http://127.0.0.1:9", 1.0) as begun:
        spans = begun.begin("POST", "/v1/score", {b"traceparent": b"00-\xff-x", b"tracestate": b"\xff"}, 0.0)

    assert spans is not None
    assert int(spans.trace_id, 16) != 0

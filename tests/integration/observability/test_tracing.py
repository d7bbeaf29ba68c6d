"""Spans reach a real collector by OTLP, and cost nothing where nobody asked for them."""

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

STAGES = {"parse", "features", "model", "postprocess", "serialise"}
Receiver = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    directory = str(Path(__file__).parent)
    sys.path.insert(0, directory)
    try:
        yield importlib.import_module("otlp_receiver").receiver
    finally:
        sys.path.remove(directory)


def _parent(trace: int, *, sampled: bool) -> str:
    return f"00-{trace:032x}-00f067aa0ba902b7-{int(sampled):02d}"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/score", {"candidate_id": "c0000003"}),
        ("/v1/score/bulk", {"candidate_ids": ["c0000003", "c0000004"]}),
    ],
)
def test_a_request_is_a_span_of_its_callers_trace_with_one_below_it_for_each_stage(
    serving: Any, receiver: Receiver, wait_for: Callable[..., None], path: str, body: object
) -> None:
    with receiver() as collector, serving(OFFERS_TRACES_ENDPOINT=collector.url) as served:
        unsampled = served.post(path, body, traceparent=_parent(1, sampled=False))
        answer = served.post(path, body, traceparent=_parent(2, sampled=True), X_Request_Id="request-2")
        wait_for(lambda: len(collector.of(f"{2:032x}")) == 1 + len(STAGES))
    spans = collector.of(f"{2:032x}")
    request = spans[f"POST {path}"]
    attributes = {one.key: one.value.string_value or one.value.int_value for one in request.attributes}

    assert collector.services == {"hourly_rate"}
    assert set(spans) == {f"POST {path}", *STAGES}
    assert request.parent_span_id.hex() == "00f067aa0ba902b7"
    assert attributes["http.route"] == path
    assert attributes["http.response.status_code"] == 200
    assert attributes["offers.request_id"] == "request-2"
    assert answer.headers["traceresponse"] == f"00-{2:032x}-{request.span_id.hex()}-01"
    for name in STAGES:
        assert spans[name].parent_span_id == request.span_id
        assert request.start_time_unix_nano <= spans[name].start_time_unix_nano
        assert spans[name].start_time_unix_nano <= spans[name].end_time_unix_nano <= request.end_time_unix_nano
    # Sent before the other, and first in the queue.
    assert unsampled.status_code == 200
    assert not collector.of(f"{1:032x}")


def test_the_standard_variable_names_a_collector_too_and_a_share_of_nothing_traces_nobody_by_itself(
    serving: Any, receiver: Receiver, wait_for: Callable[..., None]
) -> None:
    with (
        receiver() as collector,
        serving(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OFFERS_TRACES_RATIO="0") as served,
    ):
        for number in range(20):
            served.post("/v1/score", {"candidate_id": f"c{number:07}"})
        served.post("/v1/score", {"candidate_id": "c0000003"}, traceparent=_parent(2, sampled=True))
        wait_for(lambda: collector.of(f"{2:032x}"))

    assert {span.trace_id.hex() for span in collector.spans} == {f"{2:032x}"}


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "gone"])
def test_a_dead_collector_fails_no_request_and_holds_no_stop(serving: Any, receiver: Receiver, hangs: bool) -> None:
    with receiver(hangs=hangs) as collector:
        url = collector.url if hangs else "http://127.0.0.1:9"
        with serving(OFFERS_TRACES_ENDPOINT=url, OFFERS_TRACES_RATIO="1") as served:
            statuses = {served.post("/v1/score", {"candidate_id": "c0000003"}).status_code for _ in range(200)}
        # `serving` waited for its end, and would have killed what goes on.
        ended = served.process.returncode

    assert statuses == {200}
    assert ended == -signal.SIGTERM


def test_without_a_collector_neither_sdk_nor_exporter_is_imported() -> None:
    program = (
        "import sys, hourly_rate, serving.runtime; from serving import create_app; create_app(hourly_rate.SERVICE);"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OFFERS_", "OTEL_"))}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_log_events_of_a_request_name_it_and_its_trace(serving: Any, wait_for: Callable[..., None]) -> None:
    with serving(OFFERS_ACCESS_LOG="all") as served:
        served.post(
            "/v1/score", {"candidate_id": "c0000003"}, traceparent=_parent(2, sampled=True), X_Request_Id="request-2"
        )
        served.post("/invocations", {"inputs": "no"}, X_Request_Id="request-3")
        wait_for(lambda: len(served.events("request")) >= 2)
    events = {event["request_id"]: event for event in served.events("request")}
    scored, refused = events["request-2"], events["request-3"]

    assert (scored["method"], scored["route"], scored["status"]) == ("POST", "/v1/score", 200)
    assert (scored["service"], scored["worker"], scored["model_version"]) == ("hourly_rate", 0, "1")
    assert scored["trace_id"] == f"{2:032x}"
    assert refused["route"] == "/invocations"
    assert refused["status"] == 400

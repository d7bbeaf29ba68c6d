"""Log events: what each holds, and how many there are."""

import io
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
import structlog
from structlog.testing import capture_logs

from serving import logs
from serving.current_request import CURRENT_REQUEST, RequestSpans
from serving.logs import AccessLog, bind_process, configure_logging


@dataclass
class Request:
    request_id: bytes = b"request-1"
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    spans: RequestSpans | None = None


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Logging as a process has it, into memory; all is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(logs, "_process", {})
    stream = io.StringIO()
    monkeypatch.setattr(logs.sys, "stderr", stream)
    configure_logging("hourly_rate", "info", 2)
    try:
        yield stream
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()


def test_uvicorns_text_in_colours_is_left_out(written: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info("Started [%d]", 7, extra={"color_message": "\x1b[36m%d\x1b[0m", "pid": 7})

    event = json.loads(written.getvalue())
    assert (event["event"], event["pid"]) == ("Started [7]", 7)
    assert "color_message" not in event


def test_an_event_names_service_worker_version_request_and_trace(written: io.StringIO) -> None:
    bind_process(model_version="7")
    headers = {b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    token = CURRENT_REQUEST.set(Request(headers=headers))
    logging.getLogger("a.library").warning("of a library")
    structlog.stdlib.get_logger("ours").info("of_ours", key=1)
    CURRENT_REQUEST.reset(token)
    logging.getLogger("a.library").warning("outside")
    one, two, three = (json.loads(line) for line in written.getvalue().splitlines())

    for event in (one, two):
        assert event["service"] == "hourly_rate"
        assert event["worker"] == 2
        assert event["model_version"] == "7"
        assert event["request_id"] == "request-1"
        assert event["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert two["key"] == 1
    assert "request_id" not in three


def test_a_malformed_traceparent_names_no_trace(written: io.StringIO) -> None:
    token = CURRENT_REQUEST.set(Request(headers={b"traceparent": b'00-"x"-1-01'}))
    logging.getLogger("a.library").warning("of a library")
    CURRENT_REQUEST.reset(token)

    assert "trace_id" not in json.loads(written.getvalue())


@pytest.mark.parametrize(("mode", "statuses"), [("off", []), ("errors", [503]), ("all", [200, 404, 503])])
def test_the_access_log_is_as_wide_as_asked(mode: str, statuses: list[int]) -> None:
    access = AccessLog(mode)  # type: ignore[arg-type]
    with capture_logs() as events:
        for status in (200, 404, 503):
            if status >= access.status_min:
                access.note("POST", "/v1/score", status, 0.001, "anyone")

    assert [event["status"] for event in events] == statuses


def test_a_probe_of_what_is_not_ready_is_no_error() -> None:
    with capture_logs() as events:
        AccessLog("errors").note("GET", "/readyz", 503, 0.001, None)

    assert events == []


def test_a_storm_of_errors_is_told_and_not_written_out() -> None:
    now = 0.0
    access = AccessLog("errors", clock=lambda: now)
    with capture_logs() as events:
        for _ in range(50):
            access.note("POST", "/v1/score", 503, 0.001, None)
        now = 1.0
        access.note("POST", "/v1/score", 503, 0.001, None)

    assert len(events) == 21
    assert events[-1]["left_out"] == 30

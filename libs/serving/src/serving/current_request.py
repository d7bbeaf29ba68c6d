"""The request that is being served, for whoever writes a log event or a span on its behalf."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol

__all__ = ["CURRENT_REQUEST", "CurrentRequest", "RequestSpans", "trace_id_of"]

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


class RequestSpans(Protocol):
    """The spans of a request that is traced."""

    trace_id: str

    def stage(self, name: str, ended: float, seconds: float, attributes: Mapping[str, int] | None = None) -> None:
        """Note a stage that ended at `ended` (`time.perf_counter`)."""
        ...

    def answer_headers(self) -> list[tuple[bytes, bytes]]:
        """Headers of the answer that name the request's span."""
        ...

    def end(self, status: int, request_id: bytes) -> None:
        """End the request's span."""
        ...


class CurrentRequest(Protocol):
    """What is known of a request everywhere below it."""

    request_id: bytes
    headers: Mapping[bytes, bytes]
    spans: RequestSpans | None
    """None where this request is not traced."""


CURRENT_REQUEST: ContextVar[CurrentRequest | None] = ContextVar("CURRENT_REQUEST", default=None)
"""Set by who lets a request in. A batch of several requests runs as the first of them."""


def trace_id_of(request: CurrentRequest) -> str | None:
    """Give the id of the trace that the request belongs to: our own, or the one its caller named."""
    if request.spans is not None:
        return request.spans.trace_id
    found = _TRACEPARENT.fullmatch(request.headers.get(b"traceparent", b""))
    return found.group(1).decode("ascii") if found else None

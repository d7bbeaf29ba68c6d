"""A request and its answer: the id, the count, the spans and the log event of each, whatever the protocol."""

import itertools
import re
import time
from collections.abc import Mapping

from starlette.types import Message, Scope, Send

from serving.current_request import CURRENT_REQUEST, RequestSpans
from serving.logs import AccessLog
from serving.metrics import RequestTimes
from serving.prediction_ids import prediction_id
from serving.runtime import Shell
from serving.settings import Settings

__all__ = ["Exchange", "Exchanges"]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_CLIENT_CLOSED = 499


class Exchange:
    """Passes an answer on, with the request's id, and remembers its status. It is the `CurrentRequest` below it.

    The request is counted before the last piece is sent: no caller has an answer that a killed worker did not count.
    """

    __slots__ = (
        "_send",
        "_times",
        "caller",
        "headers",
        "is_counted",
        "request_id",
        "route",
        "spans",
        "started",
        "status",
    )

    def __init__(
        self, send: Send, request_id: bytes, headers: Mapping[bytes, bytes], route: str, times: RequestTimes
    ) -> None:
        self._send = send
        self._times = times
        self.started = time.perf_counter()
        self.route = route
        self.request_id = request_id
        self.headers = headers
        self.status = 0
        """Of the answer; 0 as long as none has begun."""
        self.is_counted = False
        """Whether the end of the answer is sent."""
        self.spans: RequestSpans | None = None
        self.caller: str | None = None
        """Name of the caller's key."""

    async def __call__(self, message: Message) -> None:
        """Send: the `send` of whoever answers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.request_id)]
            if self.spans is not None:
                headers += self.spans.answer_headers()
            message["headers"] = headers
        elif not message.get("more_body", False):
            self.is_counted = True
            self._times.observe(self.route, self.status, time.perf_counter() - self.started)
        await self._send(message)


class Exchanges:
    """Begins and ends the exchanges of one application."""

    def __init__(self, shell: Shell, settings: Settings, times: RequestTimes) -> None:
        self._shell = shell
        self._times = times
        self._access = AccessLog(settings.access_log)
        self._noted_from = self._access.status_min
        # Unique with the time of the start in front; a UUID a request would cost 1 µs.
        self._request_ids = map("{}-{:x}".format, itertools.repeat(prediction_id()[:23]), itertools.count(1))

    def begin(self, scope: Scope, headers: Mapping[bytes, bytes], route: str, send: Send) -> Exchange:
        """Take a request in. Its id is the caller's `X-Request-Id`, if it is one."""
        request_id = headers.get(b"x-request-id")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            request_id = next(self._request_ids).encode("ascii")
        exchange = Exchange(send, request_id, headers, route, self._times)
        # Never reset: each request is a task with a context of its own.
        CURRENT_REQUEST.set(exchange)
        if self._shell.tracing is not None:
            exchange.spans = self._shell.tracing.begin(scope["method"], route, headers, exchange.started)
        return exchange

    def end(self, exchange: Exchange, method: str) -> None:
        """Note that a request has ended, with its answer or without."""
        status = exchange.status or _CLIENT_CLOSED
        if not exchange.is_counted:
            self._times.observe(exchange.route, status, time.perf_counter() - exchange.started)
        if exchange.spans is not None:
            exchange.spans.end(status, exchange.request_id)
        if status >= self._noted_from:
            seconds = time.perf_counter() - exchange.started
            self._access.note(method, exchange.route, status, seconds, exchange.caller)

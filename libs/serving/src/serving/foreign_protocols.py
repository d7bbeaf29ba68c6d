"""Protocols beside `/v1`, so that existing clients work: what their requests pass before a handler sees them.

The same credential, quota, admission, deadline and metrics as everywhere else; the form of a failure is the protocol's
own. Their routes stand outside of OpenAPI: each protocol has its own specification. Some of their clients can send no
header of their choice, so that a key may come as the password of HTTP Basic authentication here.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.content_encodings import compress, decompress, preferred_encoding
from serving.exchanges import Exchange, Exchanges
from serving.problems import Problem, ProblemError, problem, problem_of
from serving.request_bodies import read_body
from serving.runtime import Runtime, Shell
from serving.settings import Settings

__all__ = ["ForeignAnswer", "ForeignProtocol", "ForeignProtocols", "ForeignRequest", "ForeignRoute", "decode_any_json"]

_COMPRESSED_FROM = 1024
_THREAD_FROM = 128 * 1024
"""Bytes from which folding and unfolding leave the event loop: zlib takes about 10 ms a MB."""
_BASIC = b"basic "
_log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class ForeignRequest:
    """A request that was let in."""

    runtime: Runtime
    headers: Mapping[bytes, bytes]
    """By lower-case name."""
    parameters: Mapping[str, str]
    """Of the path."""
    body: bytes
    """Without its content encoding."""
    caller: str = ""
    """Name of the caller, where one was asked for."""
    route: str = ""
    """Template of the route."""


@dataclass(frozen=True, slots=True)
class ForeignAnswer:
    """What is sent back."""

    body: bytes
    media_type: str = "application/json"
    headers: Sequence[tuple[bytes, bytes]] = ()
    status: int = 200


@dataclass(frozen=True, slots=True)
class ForeignRoute:
    """One route, as a path has been matched to it."""

    template: str
    """For metrics."""
    method: str
    handle: Callable[[ForeignRequest], Awaitable[ForeignAnswer]]
    is_open: bool = False
    """No credential is asked."""
    scores: bool = False
    """Takes a place among the requests in flight, and counts against the quota."""
    parameters: Mapping[str, str] = field(default_factory=dict)


class ForeignProtocol(Protocol):
    """A protocol that is spoken beside our own."""

    def owns(self, path: str) -> bool:
        """Say whether whatever is asked at this path is answered in this protocol's form."""
        ...

    def route(self, path: str) -> ForeignRoute | None:
        """Find the route of a path that it owns."""
        ...

    def failure(self, error: ProblemError) -> ForeignAnswer:
        """Give a problem this protocol's form."""
        ...


class ForeignProtocols:
    """Stands before the application, and serves the protocols' paths itself."""

    def __init__(
        self,
        app: ASGIApp,
        protocols: Sequence[ForeignProtocol],
        *,
        shell: Shell,
        settings: Settings,
        exchanges: Exchanges,
    ) -> None:
        self._app = app
        self._protocols = tuple(protocols)
        self._shell = shell
        self._settings = settings
        self._exchanges = exchanges

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve one request. Not itself a coroutine: our own routes pay 0.1 µs for the protocols beside them."""
        path: str = scope["path"]
        if not path.startswith("/v1/"):
            for protocol in self._protocols:
                if protocol.owns(path):
                    return self._serve(protocol, scope, receive, send)
        return self._app(scope, receive, send)  # type: ignore[return-value]  # an ASGI application's is a coroutine

    async def _serve(self, protocol: ForeignProtocol, scope: Scope, receive: Receive, send: Send) -> None:
        route = protocol.route(scope["path"])
        template = "other" if route is None else route.template
        exchange = self._exchanges.begin(scope, dict(scope["headers"]), template, send)
        try:
            try:
                answer = await self._answer(route, scope, receive, exchange)
            except ClientDisconnect:
                return
            except Exception as error:  # noqa: BLE001  # whatever was raised, the caller gets the protocol's failure
                answer = self._failure(protocol, error, scope)
            await _send(exchange, answer)
        finally:
            self._exchanges.end(exchange, scope["method"])

    async def _answer(
        self, route: ForeignRoute | None, scope: Scope, receive: Receive, exchange: Exchange
    ) -> ForeignAnswer:
        headers = exchange.headers
        runtime = self._shell.runtime
        is_open = route is not None and route.is_open
        # Who has no credential learns nothing of what is served where.
        client = None if is_open else runtime.keys.client(_with_basic_key(headers))
        if route is None:
            raise problem(Problem.NO_ROUTE)
        if scope["method"] != route.method:
            allow = [(b"allow", route.method.encode("ascii"))]
            raise ProblemError(problem(Problem.METHOD).answer, allow)
        caller = "" if client is None else client.name
        exchange.caller = caller or None
        if client is None or not route.scores:
            return await route.handle(await self._request(route, runtime, headers, caller, receive))
        runtime.quota.take(client.name)
        runtime.admission.enter()
        try:
            async with asyncio.timeout(self._settings.bulk_deadline_seconds):
                answer = await route.handle(await self._request(route, runtime, headers, caller, receive))
                return await _compressed(answer, headers)
        finally:
            runtime.admission.leave()

    async def _request(
        self, route: ForeignRoute, runtime: Runtime, headers: Mapping[bytes, bytes], caller: str, receive: Receive
    ) -> ForeignRequest:
        bytes_max = self._settings.body_bytes_max
        body = b""
        if route.method == "POST":
            length = headers.get(b"content-length", b"")
            if length.isdigit() and int(length) > bytes_max:
                raise problem(Problem.TOO_LARGE, f"At most {bytes_max} bytes.")
            body = await read_body(receive, bytes_max)
            encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
            if len(body) >= _THREAD_FROM and encoding:
                body = await asyncio.to_thread(decompress, body, encoding, bytes_max)
            else:
                body = decompress(body, encoding, bytes_max)
        return ForeignRequest(runtime, headers, route.parameters, body, caller, route.template)

    def _failure(self, protocol: ForeignProtocol, error: Exception, scope: Scope) -> ForeignAnswer:
        failure = problem_of(error, retry_after_seconds=self._settings.retry_after_seconds)
        if failure.answer.status == 500:
            _log.error("request_failed", route=scope["path"], exc_info=error)
        return protocol.failure(failure)


def decode_any_json(body: bytes) -> object:
    """Decode JSON as Python's own writer makes it: bare `NaN` and `Infinity` are read. Raises the 400 problem."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise problem(Problem.MALFORMED, "The body is not JSON in UTF-8.") from None


def _with_basic_key(headers: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    authorization = headers.get(b"authorization", b"")
    if b"x-api-key" in headers or authorization[: len(_BASIC)].lower() != _BASIC:
        return headers
    try:
        pair = base64.b64decode(authorization[len(_BASIC) :].strip(), validate=True)
    except binascii.Error:
        return headers
    return {b"x-api-key": pair.partition(b":")[2]}


async def _compressed(answer: ForeignAnswer, headers: Mapping[bytes, bytes]) -> ForeignAnswer:
    encoding = preferred_encoding(headers.get(b"accept-encoding", b"").decode("latin-1"))
    if encoding is None or len(answer.body) < _COMPRESSED_FROM:
        return answer
    if len(answer.body) >= _THREAD_FROM:
        body = await asyncio.to_thread(compress, answer.body, encoding)
    else:
        body = compress(answer.body, encoding)
    more = ((b"content-encoding", encoding.encode("ascii")), (b"vary", b"accept-encoding"))
    return ForeignAnswer(body, answer.media_type, (*answer.headers, *more), answer.status)


async def _send(send: Send, answer: ForeignAnswer) -> None:
    headers = [
        (b"content-type", answer.media_type.encode("ascii")),
        (b"content-length", b"%d" % len(answer.body)),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})

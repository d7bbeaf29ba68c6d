"""What every request passes, as one pure ASGI middleware: credential, quota, admission, deadline, problems, metrics.

One middleware and not five: each layer costs a coroutine and a wrapped `send` a request.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.deadlines import Deadline
from serving.exchanges import Exchange, Exchanges
from serving.problems import Problem, ProblemError, problem, problem_of, problem_response
from serving.request_bodies import require_json
from serving.runtime import CALLER, Shell
from serving.settings import Settings

__all__ = ["Front", "RoutePolicy", "headers_of", "problem_of_http"]

_HEADERS = "offers.headers"
_log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """How requests of one route are let in."""

    route: str
    """Template, for metrics."""
    is_open: bool = False
    """No credential is asked."""
    scores: bool = False
    """Takes a JSON body and a place among the requests in flight, and counts against the quota."""
    is_bulk: bool = False
    """Looks itself to media types, sizes and deadlines: a stream has no end that could be waited for."""


_OTHER = RoutePolicy("other")


def headers_of(scope: Scope) -> Mapping[bytes, bytes]:
    """Headers of a request by lower-case name."""
    headers: Mapping[bytes, bytes] | None = scope.get(_HEADERS)
    return dict(scope["headers"]) if headers is None else headers


class Front:
    """The middleware. `policies` maps the paths of the service's routes.

    `direct` holds endpoints that a POST reaches past FastAPI: its middlewares and router take 15 µs a request.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        shell: Shell,
        settings: Settings,
        exchanges: Exchanges,
        policies: Mapping[str, RoutePolicy],
        direct: Mapping[str, ASGIApp],
    ) -> None:
        self._app = app
        self._shell = shell
        self._settings = settings
        self._policies = policies
        self._direct = direct
        self._exchanges = exchanges
        self._deadline = Deadline(settings.deadline_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; only a cancelled one raises."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        scope[_HEADERS] = headers
        policy = self._policies.get(scope["path"], _OTHER)
        answer = self._exchanges.begin(scope, headers, policy.route, send)
        try:
            await self._serve(policy, headers, scope, receive, answer)
        except ClientDisconnect:
            pass
        except Exception as error:  # noqa: BLE001  # whatever was raised, the caller gets a problem
            await self._fail(error, scope, answer)
        finally:
            self._exchanges.end(answer, scope["method"])

    async def _serve(
        self, policy: RoutePolicy, headers: Mapping[bytes, bytes], scope: Scope, receive: Receive, send: Exchange
    ) -> None:
        if policy.is_open:
            await self._app(scope, receive, send)
            return
        runtime = self._shell.runtime
        client = runtime.keys.client(headers)
        send.caller = client.name
        if not policy.is_bulk:
            self._check_length(headers)
        if not policy.scores or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        if not policy.is_bulk:
            require_json(headers)
        runtime.quota.take(client.name)
        scope[CALLER] = client.name
        app = self._direct.get(policy.route, self._app)
        admission = runtime.admission
        admission.enter()
        try:
            if policy.is_bulk:
                await app(scope, receive, send)
            else:
                await self._deadline.hold(app(scope, self._bounded(headers, receive), send))
        finally:
            admission.leave()

    def _check_length(self, headers: Mapping[bytes, bytes]) -> None:
        length = headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > self._settings.body_bytes_max:
            raise problem(Problem.TOO_LARGE, f"At most {self._settings.body_bytes_max} bytes.")

    def _bounded(self, headers: Mapping[bytes, bytes], receive: Receive) -> Receive:
        """Count what arrives where no length was declared; the server holds the caller to a declared one."""
        if b"content-length" in headers:
            return receive
        bytes_max = self._settings.body_bytes_max
        size = 0

        async def receive_counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > bytes_max:
                raise problem(Problem.TOO_LARGE, f"At most {bytes_max} bytes.")
            return message

        return receive_counted

    async def _fail(self, error: Exception, scope: Scope, answer: Exchange) -> None:
        failure = _failure(error, self._settings.retry_after_seconds)
        if failure.answer.status == 500:
            _log.error("request_failed", route=scope["path"], exc_info=error)
        if answer.status == 0:
            await problem_response(failure)(scope, _nothing_more, answer)


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


def _failure(error: Exception, retry_after_seconds: int) -> ProblemError:
    if isinstance(error, HTTPException):
        return problem_of_http(error)
    return problem_of(error, retry_after_seconds=retry_after_seconds)


def problem_of_http(error: HTTPException) -> ProblemError:
    """Map what Starlette and FastAPI raise themselves."""
    kinds = {404: Problem.NO_ROUTE, 405: Problem.METHOD, 400: Problem.MALFORMED, 413: Problem.TOO_LARGE}
    failure = problem(kinds.get(error.status_code, Problem.INTERNAL))
    allow = (error.headers or {}).get("Allow") if error.status_code == 405 else None
    return failure if allow is None else ProblemError(failure.answer, [(b"allow", allow.encode("latin-1"))])

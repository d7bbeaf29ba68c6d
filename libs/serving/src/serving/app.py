"""A service's declaration made an application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from inference.errors import InferenceError
from serving.bulk import BulkEndpoint
from serving.docs_page import DOCS_PATHS, docs_routes
from serving.exchanges import Exchanges
from serving.feedback import FeedbackEndpoint
from serving.foreign_protocols import ForeignProtocols
from serving.front import Front, RoutePolicy, problem_of_http
from serving.ledger import Ledger
from serving.metrics import RequestTimes, measures_in
from serving.mlflow_scoring import MlflowScoring
from serving.model_routes import ModelRoutes
from serving.open_inference import OpenInference
from serving.openapi import PROBLEM_RESPONSES, declare
from serving.operations import Operations
from serving.problems import ProblemError, problem_of, problem_response
from serving.runtime import OpenModels, ReadPool, Shell, follow_registry, read_online_pool
from serving.scoring import ScoreEndpoint
from serving.service import Service
from serving.settings import Settings
from serving.validation import problem_of_validation
from serving.wire import wire_of

__all__ = ["create_app"]

_OPEN = ("/livez", "/readyz", "/metrics", "/openapi.json", *DOCS_PATHS)


class _Application(FastAPI):
    """FastAPI behind the front, which is thus the outermost layer, outside of FastAPI's own middlewares too."""

    front: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or the lifespan."""
        if scope["type"] == "http":
            await self.front(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(
    service: Service,
    settings: Settings | None = None,
    *,
    open_models: OpenModels = follow_registry,
    read_pool: ReadPool = read_online_pool,
) -> FastAPI:
    """Make the application of a service.

    Nothing is opened before its lifespan begins. `open_models` says where models come from: the registry, or in tests
    `serving.testing.standing_models`; `read_pool` where a pool of entities is listed.
    """
    settings = settings or Settings()
    measures = measures_in(Ledger(settings.counts_directory, settings.worker))
    shell = Shell(measures)
    wire = wire_of(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with shell.opened(service, settings, open_models, read_pool):
            yield

    app = _Application(
        title=service.title,
        summary=service.summary,
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.shell = shell
    times = RequestTimes(service.name, measures)
    for route in ("/v1/score", "/v1/score/bulk"):
        times.expect(route, (200, 500, 503, 504))
    operations = Operations(shell)
    model_routes = ModelRoutes(shell, settings)
    direct: dict[str, ASGIApp] = {
        "/v1/score": ScoreEndpoint(shell, settings, wire, service.entities),
        "/v1/score/bulk": BulkEndpoint(shell, settings, service, wire),
        "/v1/feedback": FeedbackEndpoint(shell, settings),
    }
    app.router.routes[:0] = [
        *(Route(path, endpoint, methods=["POST"]) for path, endpoint in direct.items()),
        Route("/v1/model", model_routes.model),
        Route("/v1/model/history", model_routes.history),
        Route("/v1/model/webhook", model_routes.webhook, methods=["POST"]),
        Route("/livez", operations.livez),
        Route("/readyz", operations.readyz),
        Route("/metrics", operations.metrics),
        *docs_routes(service.title),
    ]
    for router in service.routers:
        app.include_router(router, responses={**PROBLEM_RESPONSES})
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)

    async def answer_error(_: Request, error: Exception) -> Response:
        return problem_response(problem_of(error, retry_after_seconds=settings.retry_after_seconds))

    for kind in (ProblemError, InferenceError, Exception):
        app.add_exception_handler(kind, answer_error)
    declare(app, service, settings, wire)
    exchanges = Exchanges(shell, settings, times)
    front = Front(
        partial(FastAPI.__call__, app),
        shell=shell,
        settings=settings,
        exchanges=exchanges,
        policies=_policies(service),
        direct=direct,
    )
    protocols = (OpenInference(service), MlflowScoring())
    app.front = ForeignProtocols(front, protocols, shell=shell, settings=settings, exchanges=exchanges)
    return app


def _policies(service: Service) -> dict[str, RoutePolicy]:
    policies = {path: RoutePolicy(path, is_open=True) for path in _OPEN}
    for path in ("/v1/model", "/v1/model/history"):
        policies[path] = RoutePolicy(path)
    # Its credential is the signature.
    policies["/v1/model/webhook"] = RoutePolicy("/v1/model/webhook", is_open=True)
    policies["/v1/score"] = RoutePolicy("/v1/score", scores=True)
    policies["/v1/score/bulk"] = RoutePolicy("/v1/score/bulk", scores=True, is_bulk=True)
    # Large or small, it looks itself to media types and sizes.
    policies["/v1/feedback"] = RoutePolicy("/v1/feedback", scores=True, is_bulk=True)
    for router in service.routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                policies[route.path] = RoutePolicy(route.path, scores=True)
    return policies


async def _answer_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # Starlette's handlers are typed for any exception
    return problem_response(problem_of_http(error))


async def _answer_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # as above
    return problem_response(problem_of_validation(error))

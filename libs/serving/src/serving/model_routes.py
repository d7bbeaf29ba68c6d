"""Routes of the model's life: what serves, how it came about, and MLflow's webhook."""

import asyncio
import re

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from serving.front import headers_of
from serving.lifecycle import Lifecycle
from serving.model_answers import history_answer, model_answer
from serving.problems import FieldError, Problem, problem
from serving.request_bodies import read_body
from serving.runtime import Shell
from serving.settings import Settings
from serving.webhooks import BODY_BYTES_MAX, WebhookError, WebhookVerifier

__all__ = ["HISTORY_LIMIT_MAX", "ModelRoutes"]

HISTORY_LIMIT_MAX = 1000
_LIMIT = re.compile("[0-9]{1,4}")
_MOVE_ID = re.compile("[0-9a-f]{16}-[^\\s]{0,128}")
_encoder = msgspec.json.Encoder()
_log = structlog.stdlib.get_logger()


class ModelRoutes:
    """Handlers."""

    def __init__(self, shell: Shell, settings: Settings) -> None:
        self._shell = shell
        secret = settings.webhook_secret
        self._verifier = (
            None if secret is None else WebhookVerifier(secret.get_secret_value(), settings.webhook_window_seconds)
        )

    async def model(self, _: Request) -> Response:
        """Say what serves."""
        runtime = self._shell.runtime
        return _json(model_answer(runtime.models, runtime.settings.worker))

    async def history(self, request: Request) -> Response:
        """Say which alias moved when, and what became of it: a page, newest first."""
        limit, before = _page(request)
        return _json(await asyncio.to_thread(history_answer, self._shell.runtime.models, limit, before))

    async def webhook(self, request: Request) -> Response:
        """Take a delivery of MLflow and look at the registry now; 202, whether or not it concerns this model."""
        if self._verifier is None:
            raise problem(Problem.FORBIDDEN, "This service has no webhook secret.")
        models = self._shell.runtime.models
        body = await read_body(request.receive, BODY_BYTES_MAX)
        try:
            delivery = self._verifier.verify(headers_of(request.scope), body)
        except WebhookError as error:
            _log.warning("webhook_refused", reason=str(error))
            raise problem(Problem.UNAUTHENTICATED, f"A delivery was not taken: {error}.") from None
        if isinstance(models, Lifecycle) and delivery.concerns(models.state.name):
            models.poke()
        return Response(status_code=202)


def _page(request: Request) -> tuple[int, str | None]:
    limit, before = request.query_params.get("limit", "100"), request.query_params.get("before")
    # Four digits: int() takes more than Python converts, and other alphabets' digits.
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= HISTORY_LIMIT_MAX:
        raise problem(Problem.INVALID, errors=[FieldError("limit", f"is a number from 1 to {HISTORY_LIMIT_MAX}")])
    if before is not None and not _MOVE_ID.fullmatch(before):
        raise problem(Problem.INVALID, errors=[FieldError("before", "is the id of a move")])
    return int(limit), before


def _json(answer: msgspec.Struct) -> Response:
    return Response(_encoder.encode(answer), media_type="application/json")

"""The routes of `mlflow models serve`: `POST /invocations`, `GET /ping`, `/health` and `/version`.

The answer is the booster's own output, as MLflow's is: `{"predictions": […]}`. Columns are found by name, further ones
are dropped. A category may come as the contract's word, which MLflow itself could not read, or as its code.
"""

import asyncio
import math
from collections.abc import Mapping

import msgspec
import numpy as np

from inference import FeatureSpec
from inference.errors import FeatureStoreError, NoModelError
from serving.foreign_protocols import ForeignAnswer, ForeignRequest, ForeignRoute
from serving.given_features import columns_to_score, named, wanting_columns
from serving.mlflow_scoring.frames import Column, Frame, frame_of_csv, frame_of_json, frame_of_parquet
from serving.problems import Problem, ProblemError, problem

__all__ = ["MLFLOW_VERSION", "MlflowScoring"]

MLFLOW_VERSION = "3.17.2"
"""The MLflow whose scoring protocol this is: clients read from it which forms they may send."""

_JSON = "application/json"
_CSV = "text/csv"
_PARQUET = "application/vnd.apache.parquet"
_ERROR_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    413: "REQUEST_LIMIT_EXCEEDED",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    500: "INTERNAL_ERROR",
}
_THREAD_FROM = 64 * 1024
_encoder = msgspec.json.Encoder()


class MlflowScoring:
    """Speaks MLflow's scoring protocol."""

    def __init__(self) -> None:
        self._routes: Mapping[str, ForeignRoute] = {
            "/invocations": ForeignRoute("/invocations", "POST", self._invoke, scores=True),
            "/ping": ForeignRoute("/ping", "GET", self._ping, is_open=True),
            "/health": ForeignRoute("/health", "GET", self._ping, is_open=True),
            "/version": ForeignRoute("/version", "GET", self._version, is_open=True),
        }

    def owns(self, path: str) -> bool:
        """Its four routes."""
        return path in self._routes

    def route(self, path: str) -> ForeignRoute | None:
        """Find the route of a path."""
        return self._routes.get(path)

    def failure(self, error: ProblemError) -> ForeignAnswer:
        """Give a problem MLflow's form."""
        answer = error.answer
        message = answer.detail or answer.title
        if answer.errors:
            message = "; ".join(f"{one.field}: {one.rule}" for one in answer.errors)
        status = 400 if answer.status == 422 else answer.status
        code = _ERROR_CODES.get(status, "BAD_REQUEST")
        body = _encoder.encode({"error_code": code, "message": message})
        return ForeignAnswer(body, headers=error.headers, status=status)

    async def _ping(self, request: ForeignRequest) -> ForeignAnswer:
        """As with MLflow 200 says that a model can score; what it cannot say yet is 503."""
        try:
            await request.runtime.can_score()
        except (NoModelError, FeatureStoreError, TimeoutError):
            retry_after_seconds = request.runtime.settings.retry_after_seconds
            raise problem(Problem.NOT_READY, retry_after_seconds=retry_after_seconds) from None
        return ForeignAnswer(b"\n")

    async def _version(self, _: ForeignRequest) -> ForeignAnswer:
        return ForeignAnswer(MLFLOW_VERSION.encode("ascii"))

    async def _invoke(self, request: ForeignRequest) -> ForeignAnswer:
        runtime = request.runtime
        frame = await _frame(request)
        # From here to the predictor nothing waits, so that the contract is the one that scores.
        contract = runtime.models.current().version.contract
        wanting = wanting_columns(contract, frame)
        if wanting:
            raise problem(Problem.MALFORMED, f"Model is missing inputs: {named(wanting)}.")
        given = columns_to_score(contract, frame)
        columns = {name: _values(contract.features[contract.position[name]], column) for name, column in given.items()}
        rows = len(next(iter(columns.values())))
        if rows == 0:
            raise problem(Problem.MALFORMED, "At least one row.")
        if rows > runtime.settings.bulk_rows_max:
            raise problem(Problem.TOO_LARGE, f"At most {runtime.settings.bulk_rows_max} rows.")
        scored = await runtime.predictor.score_values(columns)
        runtime.log.record_bulk(scored, None, request.caller, request.route)
        # NaN becomes null.
        return ForeignAnswer(_encoder.encode({"predictions": scored.raw.astype(np.float64).tolist()}))


def _values(feature: FeatureSpec, column: Column) -> Column:
    """Read numbers that came as text, as MLflow does; a category's word and a time stay what they are."""
    if isinstance(column, np.ndarray) or feature.dtype == "timestamp":
        return column
    if feature.dtype == "category" and any(value in feature.categories for value in column):
        return column
    try:
        return np.array([math.nan if value is None else value for value in column], dtype=np.float64)
    except (TypeError, ValueError):
        # The predictor says which rule of the contract the column does not keep.
        return column


async def _frame(request: ForeignRequest) -> Frame:
    media_type = _media_type(request.headers.get(b"content-type", b"").decode("latin-1"))
    if media_type == _JSON:
        return frame_of_json(request.body)
    read = frame_of_csv if media_type == _CSV else frame_of_parquet
    if len(request.body) < _THREAD_FROM:
        return read(request.body)
    return await asyncio.to_thread(read, request.body)


def _media_type(content_type: str) -> str:
    """Give one of the three media types. Raises the 415 problem."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media_type not in {_JSON, _CSV, _PARQUET}:
        raise problem(Problem.MEDIA_TYPE, f"Send {_JSON}, {_CSV} or {_PARQUET}.")
    if any(parameter not in {"", "charset=utf-8", 'charset="utf-8"'} for parameter in parameters):
        raise problem(Problem.MEDIA_TYPE, "Only UTF-8 is read, and no other parameter of the media type.")
    return media_type

"""The OpenAPI document: FastAPI's own, plus the plain ASGI routes with the structs that they decode and encode."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI

from serving.feedback import FeedbackAnswer, FeedbackRequest
from serving.model_answers import HistoryAnswer, ModelAnswer
from serving.model_routes import HISTORY_LIMIT_MAX
from serving.operations import LiveAnswer, ReadyAnswer
from serving.problems import Problem, ProblemAnswer
from serving.service import Service
from serving.settings import Settings
from serving.wire import Wire

__all__ = ["PROBLEM_RESPONSES", "declare"]

_REF = "#/components/schemas/{name}"
_PROBLEM_CONTENT = {"application/problem+json": {"schema": {"$ref": _REF.format(name="ProblemAnswer")}}}
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 0}}
}
_SCORING = (400, 401, 404, 413, 415, 422, 429, 500, 503, 504)
_READING = (401, 500, 503)
_STREAMS = (
    "A JSON body is answered at once. Bodies of `application/x-ndjson` (an object with the join keys a line) and "
    "`application/vnd.apache.arrow.stream` (a string column a join key, buffers uncompressed) are streams without a "
    "bound on rows: read the answer while you send. `Accept` chooses the form of the answer, else it is that of the "
    "request; bodies may have `Content-Encoding` gzip or zstd, streams answer in what `Accept-Encoding` allows.\n\n"
    'An NDJSON answer is a line `{"model": …}`, then a line a row as in the JSON form. An Arrow answer has the '
    "columns `prediction_id`, the join keys, `status`, the prediction's fields, `as_of`, `missing` and `stale`, and "
    "`model` as JSON in the schema's metadata. What fails before the first row is a problem with its status; later, "
    'NDJSON ends with a line `{"problem": …}`, and Arrow and JSON are cut off before the end of the chunked body. '
    "All rows of an answer are scored by one model version."
)
_SECURITY: list[dict[str, list[str]]] = [{"ApiKey": []}, {"Bearer": []}]


def _problems(statuses: tuple[int, ...]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status in statuses:
        titles = [kind.value.title for kind in Problem if kind.value.status == status]
        responses[str(status)] = {"description": "; or: ".join(titles), "content": _PROBLEM_CONTENT}
        if status in {429, 503}:
            responses[str(status)]["headers"] = _RETRY_AFTER
    return responses


PROBLEM_RESPONSES: Mapping[int | str, dict[str, Any]] = {int(key): value for key, value in _problems(_SCORING).items()}
"""What `include_router` gives a service's own routes."""


_WEBHOOK: dict[str, Any] = {
    "operationId": "model_webhook",
    "summary": "MLflow's registry webhook: an alias may have moved",
    "description": "Signed by MLflow with the secret in `OFFERS_WEBHOOK_SECRET`; a delivery is taken once.",
    "tags": ["operations"],
    "security": [],
    "parameters": [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
        for name in ("X-MLflow-Signature", "X-MLflow-Delivery-Id", "X-MLflow-Timestamp")
    ],
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    "responses": {"202": {"description": "Taken"}, **_problems((401, 403, 413, 500, 503))},
}

_HISTORY_PAGE = [
    {
        "name": "limit",
        "in": "query",
        "description": "Moves of a page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": HISTORY_LIMIT_MAX, "default": 100},
    },
    {
        "name": "before",
        "in": "query",
        "description": "The id of a move: only older ones are told. `next` of an answer is it for the next page.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{16}-\\S{0,128}$"},
    },
]


def declare(app: FastAPI, service: Service, settings: Settings, wire: Wire) -> None:
    """Make `app.openapi()` describe every route."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(generate(), service, settings, wire)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend its document


def _completed(document: dict[str, Any], service: Service, settings: Settings, wire: Wire) -> dict[str, Any]:
    structs = (
        wire.score_request,
        wire.score_answer,
        wire.bulk_request,
        wire.bulk_answer,
        LiveAnswer,
        ReadyAnswer,
        ModelAnswer,
        HistoryAnswer,
        ProblemAnswer,
        FeedbackRequest,
        FeedbackAnswer,
        *service.answers,
    )
    _, schemas = msgspec.json.schema_components(structs, ref_template=_REF)
    schemas["BulkRequest"]["properties"][service.bulk_key]["maxItems"] = settings.bulk_rows_max
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas)
    components["securitySchemes"] = {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "Bearer": {"type": "http", "scheme": "bearer"},
    }
    paths = document.setdefault("paths", {})
    for operations in paths.values():
        for operation in operations.values():
            operation["security"] = _SECURITY
    rows = "a candidate" if service.entities == ("candidate_id",) else "a pair of job and candidate"
    paths["/v1/score"] = {"post": _scoring("score", f"Score {rows}", "ScoreRequest", "ScoreAnswer")}
    paths["/v1/score/bulk"] = {"post": _scoring("score_bulk", f"Score many, a row {rows}", "BulkRequest", "BulkAnswer")}
    paths["/v1/score/bulk"]["post"]["description"] = _STREAMS
    paths["/v1/feedback"] = {"post": _FEEDBACK}
    paths["/v1/model"] = {"get": _reading("model", "What serves, what stayed out and why", "ModelAnswer")}
    history = _reading("model_history", "Which alias moved when, and what became of it", "HistoryAnswer")
    paths["/v1/model/history"] = {"get": {**history, "parameters": _HISTORY_PAGE}}
    history["responses"].update(_problems((422,)))
    paths["/v1/model/webhook"] = {"post": _WEBHOOK}
    paths["/livez"] = {"get": _reading("livez", "The process answers", "LiveAnswer", is_open=True)}
    paths["/readyz"] = {"get": _reading("readyz", "The service can score", "ReadyAnswer", is_open=True)}
    paths["/metrics"] = {
        "get": {
            "operationId": "metrics",
            "summary": "Prometheus metrics",
            "tags": ["operations"],
            "responses": {
                "200": {
                    "description": "Prometheus' text format",
                    "content": {"text/plain": {"schema": {"type": "string"}}},
                },
                **_problems((500, 503)),
            },
        }
    }
    return document


def _scoring(operation_id: str, summary: str, request: str, answer: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "summary": summary,
        "tags": ["scoring"],
        "security": _SECURITY,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _REF.format(name=request)}}},
        },
        "responses": {**_answers(answer), **_problems(_SCORING)},
    }


def _reading(operation_id: str, summary: str, answer: str, *, is_open: bool = False) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id,
        "summary": summary,
        "tags": ["operations"],
        "responses": {**_answers(answer), **_problems((500, 503) if is_open else _READING)},
    }
    if not is_open:
        operation["security"] = _SECURITY
    return operation


def _answers(name: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(name=name)}}}
    return {"200": {"description": "The answer", "content": content}}


_FEEDBACK_REF = {"$ref": _REF.format(name="FeedbackRequest")}
_FEEDBACK: dict[str, Any] = {
    "operationId": "feedback",
    "summary": "What happened after a prediction",
    "description": (
        "Answered 200 when all of the feedback is on the disk; after a problem, take none of it for kept. "
        "One object, a list of them, or `application/x-ndjson`, an object a line; bodies may have "
        "`Content-Encoding` gzip or zstd. Sending the same again does no harm: of several outcomes of one prediction "
        "the one observed last counts, and of those the one received last."
    ),
    "tags": ["feedback"],
    "security": _SECURITY,
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [_FEEDBACK_REF, {"type": "array", "items": _FEEDBACK_REF, "minItems": 1}]}
            }
        },
    },
    "responses": {**_answers("FeedbackAnswer"), **_problems((400, 401, 413, 415, 422, 429, 500, 503, 504))},
}

"""Calls of the five services as values: what is sent where, and what comes back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from scoring_client.answers import BulkAnswer, Estimate, FeedbackKept, ModelState, ScoreAnswer, Shortlist
from scoring_client.errors import UnexpectedAnswerError, error_of

__all__ = [
    "Call",
    "FeatureValue",
    "Outcome",
    "bulk_call",
    "decoded",
    "estimate_call",
    "feedback_call",
    "model_call",
    "score_call",
    "shortlist_call",
]

T = TypeVar("T")
P = TypeVar("P")
FeatureValue = float | int | str | bool | None


class Outcome(msgspec.Struct, frozen=True):
    """What happened after a prediction."""

    prediction_id: str
    outcome: bool | float
    """In the unit of the prediction; yes or no where the model predicts one."""
    observed_at: datetime
    """With a time zone."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and the type of its answer."""

    method: str
    path: str
    body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
    answer: Any


def score_call(
    prediction: type[P], keys: Mapping[str, str], *, features: Mapping[str, FeatureValue] | None, explain: bool
) -> Call[ScoreAnswer[P]]:
    """`POST /v1/score`."""
    body: dict[str, Any] = dict(keys)
    if explain:
        body["explain"] = True
    if features:
        body["features"] = dict(features)
    return Call("POST", "/v1/score", body, ScoreAnswer[prediction])  # type: ignore[valid-type]  # a type at run time


def bulk_call(prediction: type[P], body: Mapping[str, Sequence[Any]]) -> Call[BulkAnswer[P]]:
    """`POST /v1/score/bulk`."""
    return Call("POST", "/v1/score/bulk", body, BulkAnswer[prediction])  # type: ignore[valid-type]  # as above


def estimate_call(profile: Mapping[str, Any]) -> Call[Estimate]:
    """`POST /v1/estimate`."""
    return Call("POST", "/v1/estimate", profile, Estimate)


def shortlist_call(job_id: str, limit: int, filters: Mapping[str, Any] | None) -> Call[Shortlist]:
    """`POST /v1/shortlist`."""
    return Call("POST", "/v1/shortlist", {"job_id": job_id, "limit": limit, "filters": dict(filters or {})}, Shortlist)


def feedback_call(outcomes: Sequence[Outcome]) -> Call[FeedbackKept]:
    """`POST /v1/feedback`. Raises ValueError for a time without a zone."""
    if any(one.observed_at.utcoffset() is None for one in outcomes):
        raise ValueError("observed_at has a time zone")
    return Call("POST", "/v1/feedback", [msgspec.to_builtins(one) for one in outcomes], FeedbackKept)


def model_call() -> Call[ModelState]:
    """`GET /v1/model`."""
    return Call("GET", "/v1/model", None, ModelState)


def decoded(call: Call[T], response: httpx.Response) -> T:
    """Read an answer. Raises `ScoringError`."""
    if response.status_code != 200:
        raise error_of(response)
    try:
        answer: T = msgspec.json.decode(response.content, type=call.answer)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswerError(f"the answer of {call.path} has another form") from error
    return answer

"""Clients of the five services."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpx

from scoring_client.answers import (
    BulkAnswer,
    Estimate,
    Experience,
    FeedbackKept,
    Match,
    ModelState,
    Rate,
    Residency,
    ScoreAnswer,
    Shortlist,
)
from scoring_client.calls import (
    Call,
    FeatureValue,
    Outcome,
    bulk_call,
    decoded,
    estimate_call,
    feedback_call,
    model_call,
    score_call,
    shortlist_call,
)
from scoring_client.errors import TransportError
from scoring_client.retries import Retries

__all__ = [
    "BusinessExperienceClient",
    "HourlyRateClient",
    "RecommendationClient",
    "ResidencyClient",
    "SkillExperienceClient",
]

T = TypeVar("T")
P = TypeVar("P")


class _Client(Generic[P]):
    """What all five share: the connection, the key, retries. Every call raises `ScoringError`."""

    _prediction: type[P]

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout_seconds: float = 10.0,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._http = httpx.Client(
            base_url=base_url, headers={"X-API-Key": api_key}, timeout=timeout_seconds, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def model(self) -> ModelState:
        """Say what serves."""
        return self._answer(model_call())

    def feedback(self, prediction_id: str, outcome: bool | float, observed_at: datetime) -> FeedbackKept:
        """Tell what happened after a prediction; it is on the disk when this returns, and may be told twice."""
        return self.feedback_many([Outcome(prediction_id, outcome, observed_at)])

    def feedback_many(self, outcomes: Sequence[Outcome]) -> FeedbackKept:
        """Tell at most 10,000 outcomes at once: all of them are kept, or this raises."""
        return self._answer(feedback_call(outcomes))

    def _answer(self, call: Call[T]) -> T:
        attempt = 1
        while True:
            try:
                response = self._http.request(call.method, call.path, json=call.body)
            except httpx.TransportError as error:
                raise TransportError(f"no answer from {call.path}: {type(error).__name__}") from error
            wait_seconds = self._retries.wait_seconds(response, attempt)
            if wait_seconds is None:
                return decoded(call, response)
            time.sleep(wait_seconds)
            attempt += 1


class _CandidateClient(_Client[P]):
    """Scores candidates."""

    def score(
        self, candidate_id: str, *, features: Mapping[str, FeatureValue] | None = None, explain: bool = False
    ) -> ScoreAnswer[P]:
        """Score a candidate; `features` override the store's. Raises `UnknownEntityError` among others."""
        keys = {"candidate_id": candidate_id}
        return self._answer(score_call(self._prediction, keys, features=features, explain=explain))

    def score_bulk(self, candidate_ids: Sequence[str]) -> BulkAnswer[P]:
        """Score at most 10,000 candidates; unknown ones come back as `not_found`."""
        return self._answer(bulk_call(self._prediction, {"candidate_ids": list(candidate_ids)}))


class ResidencyClient(_CandidateClient[Residency]):
    """海外居住判定: does this person live abroad?"""

    _prediction = Residency


class SkillExperienceClient(_CandidateClient[Experience]):
    """スキル経験スコア."""

    _prediction = Experience


class BusinessExperienceClient(_CandidateClient[Experience]):
    """ビジネス経験スコア."""

    _prediction = Experience


class HourlyRateClient(_CandidateClient[Rate]):
    """時給診断: what is this person's work worth?"""

    _prediction = Rate

    def estimate(self, *, role: str, years_experience: float, **profile: Any) -> Estimate:
        """Estimate for an anonymous profile: `skills`, `english_level` and so on as `/openapi.json` lists them."""
        return self._answer(estimate_call({"role": role, "years_experience": years_experience, **profile}))


class RecommendationClient(_Client[Match]):
    """推薦評価値・自動リストアップ: how well do person and job fit, and who fits a job best?"""

    _prediction = Match

    def score(
        self,
        job_id: str,
        candidate_id: str,
        *,
        features: Mapping[str, FeatureValue] | None = None,
        explain: bool = False,
    ) -> ScoreAnswer[Match]:
        """Score a pair. Raises `UnknownEntityError` among others."""
        keys = {"job_id": job_id, "candidate_id": candidate_id}
        return self._answer(score_call(self._prediction, keys, features=features, explain=explain))

    def score_bulk(self, pairs: Sequence[tuple[str, str]]) -> BulkAnswer[Match]:
        """Score at most 10,000 pairs of job id and candidate id."""
        body = {"pairs": [{"job_id": job_id, "candidate_id": candidate_id} for job_id, candidate_id in pairs]}
        return self._answer(bulk_call(self._prediction, body))

    def shortlist(self, job_id: str, *, limit: int = 20, filters: Mapping[str, Any] | None = None) -> Shortlist:
        """List those of the whole pool who fit a job best."""
        return self._answer(shortlist_call(job_id, limit, filters))

"""Answers of the services, as they come over the wire."""

from datetime import datetime
from typing import Generic, Literal, TypeVar

import msgspec

__all__ = [
    "BulkAnswer",
    "BulkRow",
    "Estimate",
    "Experience",
    "Explanation",
    "FeaturesUsed",
    "FeedbackKept",
    "Match",
    "ModelState",
    "ModelUsed",
    "Pool",
    "RankedCandidate",
    "Rate",
    "RefusedVersion",
    "Residency",
    "ScoreAnswer",
    "ServingVersion",
    "Shortlist",
]

P = TypeVar("P")


class Residency(msgspec.Struct, frozen=True):
    """海外居住判定: how likely a person lives abroad, and what to do with that."""

    probability: float
    decision: Literal["domestic", "abroad", "review"]


class Experience(msgspec.Struct, frozen=True):
    """スキル経験スコア, ビジネス経験スコア: both 0 to 100."""

    score: float
    percentile: float


class Rate(msgspec.Struct, frozen=True):
    """時給診断: what the work is worth, in `unit`."""

    estimate: float
    lower: float
    upper: float
    coverage: float
    unit: str


class Match(msgspec.Struct, frozen=True):
    """推薦評価値: how well person and job fit, 0 to 1."""

    score: float


class ModelUsed(msgspec.Struct, frozen=True):
    """The model version that scored."""

    name: str
    version: str
    alias: str


class FeaturesUsed(msgspec.Struct, frozen=True):
    """What a score was made of."""

    as_of: datetime | None
    missing: tuple[str, ...]
    stale: tuple[str, ...]


class Explanation(msgspec.Struct, frozen=True):
    """SHAP values of the booster's raw output."""

    base: float
    contributions: dict[str, float]


class ScoreAnswer(msgspec.Struct, Generic[P], frozen=True):
    """One score."""

    prediction_id: str
    candidate_id: str
    prediction: P
    model: ModelUsed
    features: FeaturesUsed
    degraded: bool
    explanation: Explanation | None
    job_id: str | None = None


class BulkRow(msgspec.Struct, Generic[P], frozen=True):
    """One row of a bulk answer; what is not found has no prediction."""

    prediction_id: str | None
    candidate_id: str
    status: Literal["ok", "not_found", "degraded"]
    prediction: P | None
    features: FeaturesUsed | None
    job_id: str | None = None


class BulkAnswer(msgspec.Struct, Generic[P], frozen=True):
    """Many scores of one model version, in the order of the request."""

    model: ModelUsed
    rows: tuple[BulkRow[P], ...]


class Estimate(msgspec.Struct, frozen=True):
    """A score of an anonymous profile."""

    prediction_id: str
    prediction: Rate
    model: ModelUsed
    features: FeaturesUsed
    degraded: bool
    explanation: Explanation | None


class RankedCandidate(msgspec.Struct, frozen=True):
    """A row of a shortlist."""

    rank: int
    prediction_id: str
    candidate_id: str
    prediction: Match
    features: FeaturesUsed
    degraded: bool


class Pool(msgspec.Struct, frozen=True):
    """Out of how many a shortlist is."""

    size: int
    eligible: int
    scored: int
    refreshed_at: datetime


class Shortlist(msgspec.Struct, frozen=True):
    """Candidates for a job, best first."""

    job_id: str
    candidates: tuple[RankedCandidate, ...]
    model: ModelUsed
    pool: Pool


class FeedbackKept(msgspec.Struct, frozen=True):
    """The feedback is on the service's disk."""

    accepted: int


class ServingVersion(msgspec.Struct, frozen=True):
    """A model version that is loaded."""

    name: str
    version: str
    alias: str
    run_id: str
    source: str
    digest: str
    loaded_at: datetime


class RefusedVersion(msgspec.Struct, frozen=True):
    """A model version that stayed out."""

    version: str
    reason: str
    refused_at: datetime


class ModelState(msgspec.Struct, frozen=True):
    """What serves, and what stayed out."""

    name: str
    ready: bool
    champion: ServingVersion | None
    challenger: ServingVersion | None
    refused: tuple[RefusedVersion, ...]
    swaps: int
    contract: dict[str, object] | None

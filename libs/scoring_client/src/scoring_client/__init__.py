"""The typed Python client of the five services."""

from scoring_client.answers import BulkAnswer, Estimate, FeedbackKept, ModelState, ScoreAnswer, Shortlist
from scoring_client.async_clients import (
    AsyncBusinessExperienceClient,
    AsyncHourlyRateClient,
    AsyncRecommendationClient,
    AsyncResidencyClient,
    AsyncSkillExperienceClient,
)
from scoring_client.calls import Outcome
from scoring_client.clients import (
    BusinessExperienceClient,
    HourlyRateClient,
    RecommendationClient,
    ResidencyClient,
    SkillExperienceClient,
)
from scoring_client.errors import (
    AccessError,
    ContractViolationError,
    InvalidRequestError,
    ProblemError,
    QuotaExceededError,
    ScoringError,
    TransportError,
    UnavailableError,
    UnexpectedAnswerError,
    UnknownEntityError,
)
from scoring_client.retries import Retries

__all__ = [
    "AccessError",
    "AsyncBusinessExperienceClient",
    "AsyncHourlyRateClient",
    "AsyncRecommendationClient",
    "AsyncResidencyClient",
    "AsyncSkillExperienceClient",
    "BulkAnswer",
    "BusinessExperienceClient",
    "ContractViolationError",
    "Estimate",
    "FeedbackKept",
    "HourlyRateClient",
    "InvalidRequestError",
    "ModelState",
    "Outcome",
    "ProblemError",
    "QuotaExceededError",
    "RecommendationClient",
    "ResidencyClient",
    "Retries",
    "ScoreAnswer",
    "ScoringError",
    "Shortlist",
    "SkillExperienceClient",
    "TransportError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnknownEntityError",
]

"""The five models of the marketplace, one declaration a file."""

from pipelines.models.business_experience import BUSINESS_EXPERIENCE
from pipelines.models.hourly_rate import HOURLY_RATE
from pipelines.models.recommendation import RECOMMENDATION
from pipelines.models.residency import RESIDENCY
from pipelines.models.skill_experience import SKILL_EXPERIENCE

__all__ = ["BUSINESS_EXPERIENCE", "HOURLY_RATE", "MODELS", "RECOMMENDATION", "RESIDENCY", "SKILL_EXPERIENCE"]

MODELS = (RESIDENCY, SKILL_EXPERIENCE, BUSINESS_EXPERIENCE, HOURLY_RATE, RECOMMENDATION)

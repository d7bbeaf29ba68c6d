"""The declaration."""

from serving import Service
from serving.curves import ExperiencePrediction, experience

__all__ = ["SERVICE"]

SERVICE = Service(
    name="business_experience",
    title="ビジネス経験スコア",
    summary="How much experience does this person have in business?",
    port=8003,
    entities=("candidate_id",),
    bulk_key="candidate_ids",
    prediction=ExperiencePrediction,
    postprocess=experience,
)

"""The declaration."""

from serving import Service
from serving.curves import ExperiencePrediction, experience

__all__ = ["SERVICE"]

SERVICE = Service(
    name="skill_experience",
    title="スキル経験スコア",
    summary="How much experience does this person have in their skills?",
    port=8002,
    entities=("candidate_id",),
    bulk_key="candidate_ids",
    prediction=ExperiencePrediction,
    postprocess=experience,
)

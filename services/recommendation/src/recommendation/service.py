"""The declaration."""

from recommendation.matches import MatchPrediction, postprocess
from recommendation.pool import open_pool
from recommendation.shortlists import ShortlistAnswer, router
from serving import Service

__all__ = ["SERVICE"]

SERVICE = Service(
    name="recommendation",
    title="推薦評価値・自動リストアップ",
    summary="How well do a person and a job fit, and who fits a job best?",
    port=8005,
    entities=("job_id", "candidate_id"),
    bulk_key="pairs",
    prediction=MatchPrediction,
    postprocess=postprocess,
    routers=(router,),
    answers=(ShortlistAnswer,),
    resources=open_pool,
)

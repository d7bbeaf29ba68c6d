"""The declaration."""

from functools import partial

from hourly_rate.estimates import EstimateAnswer, router
from hourly_rate.intervals import RatePrediction, postprocess, rate_columns
from serving import Service

__all__ = ["SERVICE"]

SERVICE = Service(
    name="hourly_rate",
    title="時給診断",
    summary="What is this person's work worth an hour?",
    port=8004,
    entities=("candidate_id",),
    bulk_key="candidate_ids",
    prediction=RatePrediction,
    postprocess=postprocess,
    routers=(router,),
    answers=(EstimateAnswer,),
    postprocess_beside=(partial(rate_columns, group="anonymous"),),
)

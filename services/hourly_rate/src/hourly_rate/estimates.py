"""`POST /v1/estimate`: a profile without an id, for the 時給診断 page."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from fastapi import APIRouter, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hourly_rate.intervals import RatePrediction, rate_columns
from inference import Contract
from marketplace.on_demand import anonymous_profile
from marketplace.vocabulary import (
    EMPLOYMENT_STATUSES,
    ENGLISH_LEVELS,
    JAPANESE_LEVELS,
    PREFECTURES,
    REMOTE_MODES,
    ROLES,
    SKILLS,
    code_of,
    skill_mask,
)
from serving import CurrentCaller, CurrentRuntime
from serving.answers import features_used, model_used
from serving.prediction_ids import prediction_id
from serving.scoring import explanation_of
from serving.service import answer_of
from serving.vocabulary import one_of
from serving.wire import Explanation, FeaturesUsed, ModelUsed

__all__ = ["EstimateAnswer", "EstimateRequest", "profile_values", "router"]


Role = Annotated[str, *one_of(ROLES)]
Skill = Annotated[str, *one_of(SKILLS)]
EnglishLevel = Annotated[str, *one_of(ENGLISH_LEVELS)]
JapaneseLevel = Annotated[str, *one_of(JAPANESE_LEVELS)]
Prefecture = Annotated[str, *one_of(PREFECTURES)]
RemoteMode = Annotated[str, *one_of(REMOTE_MODES)]
EmploymentStatus = Annotated[str, *one_of(EMPLOYMENT_STATUSES)]
_CATEGORIES = {
    "role": ROLES,
    "english_level": ENGLISH_LEVELS,
    "japanese_level": JAPANESE_LEVELS,
    "prefecture": PREFECTURES,
    "remote_preference": REMOTE_MODES,
    "employment_status": EMPLOYMENT_STATUSES,
}


class EstimateRequest(BaseModel):
    """An anonymous profile; what is left out is missing to the model."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    role: Role
    years_experience: Annotated[float, Field(ge=0, le=60)]
    skills: Annotated[list[Skill], Field(max_length=len(SKILLS))] = []
    english_level: EnglishLevel | None = None
    japanese_level: JapaneseLevel | None = None
    prefecture: Prefecture | None = None
    desired_hours_week: Annotated[int, Field(ge=1, le=80)] | None = None
    remote_preference: RemoteMode | None = None
    employment_status: EmploymentStatus | None = None
    explain: bool = False


class EstimateAnswer(msgspec.Struct, frozen=True):
    """An answer as `/v1/score` gives it, of nobody in particular."""

    prediction_id: str
    prediction: RatePrediction
    model: ModelUsed
    features: FeaturesUsed
    degraded: bool
    explanation: Explanation | None


router = APIRouter(tags=["scoring"])


@router.post("/v1/estimate", summary="Estimate for an anonymous profile", responses=answer_of(EstimateAnswer))
async def estimate(profile: EstimateRequest, runtime: CurrentRuntime, caller: CurrentCaller) -> Response:
    """Say what the work of a person with this profile is worth."""
    values = profile_values(profile, runtime.models.current().version.contract)
    rows = await runtime.predictor.score_values(values)
    columns = rate_columns(rows.raw, rows.model.contract.output, "anonymous")
    answer = EstimateAnswer(
        prediction_id=prediction_id(),
        prediction=RatePrediction(**{name: column.tolist()[0] for name, column in columns.items()}),
        model=model_used(rows.model),
        features=features_used(rows, 0),
        degraded=bool(rows.degraded[0]),
        explanation=await explanation_of(runtime.predictor, rows) if profile.explain else None,
    )
    # As it was told: the interval of a person of whom less is known is wider.
    runtime.log.record(msgspec.structs.replace(rows, columns=columns), answer.prediction_id, caller, "/v1/estimate")
    return Response(msgspec.json.encode(answer), media_type="application/json")


def profile_values(
    profile: EstimateRequest, contract: Contract
) -> dict[str, Sequence[str | None] | NDArray[np.float64]]:
    """Turn a profile into one row of those features that this contract has; categories as words."""
    words: dict[str, str | None] = {name: getattr(profile, name) for name in _CATEGORIES}
    given = {name: np.array([code_of(_CATEGORIES[name], word)]) for name, word in words.items()}
    given["years_experience"] = np.array([profile.years_experience])
    if profile.desired_hours_week is not None:
        given["desired_hours_week"] = np.array([float(profile.desired_hours_week)])
    if profile.skills:
        given["skill_mask"] = np.array([float(skill_mask(profile.skills))])
    computed = anonymous_profile(given)
    return {
        name: [words[name]] if name in words else column
        for name, column in computed.items()
        if name in contract.position
    }

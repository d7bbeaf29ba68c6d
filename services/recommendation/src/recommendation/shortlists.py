"""`POST /v1/shortlist`: who of the whole pool fits a job best (自動リストアップ)."""

import asyncio
from datetime import datetime
from typing import Annotated, cast

import msgspec
import numpy as np
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from marketplace.vocabulary import ENGLISH_LEVELS, ROLES, SKILLS, skill_mask
from recommendation.matches import MatchPrediction, postprocess
from recommendation.pool import CANDIDATE, CandidatePool, PoolTable
from recommendation.ranking import Column, PoolFilter, Ranking, Unranked, rank
from serving import CurrentCaller, CurrentResource, CurrentRuntime, Runtime
from serving.answers import features_used, model_used
from serving.prediction_ids import prediction_ids
from serving.problems import Problem, problem
from serving.service import answer_of
from serving.vocabulary import one_of
from serving.wire import FeaturesUsed, ModelUsed

__all__ = ["ShortlistAnswer", "ShortlistRequest", "router"]

Role = Annotated[str, *one_of(ROLES)]
Skill = Annotated[str, *one_of(SKILLS)]
EnglishLevel = Annotated[str, *one_of(ENGLISH_LEVELS)]
Id = Annotated[str, Field(min_length=1, max_length=128)]


class ShortlistFilters(BaseModel):
    """Who may be on the list; a candidate whose value is not known does not meet a filter."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    roles: Annotated[list[Role], Field(min_length=1, max_length=len(ROLES))] | None = None
    skills_all: Annotated[list[Skill], Field(min_length=1, max_length=len(SKILLS))] | None = None
    desired_rate_yen_max: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    years_experience_min: Annotated[float, Field(ge=0, le=60)] | None = None
    english_level_min: EnglishLevel | None = None
    exclude_candidate_ids: Annotated[list[Id], Field(max_length=10_000)] = []


class ShortlistRequest(BaseModel):
    """A job, and how many candidates are wanted for it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    job_id: Id
    limit: Annotated[int, Field(ge=1, le=500)] = 20
    filters: ShortlistFilters = ShortlistFilters()


class RankedCandidate(msgspec.Struct, frozen=True):
    """A row of the shortlist."""

    rank: int
    prediction_id: str
    candidate_id: str
    prediction: MatchPrediction
    features: FeaturesUsed
    degraded: bool


class PoolUsed(msgspec.Struct, frozen=True):
    """Out of how many the shortlist is."""

    size: int
    eligible: int
    """Candidates that met the filters."""
    scored: int
    """Candidates that the model scored, after the pre-selection."""
    refreshed_at: datetime


class ShortlistAnswer(msgspec.Struct, frozen=True):
    """Candidates for a job, best first."""

    job_id: str
    candidates: tuple[RankedCandidate, ...]
    model: ModelUsed
    pool: PoolUsed


router = APIRouter(tags=["scoring"])


@router.post("/v1/shortlist", summary="Rank the whole pool for a job", responses=answer_of(ShortlistAnswer))
async def shortlist(
    request: ShortlistRequest, runtime: CurrentRuntime, resource: CurrentResource, caller: CurrentCaller
) -> Response:
    """List the candidates who fit a job best."""
    pool = cast("CandidatePool", resource)
    table = pool.table()
    ranking = await _rank(table, request, runtime)
    if isinstance(ranking, Unranked):
        spare = pool.spare_of(table)
        if spare is not None:
            table, ranking = spare, await _rank(spare, request, runtime)
    if isinstance(ranking, Unranked):
        raise ranking.error
    rows = ranking.rows
    ids = prediction_ids(rows.n)
    runtime.log.record(rows, ids, caller, "/v1/shortlist")
    scores = rows.columns["score"].tolist()
    candidates = [
        RankedCandidate(row + 1, prediction, candidate, MatchPrediction(score), features_used(rows, row), degraded)
        for row, (prediction, candidate, score, degraded) in enumerate(
            zip(ids, rows.keys[CANDIDATE], scores, rows.degraded.tolist(), strict=True)
        )
    ]
    used = PoolUsed(len(table.ids), ranking.eligible, ranking.scored.n, table.refreshed_at)
    answer = ShortlistAnswer(request.job_id, tuple(candidates), model_used(rows.model), used)
    return Response(msgspec.json.encode(answer), media_type="application/json")


async def _rank(table: PoolTable, request: ShortlistRequest, runtime: Runtime) -> Ranking | Unranked:
    """Rank by one version, and show the predictor's observers how it went."""
    # The table may be replaced meanwhile; its version must not go before the ranking.
    table.live.acquire()
    try:
        job = await table.job(request.job_id)
        if job is None:
            raise problem(Problem.UNKNOWN_ENTITY)
        ranking = await asyncio.to_thread(
            rank,
            table,
            request.job_id,
            job,
            filters=pool_filters(request.filters),
            excluded=frozenset(request.filters.exclude_candidate_ids),
            limit=request.limit,
            postprocess=postprocess,
        )
    finally:
        table.live.release()
    if isinstance(ranking, Unranked):
        runtime.predictor.observe_failure(table.version, ranking.rows, ranking.error, ranked=True)
    elif ranking.scored.n:
        runtime.predictor.observe(ranking.scored)
    return ranking


def pool_filters(filters: ShortlistFilters) -> tuple[PoolFilter, ...]:
    """Turn the request's filters into conditions on stored features."""
    found: list[PoolFilter] = []
    if filters.roles is not None:
        codes = np.array([float(ROLES.index(role)) for role in filters.roles])
        found.append(PoolFilter("role", lambda column: np.isin(column, codes)))
    if filters.skills_all is not None:
        mask = np.uint64(skill_mask(filters.skills_all))
        found.append(PoolFilter("skill_mask", lambda column: (column.astype(np.uint64) & mask) == mask))
    if filters.desired_rate_yen_max is not None:
        found.append(_at_most("desired_rate_yen", filters.desired_rate_yen_max))
    if filters.years_experience_min is not None:
        found.append(_at_least("years_experience", filters.years_experience_min))
    if filters.english_level_min is not None:
        found.append(_at_least("english_level", ENGLISH_LEVELS.index(filters.english_level_min)))
    return tuple(found)


def _at_most(feature: str, bound: float) -> PoolFilter:
    def accepts(column: Column) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return column <= bound

    return PoolFilter(feature, accepts)


def _at_least(feature: str, bound: float) -> PoolFilter:
    def accepts(column: Column) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return column >= bound

    return PoolFilter(feature, accepts)

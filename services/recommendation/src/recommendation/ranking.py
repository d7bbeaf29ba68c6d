"""Ranking a pool for a job: filters and a cheap pre-selection over everybody, the booster over the best of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference import FeatureRows, PostProcess, ScoredRows, StageTimings
from inference.errors import ContractViolationError
from marketplace.on_demand import PAIR_FIT_INPUTS, pair_fit
from recommendation.pool import CANDIDATE, JOB, PoolTable

__all__ = ["SCORED_MAX", "PoolFilter", "Ranking", "Unranked", "preselection", "rank"]

SCORED_MAX = 2_000
"""Candidates that the booster sees for one job: at 3 to 10 µs a row it takes up to 20 ms, of 50."""
_ROLE_WEIGHT = 0.5
_RATE_WEIGHT = 1.0
_HOURS_WEIGHT = 0.01

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PoolFilter:
    """A condition on one stored feature; a candidate without a value does not meet it."""

    feature: str
    accepts: Callable[[Column], NDArray[np.bool_]]
    """(n,) values to (n,) whether they meet the condition; sees only values that are there."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The best candidates, best first."""

    rows: ScoredRows
    """The k best, in rank order."""
    scored: ScoredRows
    """Whom the booster saw, in the order of the pool; those above are its `answered`."""
    eligible: int
    """Candidates that met the filters."""


@dataclass(frozen=True, slots=True, eq=False)
class Unranked:
    """The version could not score who was chosen."""

    rows: int
    error: Exception


def rank(
    table: PoolTable,
    job_id: str,
    job: FeatureRows,
    *,
    filters: tuple[PoolFilter, ...],
    excluded: frozenset[str],
    limit: int,
    postprocess: PostProcess,
) -> Ranking | Unranked:
    """Rank the pool for one job; takes some 20 ms, so call it in a thread.

    Equal raw scores stand in the order of the pool. Raises `ContractViolationError` for a filter on a feature that the
    model version does not have.
    """
    started = time.perf_counter()
    eligible = _eligible(table, filters, excluded)
    chosen = _preselected(table, job, eligible)
    try:
        scored = _scored(table, job_id, job, chosen, postprocess=postprocess, started=started)
    except Exception as error:  # noqa: BLE001  # whatever a version raises that cannot score
        return Unranked(len(chosen), error)
    rows = scored.take(np.argsort(-scored.raw, kind="stable")[:limit])
    return Ranking(rows, msgspec.structs.replace(scored, answered=rows), len(eligible))


def preselection(candidates: Mapping[str, Column], job: Mapping[str, float]) -> Column:
    """(n,) how well candidates fit a job at first sight, by `pair_fit`; 0 where nothing is known.

    Share of the job's skills, plus 0.5 for the role (0.25 for its family), minus the share by which the wished rate is
    over the budget, minus 0.01 an hour a week of difference. It decides who is scored, never in which order.
    """
    n = len(next(iter(candidates.values())))
    # One value of the job meets all candidates: what concerns the job alone is computed once.
    pairs = {
        name: candidates[name] if name in candidates else np.full(1, job.get(name, np.nan)) for name in PAIR_FIT_INPUTS
    }
    fit = pair_fit(pairs)
    over_budget = np.maximum(fit["pair_rate_ratio"] - 1.0, 0.0)
    parts = (
        fit["pair_skill_overlap_share"],
        _ROLE_WEIGHT * fit["pair_role_match"],
        -_RATE_WEIGHT * over_budget,
        -_HOURS_WEIGHT * np.abs(fit["pair_hours_gap"]),
    )
    score = np.zeros(n)
    for part in parts:
        score += np.nan_to_num(part, nan=0.0)
    return score


def _eligible(table: PoolTable, filters: tuple[PoolFilter, ...], excluded: frozenset[str]) -> NDArray[np.intp]:
    meets = np.ones(len(table.ids), dtype=np.bool_)
    for one in filters:
        column = table.columns.get(one.feature)
        if column is None:
            raise ContractViolationError(one.feature, "is not a feature of this model version, so it filters nothing")
        known = ~np.isnan(column)
        meets &= known
        meets[known] &= one.accepts(column[known])
    if excluded:
        meets &= np.fromiter((one not in excluded for one in table.ids), dtype=np.bool_, count=len(table.ids))
    return np.flatnonzero(meets)


def _preselected(table: PoolTable, job: FeatureRows, eligible: NDArray[np.intp]) -> NDArray[np.intp]:
    if len(eligible) <= SCORED_MAX:
        return eligible
    names = [feature.name for feature in table.version.contract.stored]
    job_values = {names[position]: float(job.matrix[0, position]) for position in table.job_columns}
    names_read = [str(name) for name in PAIR_FIT_INPUTS if name in table.columns]
    candidates = {name: table.columns[name][eligible] for name in names_read}
    if not candidates:
        return eligible[:SCORED_MAX]
    score = preselection(candidates, job_values)
    best = np.argpartition(-score, SCORED_MAX - 1)[:SCORED_MAX]
    chosen: NDArray[np.intp] = np.sort(eligible[best])
    return chosen


def _scored(
    table: PoolTable,
    job_id: str,
    job: FeatureRows,
    chosen: NDArray[np.intp],
    *,
    postprocess: PostProcess,
    started: float,
) -> ScoredRows:
    stored = _paired(table, job, chosen)
    version = table.version
    assembled = version.assembly.assemble(stored)
    ready = time.perf_counter()
    raw = version.booster.predict(assembled.matrix) if len(chosen) else np.empty(0)
    predicted = time.perf_counter()
    columns = postprocess(raw, version.contract.output)
    return ScoredRows(
        n=len(chosen),
        raw=raw,
        columns=columns,
        found=stored.found,
        degraded=assembled.degraded,
        status=assembled.status,
        as_of_us=stored.as_of_us,
        keys={JOB: [job_id] * len(chosen), CANDIDATE: table.ids[chosen].tolist()},
        features=assembled.features,
        matrix=assembled.matrix,
        model=version,
        timings=StageTimings(len(chosen), ready - started, predicted - ready, time.perf_counter() - predicted),
    )


def _paired(table: PoolTable, job: FeatureRows, chosen: NDArray[np.intp]) -> FeatureRows:
    matrix, status = table.rows.matrix[chosen], table.rows.status[chosen]
    matrix[:, table.job_columns] = job.matrix[0, table.job_columns]
    status[:, table.job_columns] = job.status[0, table.job_columns]
    return FeatureRows(matrix, status, table.rows.found[chosen], _older(table.rows.as_of_us[chosen], job.as_of_us[0]))


def _older(candidate_us: NDArray[np.int64], job_us: np.int64) -> NDArray[np.int64]:
    """Oldest of two times, of which 0 says that there is none."""
    if job_us == 0:
        return candidate_us
    oldest: NDArray[np.int64] = np.where(candidate_us == 0, job_us, np.minimum(candidate_us, job_us))
    return oldest

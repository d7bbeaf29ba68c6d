"""On-demand features: pure numpy functions of what the caller sends and of stored features.

Training wraps them in Feast on-demand views, services call them directly; one function, two callers. Every array is
(n,) float64; categories are codes of `marketplace.vocabulary`, skill sets are bit masks. A missing value is NaN, and
NaN in gives NaN out for each feature that needs the value.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketplace.vocabulary import ROLE_FAMILIES, SKILL_RARITY, SKILLS

__all__ = [
    "ANONYMOUS_PROFILE_INPUTS",
    "ANONYMOUS_PROFILE_OUTPUTS",
    "PAIR_FIT_INPUTS",
    "PAIR_FIT_OUTPUTS",
    "anonymous_profile",
    "pair_fit",
]

Values = Mapping[str, NDArray[np.float64]]

PAIR_FIT_INPUTS: Final = (
    "role",
    "desired_rate_yen",
    "desired_hours_week",
    "skill_mask",
    "job_role",
    "job_rate_max_yen",
    "job_hours_week",
    "job_skill_mask",
)
PAIR_FIT_OUTPUTS: Final = (
    "pair_skill_overlap",
    "pair_skill_overlap_share",
    "pair_rate_ratio",
    "pair_role_match",
    "pair_hours_gap",
)

_GIVEN: Final = (
    "role",
    "years_experience",
    "english_level",
    "japanese_level",
    "prefecture",
    "desired_hours_week",
    "remote_preference",
    "employment_status",
    "skill_mask",
    "skill_years_max",
    "skill_years_total",
    "skill_level_mean",
    "skill_level_max",
)
ANONYMOUS_PROFILE_INPUTS: Final = _GIVEN
"""All may be left out: a name that is not in the mapping is missing in every row."""
ANONYMOUS_PROFILE_OUTPUTS: Final = (*_GIVEN, "skill_count", "skill_rarity_mean")
"""Names of stored features, so that one model reads a known and an anonymous person alike."""

_MASK_END: Final = float(1 << len(SKILLS))
_RARITY: Final = np.asarray(SKILL_RARITY, dtype=np.float64)
_FAMILIES: Final = np.asarray(ROLE_FAMILIES, dtype=np.int64)


def pair_fit(values: Values) -> dict[str, NDArray[np.float64]]:
    """Say how a person's profile and a job fit. Arrays of one value stand for that value in every row.

    `pair_skill_overlap` = |person ∩ job| in skills; `pair_skill_overlap_share` = |person ∩ job| / |job|, NaN for a job
    without skills; `pair_rate_ratio` = desired_rate_yen / job_rate_max_yen, NaN unless the budget is above 0;
    `pair_role_match` = 1 for the same role, 0.5 for the same family of roles, else 0;
    `pair_hours_gap` = desired_hours_week − job_hours_week, in hours a week. Raises KeyError if an input lacks.
    """
    person, person_known = _masks(values["skill_mask"])
    job, job_known = _masks(values["job_skill_mask"])
    overlap = np.where(person_known & job_known, np.bitwise_count(person & job).astype(np.float64), np.nan)
    required = np.bitwise_count(job).astype(np.float64)
    budget = values["job_rate_max_yen"]
    return {
        "pair_skill_overlap": overlap,
        "pair_skill_overlap_share": overlap / np.where(required > 0, required, np.nan),
        "pair_rate_ratio": values["desired_rate_yen"] / np.where(budget > 0, budget, np.nan),
        "pair_role_match": _role_match(values["role"], values["job_role"]),
        "pair_hours_gap": values["desired_hours_week"] - values["job_hours_week"],
    }


def anonymous_profile(values: Values) -> dict[str, NDArray[np.float64]]:
    """Turn a profile without an id into the stored features that follow from it.

    What is given passes unchanged; `skill_count` = |skills| and `skill_rarity_mean` = mean of SKILL_RARITY over the
    skills (NaN without any) come from `skill_mask`. An input that is absent is NaN for all n rows, n being the length
    of the inputs that are there. Raises ValueError if there is none.
    """
    given = {name: np.asarray(values[name], dtype=np.float64) for name in _GIVEN if name in values}
    if not given:
        msg = f"an anonymous profile needs at least one of {', '.join(_GIVEN)}"
        raise ValueError(msg)
    n = len(next(iter(given.values())))
    features = {name: given[name] if name in given else np.full(n, np.nan) for name in _GIVEN}
    mask, known = _masks(features["skill_mask"])
    count = np.bitwise_count(mask).astype(np.float64)
    bits = (mask[:, None] >> np.arange(len(SKILLS), dtype=np.uint64)) & np.uint64(1)
    features["skill_count"] = np.where(known, count, np.nan)
    # Not a matrix product: its last bit depends on how many rows there are.
    rarity = (bits.astype(np.float64) * _RARITY).sum(axis=1)
    features["skill_rarity_mean"] = rarity / np.where(known & (count > 0), count, np.nan)
    return features


def _masks(values: NDArray[np.float64]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return bit masks, 0 where unknown, and which are known: whole numbers in [0, 2**len(SKILLS))."""
    known = (values >= 0) & (values < _MASK_END) & (np.floor(values) == values)
    return np.where(known, values, 0.0).astype(np.uint64), known


def _role_match(role: NDArray[np.float64], job_role: NDArray[np.float64]) -> NDArray[np.float64]:
    left, left_known = _roles(role)
    right, right_known = _roles(job_role)
    match = np.where(left == right, 1.0, np.where(_FAMILIES[left] == _FAMILIES[right], 0.5, 0.0))
    return np.where(left_known & right_known, match, np.nan)


def _roles(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    known = (values >= 0) & (values < len(_FAMILIES)) & (np.floor(values) == values)
    return np.where(known, values, 0.0).astype(np.int64), known

"""What the five models of the marketplace share: words, bounds and on-demand functions of their features."""

from typing import Final

from marketplace.on_demand import PAIR_FIT_INPUTS
from pipelines.features.codes import CATEGORIES
from pipelines.training.declaration import FeatureHint, OnDemandFunction

__all__ = ["EVERYBODY", "PAIR_FIT", "UNIT_BOUNDS", "hints"]

EVERYBODY: Final = """
SELECT candidate_id, (SELECT max(created_timestamp) FROM features.candidate_profile) AS label_time
FROM features.candidate_profile GROUP BY candidate_id
"""
"""Every candidate as of the newest snapshot."""

PAIR_FIT: Final = OnDemandFunction("pair_fit", "marketplace.on_demand:pair_fit", PAIR_FIT_INPUTS)

_COUNTED = (
    "applications",
    "articles",
    "characters",
    "commits",
    "contracts",
    "countries",
    "endorsements",
    "evaluations",
    "industries",
    "likes",
    "logins",
    "people",
    "positions",
    "renewals",
    "repository-days",
    "scouts",
    "skills",
    "stars",
)
UNIT_BOUNDS: Final[dict[str, tuple[float | None, float | None]]] = {
    "JPY/hour": (0.0, 200_000.0),
    "bit mask": (0.0, 2.0**52 - 1.0),
    "days": (0.0, 36_500.0),
    "flag": (0.0, 1.0),
    "hour": (0.0, 23.0),
    "hours/month": (0.0, 744.0),
    "hours/week": (0.0, 168.0),
    "level 1-5": (0.0, 5.0),
    "minutes": (-720.0, 840.0),
    "months": (0.0, 900.0),
    "rating 1-5": (1.0, 5.0),
    "share": (0.0, 1.0),
    "years": (0.0, 1_000.0),
    **dict.fromkeys(_COUNTED, (0.0, None)),
}
_PAIR_UNITS = {
    "pair_skill_overlap": "skills",
    "pair_skill_overlap_share": "share",
    "pair_rate_ratio": "ratio",
    "pair_role_match": "match 0-1",
    "pair_hours_gap": "hours/week of difference",
}


def hints(*required: str) -> dict[str, FeatureHint]:
    """Return the hints of a model; a row that lacks one of the `required` features is degraded."""
    known = {name: FeatureHint(categories=words, required=name in required) for name, words in CATEGORIES.items()}
    known |= {name: FeatureHint(required=True) for name in required if name not in CATEGORIES}
    # A set of skills as one number orders people by their last skill; on-demand features read it.
    known |= {name: FeatureHint(model_input=False) for name in ("skill_mask", "job_skill_mask")}
    return known | {name: FeatureHint(unit=unit) for name, unit in _PAIR_UNITS.items()}

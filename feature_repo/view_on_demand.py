"""On-demand feature views: the functions of `marketplace.on_demand`, on DataFrames.

Feast compares declared fields with those it infers, description and tags included, so these stand in the view's tags.
"""

import pandas as pd
from feast import Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String
from view_job import job_profile
from view_profile import candidate_profile
from view_skills import candidate_skills


@on_demand_feature_view(
    sources=[
        candidate_profile[["role", "desired_rate_yen", "desired_hours_week"]],
        candidate_skills[["skill_mask"]],
        job_profile[["job_role", "job_rate_max_yen", "job_hours_week", "job_skill_mask"]],
    ],
    schema=[
        Field(name="pair_skill_overlap", dtype=Float64),
        Field(name="pair_skill_overlap_share", dtype=Float64),
        Field(name="pair_rate_ratio", dtype=Float64),
        Field(name="pair_role_match", dtype=Float64),
        Field(name="pair_hours_gap", dtype=Float64),
    ],
    mode="pandas",
    description="How a person's profile and a job fit.",
    owner="marketplace-data",
    tags={
        "pair_skill_overlap": "Skills that are there and required (skills)",
        "pair_skill_overlap_share": "Required skills that are there (share)",
        "pair_rate_ratio": "Wished rate over upper end of the budget (ratio)",
        "pair_role_match": "1 same role, 0.5 same family of roles (match)",
        "pair_hours_gap": "Wished load less expected load (hours/week)",
    },
)
def pair_fit(inputs: pd.DataFrame) -> pd.DataFrame:
    """Compute `marketplace.on_demand.pair_fit` row by row."""
    import pandas as pd

    from marketplace.on_demand import PAIR_FIT_INPUTS
    from marketplace.on_demand import pair_fit as compute
    from pipelines.features.codes import coded_columns

    return pd.DataFrame(compute(coded_columns(inputs, PAIR_FIT_INPUTS)))


anonymous_request = RequestSource(
    name="anonymous_request",
    schema=[
        Field(name="role", dtype=String),
        Field(name="years_experience", dtype=Float64),
        Field(name="english_level", dtype=String),
        Field(name="japanese_level", dtype=String),
        Field(name="prefecture", dtype=String),
        Field(name="desired_hours_week", dtype=Int64),
        Field(name="remote_preference", dtype=String),
        Field(name="employment_status", dtype=String),
        Field(name="skill_mask", dtype=Int64),
        Field(name="skill_years_max", dtype=Float64),
        Field(name="skill_years_total", dtype=Float64),
        Field(name="skill_level_mean", dtype=Float64),
        Field(name="skill_level_max", dtype=Float64),
    ],
)


@on_demand_feature_view(
    sources=[anonymous_request],
    schema=[
        Field(name="anonymous_skill_count", dtype=Float64),
        Field(name="anonymous_skill_rarity_mean", dtype=Float64),
    ],
    mode="pandas",
    description="What follows from a profile that a caller sends without an id; the rest passes unchanged.",
    owner="marketplace-data",
    tags={
        "anonymous_skill_count": "Number of skills (skills)",
        "anonymous_skill_rarity_mean": "Mean rarity of the skills (nats)",
    },
)
def anonymous_profile(inputs: pd.DataFrame) -> pd.DataFrame:
    """Compute the derived part of `marketplace.on_demand.anonymous_profile`; Feast knows a name in one view only."""
    import pandas as pd

    from marketplace.on_demand import ANONYMOUS_PROFILE_INPUTS
    from marketplace.on_demand import anonymous_profile as compute
    from pipelines.features.codes import coded_columns

    features = compute(coded_columns(inputs, ANONYMOUS_PROFILE_INPUTS))
    return pd.DataFrame(
        {
            "anonymous_skill_count": features["skill_count"],
            "anonymous_skill_rarity_mean": features["skill_rarity_mean"],
        }
    )

"""Feature view candidate_skills."""

from datetime import timedelta

from entities import candidate
from feast import FeatureView, Field
from feast.types import Float64, Int64, String
from sources import feature_source

candidate_skills = FeatureView(
    name="candidate_skills",
    entities=[candidate],
    ttl=timedelta(days=400),
    schema=[
        Field(
            name="skill_mask",
            dtype=Int64,
            description="Skills, bit i for marketplace.vocabulary.SKILLS[i]",
            tags={"unit": "bit mask"},
        ),
        Field(name="skill_count", dtype=Int64, description="Number of skills", tags={"unit": "skills"}),
        Field(
            name="skill_years_max", dtype=Float64, description="Years in the longest used skill", tags={"unit": "years"}
        ),
        Field(name="skill_years_total", dtype=Float64, description="Sum of years over skills", tags={"unit": "years"}),
        Field(
            name="skill_level_mean",
            dtype=Float64,
            description="Mean level over the skills that state one",
            tags={"unit": "level 1-5"},
        ),
        Field(name="skill_level_max", dtype=Int64, description="Highest level", tags={"unit": "level 1-5"}),
        Field(
            name="endorsements_total", dtype=Int64, description="Endorsements by others", tags={"unit": "endorsements"}
        ),
        Field(name="top_skill", dtype=String, description="Skill with most years", tags={"unit": "category"}),
        Field(
            name="skill_rarity_mean",
            dtype=Float64,
            description="Mean of marketplace.vocabulary.SKILL_RARITY over the skills",
            tags={"unit": "nats"},
        ),
    ],
    source=feature_source("candidate_skills"),
    description="The person's own statements on skills.",
    owner="people-data",
    tags={"grain": "candidate and day"},
)

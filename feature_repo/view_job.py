"""Feature view job_profile."""

from datetime import timedelta

from entities import job
from feast import FeatureView, Field
from feast.types import Int64, String
from sources import feature_source

job_profile = FeatureView(
    name="job_profile",
    entities=[job],
    ttl=timedelta(days=400),
    schema=[
        Field(name="job_role", dtype=String, description="Occupation wanted", tags={"unit": "category"}),
        Field(name="job_seniority", dtype=String, description="Seniority wanted", tags={"unit": "category"}),
        Field(name="job_industry", dtype=String, description="Industry of the company", tags={"unit": "category"}),
        Field(name="company_size", dtype=Int64, description="Size of the company", tags={"unit": "people"}),
        Field(name="job_rate_min_yen", dtype=Int64, description="Lower end of the budget", tags={"unit": "JPY/hour"}),
        Field(name="job_rate_max_yen", dtype=Int64, description="Upper end of the budget", tags={"unit": "JPY/hour"}),
        Field(name="job_hours_week", dtype=Int64, description="Expected load", tags={"unit": "hours/week"}),
        Field(name="job_remote", dtype=String, description="Place of work", tags={"unit": "category"}),
        Field(
            name="job_english_required",
            dtype=Int64,
            description="Whether work is done in English",
            tags={"unit": "flag"},
        ),
        Field(
            name="job_skill_mask",
            dtype=Int64,
            description="Required skills, bit i for marketplace.vocabulary.SKILLS[i]",
            tags={"unit": "bit mask"},
        ),
        Field(name="job_skill_count", dtype=Int64, description="Number of required skills", tags={"unit": "skills"}),
        Field(name="job_age_days", dtype=Int64, description="Days since the job was opened", tags={"unit": "days"}),
        Field(
            name="job_applications_30d",
            dtype=Int64,
            description="Applications of 30 days, once decided",
            tags={"unit": "applications"},
        ),
    ],
    source=feature_source("job_profile"),
    description="The job, its company, and how sought after it is.",
    owner="marketplace-data",
    tags={"grain": "job and day"},
)

"""Feature view candidate_profile."""

from datetime import timedelta

from entities import candidate
from feast import FeatureView, Field
from feast.types import Float64, Int64, String
from sources import feature_source

candidate_profile = FeatureView(
    name="candidate_profile",
    entities=[candidate],
    ttl=timedelta(days=400),
    schema=[
        Field(name="role", dtype=String, description="Occupation", tags={"unit": "category"}),
        Field(
            name="years_experience",
            dtype=Float64,
            description="Years in the occupation, as the person says",
            tags={"unit": "years"},
        ),
        Field(name="english_level", dtype=String, description="English, as the person says", tags={"unit": "category"}),
        Field(
            name="japanese_level", dtype=String, description="Japanese, as the person says", tags={"unit": "category"}
        ),
        Field(
            name="phone_country", dtype=String, description="Country of the telephone number", tags={"unit": "category"}
        ),
        Field(name="prefecture", dtype=String, description="Prefecture, as the person says", tags={"unit": "category"}),
        Field(name="desired_rate_yen", dtype=Int64, description="Wished rate", tags={"unit": "JPY/hour"}),
        Field(name="desired_hours_week", dtype=Int64, description="Wished load", tags={"unit": "hours/week"}),
        Field(name="remote_preference", dtype=String, description="Wished place of work", tags={"unit": "category"}),
        Field(name="employment_status", dtype=String, description="Employment now", tags={"unit": "category"}),
        Field(name="account_age_days", dtype=Int64, description="Age of the account", tags={"unit": "days"}),
        Field(name="bio_length", dtype=Int64, description="Length of the biography", tags={"unit": "characters"}),
        Field(
            name="bio_japanese_share",
            dtype=Float64,
            description="Japanese characters in the biography",
            tags={"unit": "share"},
        ),
        Field(name="has_github", dtype=Int64, description="Whether a code account is linked", tags={"unit": "flag"}),
        Field(name="headline_length", dtype=Int64, description="Length of the headline", tags={"unit": "characters"}),
    ],
    source=feature_source("candidate_profile"),
    description="The person's own profile as it held at the snapshot.",
    owner="people-data",
    tags={"grain": "candidate and day"},
)

"""Feature view candidate_access."""

from datetime import timedelta

from entities import candidate
from feast import FeatureView, Field
from feast.types import Float64, Int64, String
from sources import feature_source

candidate_access = FeatureView(
    name="candidate_access",
    entities=[candidate],
    ttl=timedelta(days=35),
    schema=[
        Field(name="logins_30d", dtype=Int64, description="Logins in 30 days", tags={"unit": "logins"}),
        Field(name="logins_90d", dtype=Int64, description="Logins in 90 days", tags={"unit": "logins"}),
        Field(
            name="foreign_ip_share_90d",
            dtype=Float64,
            description="Logins from outside Japan, by address",
            tags={"unit": "share"},
        ),
        Field(name="utc9_share_90d", dtype=Float64, description="Logins with a clock at UTC+9", tags={"unit": "share"}),
        Field(
            name="ip_countries_90d",
            dtype=Int64,
            description="Number of countries, by address",
            tags={"unit": "countries"},
        ),
        Field(
            name="utc_offset_mode_90d",
            dtype=Int64,
            description="Most frequent offset of the clock from UTC",
            tags={"unit": "minutes"},
        ),
        Field(
            name="night_jst_share_90d",
            dtype=Float64,
            description="Logins from 0 to 6 o'clock in Japan",
            tags={"unit": "share"},
        ),
        Field(name="days_since_login", dtype=Int64, description="Days since the last login", tags={"unit": "days"}),
        Field(
            name="last_ip_country",
            dtype=String,
            description="Country of the last login, by address",
            tags={"unit": "category"},
        ),
    ],
    source=feature_source("candidate_access"),
    description="From where and when the person logged in.",
    owner="signals",
    tags={"grain": "candidate and day"},
)

"""Feature view candidate_track."""

from datetime import timedelta

from entities import candidate
from feast import FeatureView, Field
from feast.types import Float64, Int64
from sources import feature_source

candidate_track = FeatureView(
    name="candidate_track",
    entities=[candidate],
    ttl=timedelta(days=400),
    schema=[
        Field(
            name="applications_90d",
            dtype=Int64,
            description="Applications of 90 days, once decided",
            tags={"unit": "applications"},
        ),
        Field(
            name="scouts_received_90d", dtype=Int64, description="Scout messages in 90 days", tags={"unit": "scouts"}
        ),
        Field(
            name="scout_accept_share_365d",
            dtype=Float64,
            description="Replies to scouts of a year that accept",
            tags={"unit": "share"},
        ),
        Field(name="contracts_count", dtype=Int64, description="Contracts signed", tags={"unit": "contracts"}),
        Field(name="contracts_active", dtype=Int64, description="Contracts that last", tags={"unit": "contracts"}),
        Field(name="renewals_count", dtype=Int64, description="Renewals of contracts", tags={"unit": "renewals"}),
        Field(name="rate_last_yen", dtype=Int64, description="Rate agreed last", tags={"unit": "JPY/hour"}),
        Field(
            name="rate_mean_yen",
            dtype=Float64,
            description="Mean rate over contracts as signed",
            tags={"unit": "JPY/hour"},
        ),
        Field(
            name="skill_rating_mean",
            dtype=Float64,
            description="Mean skill rating by companies",
            tags={"unit": "rating 1-5"},
        ),
        Field(
            name="business_rating_mean",
            dtype=Float64,
            description="Mean business rating by companies",
            tags={"unit": "rating 1-5"},
        ),
        Field(
            name="evaluations_count", dtype=Int64, description="Evaluations by companies", tags={"unit": "evaluations"}
        ),
        Field(name="hours_mean", dtype=Float64, description="Mean hours billed a month", tags={"unit": "hours/month"}),
        Field(
            name="invoices_late_share",
            dtype=Float64,
            description="Due invoices paid late or not at all",
            tags={"unit": "share"},
        ),
    ],
    source=feature_source("candidate_track"),
    description="What has happened to the person on the marketplace.",
    owner="marketplace-data",
    tags={"grain": "candidate and day"},
)

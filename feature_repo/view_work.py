"""Feature view candidate_work."""

from datetime import timedelta

from entities import candidate
from feast import FeatureView, Field
from feast.types import Int64
from sources import feature_source

candidate_work = FeatureView(
    name="candidate_work",
    entities=[candidate],
    ttl=timedelta(days=400),
    schema=[
        Field(name="positions_count", dtype=Int64, description="Number of positions", tags={"unit": "positions"}),
        Field(
            name="months_total",
            dtype=Int64,
            description="Sum of tenures, overlaps counted twice",
            tags={"unit": "months"},
        ),
        Field(name="months_current", dtype=Int64, description="Longest tenure that lasts", tags={"unit": "months"}),
        Field(name="longest_tenure_months", dtype=Int64, description="Longest tenure", tags={"unit": "months"}),
        Field(
            name="management_months", dtype=Int64, description="Sum of tenures that led people", tags={"unit": "months"}
        ),
        Field(name="industries_count", dtype=Int64, description="Number of industries", tags={"unit": "industries"}),
        Field(name="company_size_max", dtype=Int64, description="Size of the largest company", tags={"unit": "people"}),
        Field(name="side_job_count", dtype=Int64, description="Number of side jobs", tags={"unit": "positions"}),
        Field(
            name="gap_months_max",
            dtype=Int64,
            description="Longest time without a position between two",
            tags={"unit": "months"},
        ),
    ],
    source=feature_source("candidate_work"),
    description="Positions that the person has written down.",
    owner="people-data",
    tags={"grain": "candidate and day"},
)

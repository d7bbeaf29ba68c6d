"""Feature view candidate_activity."""

from datetime import timedelta

from entities import candidate
from feast import FeatureView, Field
from feast.types import Float64, Int64
from sources import feature_source

candidate_activity = FeatureView(
    name="candidate_activity",
    entities=[candidate],
    ttl=timedelta(days=35),
    schema=[
        Field(name="commits_30d", dtype=Int64, description="Commits in 30 days", tags={"unit": "commits"}),
        Field(name="commits_90d", dtype=Int64, description="Commits in 90 days", tags={"unit": "commits"}),
        Field(name="active_days_90d", dtype=Int64, description="Days with a commit in 90 days", tags={"unit": "days"}),
        Field(
            name="repositories_90d",
            dtype=Int64,
            description="Repositories touched, summed over days",
            tags={"unit": "repository-days"},
        ),
        Field(name="stars_90d", dtype=Int64, description="Stars gained in 90 days", tags={"unit": "stars"}),
        Field(
            name="commits_jst_day_share_90d",
            dtype=Float64,
            description="Commits from 9 to 21 o'clock in Japan",
            tags={"unit": "share"},
        ),
        Field(
            name="commits_hour_peak_utc",
            dtype=Int64,
            description="First hour (UTC) of the quarter of the day with most commits",
            tags={"unit": "hour"},
        ),
        Field(name="articles_90d", dtype=Int64, description="Articles in 90 days", tags={"unit": "articles"}),
        Field(name="article_likes_90d", dtype=Int64, description="Likes gained in 90 days", tags={"unit": "likes"}),
    ],
    source=feature_source("candidate_activity"),
    description="Public code and articles before the snapshot.",
    owner="signals",
    tags={"grain": "candidate and day"},
)

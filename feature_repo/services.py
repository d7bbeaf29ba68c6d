"""One feature service a model, by the name of its registered model."""

from feast import FeatureService
from view_access import candidate_access
from view_activity import candidate_activity
from view_job import job_profile
from view_on_demand import pair_fit
from view_profile import candidate_profile
from view_skills import candidate_skills
from view_track import candidate_track
from view_work import candidate_work

from pipelines.features.prohibited import refuse_prohibited
from pipelines.warehouse.settings import offers_home

residency = FeatureService(
    name="residency",
    features=[
        candidate_profile[
            [
                "english_level",
                "japanese_level",
                "phone_country",
                "prefecture",
                "remote_preference",
                "employment_status",
                "account_age_days",
                "bio_length",
                "bio_japanese_share",
                "has_github",
            ]
        ],
        candidate_access,
        candidate_activity[
            ["commits_90d", "active_days_90d", "commits_jst_day_share_90d", "commits_hour_peak_utc", "articles_90d"]
        ],
    ],
    description="海外居住判定: whether a person lives abroad",
    owner="trust",
)

_EXPERIENCE = [
    candidate_profile[
        [
            "role",
            "years_experience",
            "english_level",
            "japanese_level",
            "desired_rate_yen",
            "employment_status",
            "account_age_days",
            "bio_length",
            "has_github",
            "headline_length",
        ]
    ],
    candidate_skills,
    candidate_work,
    candidate_activity,
    candidate_track,
]

skill_experience = FeatureService(
    name="skill_experience",
    features=_EXPERIENCE,
    description="スキル経験スコア: how companies rate the person's skill",
    owner="scoring",
)
business_experience = FeatureService(
    name="business_experience",
    features=_EXPERIENCE,
    description="ビジネス経験スコア: how companies rate the person's way of working",
    owner="scoring",
)
hourly_rate = FeatureService(
    name="hourly_rate",
    features=[
        candidate_profile[
            [
                "role",
                "years_experience",
                "english_level",
                "japanese_level",
                "prefecture",
                "desired_hours_week",
                "remote_preference",
                "employment_status",
                "has_github",
            ]
        ],
        candidate_skills,
        candidate_work,
        candidate_activity[["commits_90d", "active_days_90d", "stars_90d", "articles_90d", "article_likes_90d"]],
        candidate_track[
            ["contracts_count", "renewals_count", "skill_rating_mean", "business_rating_mean", "evaluations_count"]
        ],
    ],
    description="時給診断: what the person's work is worth. Rates that the person wished or got are left out: the "
    "diagnosis must not repeat them",
    owner="scoring",
)
recommendation = FeatureService(
    name="recommendation",
    features=[
        candidate_profile[
            [
                "role",
                "years_experience",
                "english_level",
                "japanese_level",
                "desired_rate_yen",
                "desired_hours_week",
                "remote_preference",
                "employment_status",
                "bio_length",
                "has_github",
            ]
        ],
        candidate_skills,
        candidate_work[["positions_count", "months_total", "management_months", "longest_tenure_months"]],
        candidate_activity[["commits_90d", "active_days_90d", "stars_90d", "articles_90d"]],
        candidate_track,
        job_profile,
        pair_fit,
    ],
    description="推薦評価値: how well a person and a job fit",
    owner="matching",
)

refuse_prohibited(
    [residency, skill_experience, business_experience, hourly_rate, recommendation],
    offers_home() / "warehouse",
)

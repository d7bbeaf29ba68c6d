"""Whose commits bear Japan's offset (+0900), told from the UTC hours and weekdays of public commits."""

from pipelines.training import BoosterChoice, CalibratedProbability, MeanLabel, ModelDeclaration, TimeSplit
from real_data.dataset import Dataset
from real_data.dou_residency import BASE_RATE

__all__ = ["COMMIT_HOURS"]

_HOURS = ",\n    ".join(f"utc_h{hour:02d} / n_commits::DOUBLE AS share_utc_h{hour:02d}" for hour in range(24))
_DAYS = ",\n    ".join(f"utc_wd{day} / n_commits::DOUBLE AS share_utc_wd{day}" for day in range(7))
# The sun moves: shares of quarter days, centred where people abroad and in Japan sleep.
_QUARTERS = ",\n    ".join(
    f"({' + '.join(f'utc_h{(start + k) % 24:02d}' for k in range(6))}) / n_commits::DOUBLE AS share_6h_from_{start:02d}"
    for start in range(0, 24, 3)
)
_COUNTED = "n_commits >= 5"
_TIME = "(last_commit_utc::TIMESTAMP AT TIME ZONE 'UTC')"

# Script of the name is left out: it stands for origin, not for residence. So is the mail's country: `.jp` says
# where a person is from as much as where they are.
_FEATURES = f"""
SELECT author_id AS candidate_id, {_TIME} AS event_timestamp, {_TIME} AS created_timestamp,
    n_commits::DOUBLE AS commits, n_repos::DOUBLE AS repositories, email_kind, share_kana_subject,
    {_HOURS},
    {_DAYS},
    {_QUARTERS}
FROM raw WHERE {_COUNTED}
"""  # noqa: S608  fixed text

# By time of the last commit: the newest three tenths are held out.
_LABELS = f"""
SELECT author_id AS candidate_id, {_TIME} AS label_time, commits_at_plus_0900::DOUBLE AS label,
    row_number() OVER (ORDER BY last_commit_utc, author_id) > 0.7 * count(*) OVER () AS held_out
FROM raw WHERE {_COUNTED}
"""  # noqa: S608  fixed text

COMMIT_HOURS = Dataset(
    name="commit_hours",
    title="residency on hours of public commits, authors with five or more",
    file="commit_hours.parquet",
    rule="authors with at least five commits; label: commits at +0900 (Japan, Korea); "
    "script of the name and country of the mail address unused",
    credit="public commits, derived figures only",
    features_sql=_FEATURES,
    labels_sql=_LABELS,
    units={"commits": "commits", "repositories": "repositories"},
    declaration=ModelDeclaration(
        name="residency",
        entities=("candidate_id",),
        feature_service="residency",
        label_query="SELECT candidate_id, label_time, label FROM labels.residency",
        task="binary",
        booster=BoosterChoice(
            library="lightgbm",
            rounds=300,
            stop_after=40,
            parameters={"num_leaves": 7, "learning_rate": 0.03, "min_data_in_leaf": 8, "min_data_per_group": 10},
        ),
        split=TimeSplit(train=0.7, validation=0.14, calibration=0.14, by="random"),
        output="probability",
        unit="probability",
        tables=CalibratedProbability(low_error=0.05, high_error=0.3),
        naive=MeanLabel(),
        gates=(),
        headline=("roc_auc", "pr_auc", "brier"),
    ),
    baseline="base rate",
    baseline_sql=BASE_RATE,
    measure="probability",
)

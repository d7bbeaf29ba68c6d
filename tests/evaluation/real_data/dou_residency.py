"""Who of DOU's 2024-12 wave lives abroad, told from indirect signals only."""

from pipelines.training import BoosterChoice, CalibratedProbability, MeanLabel, ModelDeclaration, TimeSplit
from real_data.dataset import Dataset

__all__ = ["BASE_RATE", "DOU_RESIDENCY"]

BASE_RATE = """
SELECT candidate_id, (SELECT avg(label) FROM labels WHERE NOT held_out) AS prediction FROM labels WHERE held_out
"""

_ID = "'c' || lpad(respondent::VARCHAR, 7, '0')"
_TIME = "(submitted_at::TIMESTAMP AT TIME ZONE 'UTC')"

_FEATURES = f"""
SELECT {_ID} AS candidate_id, {_TIME} AS event_timestamp, {_TIME} AS created_timestamp,
    employment, salary_usd_month, title, category, position, developer_specialisation, language,
    company_business, experience AS experience_years, english
FROM raw
"""  # noqa: S608  fixed text

# The last quarter of the answers, by time.
_LABELS = f"""
SELECT {_ID} AS candidate_id, {_TIME} AS label_time, lives_abroad::DOUBLE AS label,
    {_TIME} >= (SELECT quantile_cont({_TIME}, 0.75) FROM raw) AS held_out
FROM raw
"""  # noqa: S608  fixed text

DOU_RESIDENCY = Dataset(
    name="dou_residency",
    title="residency on DOU survey 2024-12, first three quarters of the answers → the last",
    file="dou_residency_2024_12.parquet",
    rule="all rows; sex unused",
    credit="DOU (https://dou.ua/)",
    features_sql=_FEATURES,
    labels_sql=_LABELS,
    units={"salary_usd_month": "USD/month", "experience_years": "years"},
    declaration=ModelDeclaration(
        name="residency",
        entities=("candidate_id",),
        feature_service="residency",
        label_query="SELECT candidate_id, label_time, label FROM labels.residency",
        task="binary",
        booster=BoosterChoice(
            library="lightgbm", rounds=400, stop_after=40, parameters={"num_leaves": 15, "learning_rate": 0.03}
        ),
        split=TimeSplit(train=0.65, validation=0.1, calibration=0.15),
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

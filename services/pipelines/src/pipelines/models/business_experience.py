"""ビジネス経験スコア: how would a company rate this person's way of working?"""

from pipelines.models.marketplace_features import EVERYBODY, UNIT_BOUNDS, hints
from pipelines.training.declaration import BoosterChoice, Gate, ModelDeclaration
from pipelines.training.naive import MeanLabel
from pipelines.training.output_tables import ScoreWithPercentile

__all__ = ["BUSINESS_EXPERIENCE"]

BUSINESS_EXPERIENCE = ModelDeclaration(
    name="business_experience",
    entities=("candidate_id",),
    feature_service="business_experience",
    label_query="SELECT candidate_id, label_id, label_time, label FROM labels.business_experience",
    task="regression",
    booster=BoosterChoice("xgboost", parameters={"max_depth": 4, "eta": 0.04}),
    output="score",
    unit="score 0-100",
    tables=ScoreWithPercentile(low=1.0, high=5.0),
    naive=MeanLabel(),
    gates=(Gate("rmse", of_naive=0.97), Gate("spearman", at_least=0.2)),
    headline=("rmse", "mae", "r2"),
    population_query=EVERYBODY,
    hints=hints("positions_count"),
    unit_bounds=UNIT_BOUNDS,
)

"""スキル経験スコア: how would a company rate this person's skill?"""

from pipelines.models.marketplace_features import EVERYBODY, UNIT_BOUNDS, hints
from pipelines.training.declaration import BoosterChoice, Gate, ModelDeclaration
from pipelines.training.naive import MeanLabel
from pipelines.training.output_tables import ScoreWithPercentile

__all__ = ["SKILL_EXPERIENCE"]

SKILL_EXPERIENCE = ModelDeclaration(
    name="skill_experience",
    entities=("candidate_id",),
    feature_service="skill_experience",
    label_query="SELECT candidate_id, label_id, label_time, label FROM labels.skill_experience",
    task="regression",
    booster=BoosterChoice("lightgbm", parameters={"num_leaves": 15, "learning_rate": 0.03}),
    output="score",
    unit="score 0-100",
    tables=ScoreWithPercentile(low=1.0, high=5.0),
    naive=MeanLabel(),
    gates=(Gate("rmse", of_naive=0.97), Gate("spearman", at_least=0.2)),
    headline=("rmse", "mae", "r2"),
    population_query=EVERYBODY,
    hints=hints("skill_count"),
    unit_bounds=UNIT_BOUNDS,
)

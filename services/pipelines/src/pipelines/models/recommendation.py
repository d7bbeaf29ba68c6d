"""推薦評価値・自動リストアップ: how well do this person and this job fit?"""

from pipelines.models.marketplace_features import PAIR_FIT, UNIT_BOUNDS, hints
from pipelines.training.declaration import BoosterChoice, Gate, ModelDeclaration
from pipelines.training.naive import MeanLabel
from pipelines.training.output_tables import CalibratedProbability

__all__ = ["RECOMMENDATION"]

RECOMMENDATION = ModelDeclaration(
    name="recommendation",
    entities=("candidate_id", "job_id"),
    feature_service="recommendation",
    label_query="SELECT candidate_id, job_id, label_id, label_time, label FROM labels.recommendation",
    task="ranking",
    rank_by="job_id",
    booster=BoosterChoice("lightgbm", parameters={"num_leaves": 31, "learning_rate": 0.04}),
    output="score",
    unit="probability",
    tables=CalibratedProbability(),
    naive=MeanLabel(),
    gates=(Gate("log_loss", of_naive=0.97), Gate("roc_auc", at_least=0.62), Gate("ndcg_at_10", of_naive=1.05)),
    headline=("log_loss", "roc_auc", "ndcg_at_10"),
    hints=hints("skill_count", "job_role"),
    unit_bounds=UNIT_BOUNDS,
    on_demand=(PAIR_FIT,),
)

"""海外居住判定: does this person live abroad?"""

from pipelines.models.marketplace_features import UNIT_BOUNDS, hints
from pipelines.training.declaration import BoosterChoice, Gate, ModelDeclaration
from pipelines.training.naive import MeanLabel
from pipelines.training.output_tables import CalibratedProbability

__all__ = ["RESIDENCY"]

RESIDENCY = ModelDeclaration(
    name="residency",
    entities=("candidate_id",),
    feature_service="residency",
    label_query="SELECT candidate_id, label_id, label_time, label FROM labels.residency",
    task="binary",
    booster=BoosterChoice("lightgbm", parameters={"num_leaves": 15, "learning_rate": 0.04}),
    output="probability",
    unit="probability",
    # A wrong "domestic" costs a check later, a wrong "abroad" turns a person away: the second must be rarer.
    tables=CalibratedProbability(low_error=0.03, high_error=0.1),
    naive=MeanLabel(),
    gates=(Gate("log_loss", of_naive=0.85), Gate("roc_auc", at_least=0.75), Gate("calibration_error", at_most=0.05)),
    headline=("log_loss", "brier", "roc_auc", "pr_auc"),
    hints=hints("account_age_days"),
    unit_bounds=UNIT_BOUNDS,
)

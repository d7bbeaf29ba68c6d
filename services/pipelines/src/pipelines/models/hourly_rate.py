"""時給診断: what is this person's work worth?"""

from marketplace.on_demand import ANONYMOUS_PROFILE_OUTPUTS
from pipelines.models.marketplace_features import UNIT_BOUNDS, hints
from pipelines.training.declaration import BoosterChoice, Gate, MaskedCopies, ModelDeclaration
from pipelines.training.naive import GroupMedian
from pipelines.training.output_tables import ConformalInterval

__all__ = ["HOURLY_RATE"]

HOURLY_RATE = ModelDeclaration(
    name="hourly_rate",
    entities=("candidate_id",),
    feature_service="hourly_rate",
    # A renewal repeats the contract's rate with a rise: only what two sides agreed on anew says what work is worth.
    label_query="""
        SELECT candidate_id, label_id, contract_id, label_time, label FROM labels.hourly_rate WHERE kind = 'signed'
    """,
    task="regression",
    label_transform="log",
    booster=BoosterChoice("lightgbm", parameters={"num_leaves": 31, "learning_rate": 0.04}),
    output="estimate",
    unit="JPY/hour",
    tables=ConformalInterval(coverage=0.8, round_to=100.0, groups=5),
    naive=GroupMedian(by={"role": (), "years_experience": (1.0, 3.0, 5.0, 8.0, 12.0, 20.0)}),
    gates=(
        Gate("mae", of_naive=0.95),
        Gate("coverage_known", at_least=0.74, at_most=0.88),
        Gate("coverage_anonymous", at_least=0.74, at_most=0.88),
    ),
    headline=("mae", "mdape", "rmse_log"),
    hints=hints("role"),
    unit_bounds=UNIT_BOUNDS,
    masked=MaskedCopies(keep=ANONYMOUS_PROFILE_OUTPUTS, share=0.5),
)

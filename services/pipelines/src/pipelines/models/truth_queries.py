"""How the test rows of each model meet the sample marketplace's truth: for the report only, never for training."""

from collections.abc import Mapping
from typing import Final

__all__ = ["TRUTH_QUERIES"]

_RATING = "SELECT position, expected_rating AS expected FROM test JOIN truth.{} t ON t.evaluation_id = test.label_id"

TRUTH_QUERIES: Final[Mapping[str, str]] = {
    "residency": """
        SELECT position, probability AS expected FROM test JOIN truth.residency t ON t.check_id = test.label_id
    """,
    "skill_experience": _RATING.format("skill_experience"),
    "business_experience": _RATING.format("business_experience"),
    "hourly_rate": """
        SELECT position, expected_log_rate AS expected FROM test JOIN truth.hourly_rate t USING (contract_id)
    """,
    "recommendation": """
        SELECT position, probability AS expected
        FROM test JOIN truth.recommendation t ON t.application_id = test.label_id
    """,
}
"""By model: DuckDB SQL as `pipelines.training.truth_report` reads it."""

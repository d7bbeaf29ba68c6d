"""How a service's log stands: how old its newest row is, and whether a row is there twice."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from inference.prediction_log import PREDICTIONS
from pipelines.prediction_log.settings import LogSettings

__all__ = ["LogHealth", "health"]

_DAYS = 7


@dataclass(frozen=True, slots=True)
class LogHealth:
    """Figures of one service's log."""

    age_hours: float
    """Since the newest row was scored."""
    duplicates: int
    """Rows of the last seven days that are there twice."""


def health(settings: LogSettings) -> dict[str, LogHealth]:
    """Look at every service that was ever logged."""
    found = {name: _health(settings.home / PREDICTIONS / name) for name in settings.services}
    return {name: one for name, one in found.items() if one is not None}


def _health(directory: Path) -> LogHealth | None:
    days = sorted(path for path in directory.glob("day=*") if any(path.glob("*.parquet")))[-_DAYS:]
    if not days:
        return None
    files = [f"{day}/*.parquet" for day in days]
    with duckdb.connect() as connection:
        row = connection.execute(
            """
            SELECT epoch(now() - max(scored_at)) / 3600, count(*) - count(DISTINCT prediction_id)
            FROM read_parquet($files, union_by_name = true, hive_partitioning = true)
            """,
            {"files": files},
        ).fetchone()
    assert row is not None  # noqa: S101  # an aggregate gives one row
    return LogHealth(float(row[0]), int(row[1]))

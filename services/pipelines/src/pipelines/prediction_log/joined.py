"""Predictions with what happened later, in DuckDB."""

from pathlib import Path

import duckdb

from inference.prediction_log import FEEDBACK, PREDICTIONS

__all__ = ["joined"]


def joined(connection: duckdb.DuckDBPyConnection, home: Path, service: str) -> duckdb.DuckDBPyRelation:
    """Give a row a prediction, once, with `outcome`, `observed_at` and `received_at`, null where nothing is known yet.

    The outcome observed last counts, and of those the one received last. Raises `duckdb.IOException` where nothing was
    logged yet.
    """
    outcomes = "SELECT NULL::VARCHAR prediction_id, NULL::DOUBLE outcome, NULL::TIMESTAMPTZ observed_at, "
    outcomes += "NULL::TIMESTAMPTZ received_at WHERE false"
    if any((home / FEEDBACK / service).glob("day=*/*.parquet")):
        outcomes = (
            f"SELECT prediction_id, outcome, observed_at, received_at FROM {_files(home, FEEDBACK, service)} "  # noqa: S608  # a path and no input
            "QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY observed_at DESC, received_at DESC) = 1"
        )
    return connection.sql(
        f"FROM (FROM {_files(home, PREDICTIONS, service)} "
        "QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY scored_at) = 1) "
        f"LEFT JOIN ({outcomes}) USING (prediction_id)"
    )


def _files(home: Path, kind: str, service: str) -> str:
    pattern = f"{home / kind / service}/day=*/*.parquet".replace("'", "''")
    return f"read_parquet('{pattern}', union_by_name = true, hive_partitioning = true, hive_types = {{'day': DATE}})"

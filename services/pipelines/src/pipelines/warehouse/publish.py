"""Publish feature and label tables as Parquet snapshots, so that readers never meet the warehouse's lock."""

import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.warehouse.settings import WarehouseSettings

__all__ = ["FEATURE_TABLES", "LABEL_TABLES", "PublishedTable", "publish_tables"]

FEATURE_TABLES = (
    "candidate_access",
    "candidate_activity",
    "candidate_pool",
    "candidate_profile",
    "candidate_skills",
    "candidate_track",
    "candidate_work",
    "job_profile",
)
LABEL_TABLES = ("business_experience", "hourly_rate", "recommendation", "residency", "skill_experience")

_TIMES = ("event_timestamp", "created_timestamp", "label_time", "available_at", "as_of")


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """One Parquet file as it was published."""

    schema: str
    name: str
    path: Path
    rows: int
    seconds: float


def publish_tables(settings: WarehouseSettings) -> tuple[PublishedTable, ...]:
    """Write `warehouse/features/<view>.parquet` and `warehouse/labels/<model>.parquet`, each replaced in one step.

    Rows are in the order of their keys, times are microseconds in UTC with their zone.
    """
    wanted = [("features", name) for name in FEATURE_TABLES] + [("labels", name) for name in LABEL_TABLES]
    with duckdb.connect(str(settings.database), read_only=True) as connection:
        connection.execute(f"SET memory_limit = '{settings.memory_limit_mb}MB'")
        connection.execute(f"SET threads = {settings.threads}")
        connection.execute("SET temp_directory = ?", [str(settings.directory / "spill")])
        return tuple(_publish(connection, settings.directory, schema, name) for schema, name in wanted)


def _publish(connection: duckdb.DuckDBPyConnection, directory: Path, schema: str, name: str) -> PublishedTable:
    started = time.perf_counter()
    target = directory / schema / f"{name}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    columns = [row[0] for row in connection.execute(f"DESCRIBE {schema}.{name}").fetchall()]
    zoned = ", ".join(f"{c} AT TIME ZONE 'UTC' AS {c}" for c in columns if c in _TIMES)
    order = ", ".join(
        c for c in ("candidate_id", "job_id", "event_timestamp", "label_time", "label_id") if c in columns
    )
    query = f"SELECT * REPLACE ({zoned}) FROM {schema}.{name} ORDER BY {order}"  # noqa: S608 — own tables
    row = connection.execute(f"COPY ({query}) TO '{unfinished}' (FORMAT parquet, COMPRESSION zstd)").fetchone()
    unfinished.replace(target)
    return PublishedTable(schema, name, target, int(row[0]) if row else 0, time.perf_counter() - started)

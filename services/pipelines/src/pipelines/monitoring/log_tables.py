"""Joins a service's prediction log with its feedback in DuckDB: each prediction once, with what happened later.

    <home>/predictions/<service>/day=YYYY-MM-DD/*.parquet    a row a scored row
    <home>/feedback/<service>/day=YYYY-MM-DD/*.parquet       an outcome a row; the newest observed counts

Memory is bounded: what does not fit spills to a file beside.
"""

from datetime import datetime
from pathlib import Path

import duckdb

from pipelines.monitoring.watched import WatchedService

__all__ = ["configure", "has_predictions", "load", "quoted"]

_MEMORY = "512MB"
_THREADS = 2
_INTERVAL = ("lower", "upper", "coverage")


def has_predictions(home: Path, service: str) -> bool:
    """Whether there is any file of the log."""
    return any((home / "predictions" / service).glob("day=*/*.parquet"))


def configure(connection: duckdb.DuckDBPyConnection, scratch: str) -> None:
    """Bound memory and threads; times are UTC."""
    connection.execute(
        f"SET TimeZone = 'UTC'; SET threads = {_THREADS}; SET memory_limit = '{_MEMORY}'; "
        f"SET temp_directory = '{scratch}'; SET preserve_insertion_order = false"
    )


def load(
    connection: duckdb.DuckDBPyConnection, home: Path, service: WatchedService, since: datetime, until: datetime
) -> frozenset[str]:
    """Make the view `log` and the tables `outcomes` and `scored`; return the log's columns.

    `scored` holds what was scored in [since, until) with the outcomes that arrived before `until`; predictions and
    outcomes that are no finite number are left out.
    """
    span = {"since": since, "until": until}
    connection.execute(f"CREATE TEMP VIEW log AS FROM {_files(home / 'predictions' / service.name)}")
    columns = frozenset(str(name) for name, *_ in connection.execute("DESCRIBE log").fetchall())
    if any((home / "feedback" / service.name).glob("day=*/*.parquet")):
        # An outcome never comes before its prediction, so that older days need not be read.
        connection.execute(
            f"""
            CREATE TABLE outcomes AS
            SELECT prediction_id, outcome, received_at FROM {_files(home / "feedback" / service.name)}
            WHERE day >= $since::DATE AND received_at < $until AND isfinite(outcome)
            QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY observed_at DESC, received_at DESC) = 1
            """,  # noqa: S608  a path and no input
            span,
        )
    else:
        connection.execute("CREATE TABLE outcomes (prediction_id VARCHAR, outcome DOUBLE, received_at TIMESTAMPTZ)")
    interval = ", ".join(_number(f"output.{name}", name, columns) for name in _INTERVAL)
    ranked = quoted(service.rank_by) if service.rank_by else "''"
    connection.execute(
        f"""
        CREATE TABLE scored AS
        SELECT prediction_id, scored_at, version, status, prediction, {interval}, {ranked} AS ranked,
          outcome, received_at, filename, file_row_number
        FROM (
            FROM log WHERE day BETWEEN $since::DATE AND $until::DATE
              AND scored_at >= $since AND scored_at < $until AND isfinite(prediction)
            QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY scored_at) = 1
        ) LEFT JOIN outcomes USING (prediction_id)
        """,  # noqa: S608  names of the declaration
        span,
    )
    return columns


def quoted(name: str) -> str:
    """Quote a column's name."""
    return '"' + name.replace('"', '""') + '"'


def _number(column: str, name: str, columns: frozenset[str]) -> str:
    return f"try_cast({quoted(column)} AS DOUBLE) AS {name}" if column in columns else f"NULL::DOUBLE AS {name}"


def _files(directory: Path) -> str:
    pattern = f"{directory}/day=*/*.parquet".replace("'", "''")
    # File and row name a row of the log even where a prediction stands in it twice.
    where = "filename = true, file_row_number = true"
    days = "hive_partitioning = true, hive_types = {'day': DATE}"
    return f"read_parquet('{pattern}', union_by_name = true, {days}, {where})"

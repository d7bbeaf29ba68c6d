"""Label rows: a declaration's SQL over published label tables and feature snapshots, run by DuckDB."""

from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.training.declaration import ModelDeclaration
from pipelines.training.errors import LabelError
from pipelines.training.feature_plan import StoredView

__all__ = ["LABEL", "LABEL_TIME", "parquet_pattern", "query_labels", "query_population"]

LABEL = "label"
LABEL_TIME = "label_time"


def query_labels(declaration: ModelDeclaration, labels: Path, views: Iterable[StoredView]) -> pa.Table:
    """Return label rows in a fixed order (label time, then keys).

    Args:
        declaration: whose `label_query` is run.
        labels: directory whose `<name>.parquet` are the tables `labels.<name>`.
        views: feature views, seen as `features.<view>`.

    Raises:
        LabelError: a column lacks, a label or time is null, or there are no rows.
    """
    table = _run(declaration.label_query, labels, views)
    needed = (*declaration.entities, LABEL_TIME, LABEL)
    lacking = [name for name in needed if name not in table.column_names]
    if lacking:
        raise LabelError(f"{declaration.name}: label query gives no column {', '.join(lacking)}")
    if not table.num_rows:
        raise LabelError(f"{declaration.name}: label query gives no rows")
    for name in needed:
        if table[name].null_count:
            raise LabelError(f"{declaration.name}: {table[name].null_count} label rows have no {name}")
    table = _in_utc(table)
    values = pc.cast(table[LABEL], pa.float64())
    if declaration.task != "regression" and not set(pc.unique(values).to_pylist()) == {0.0, 1.0}:
        raise LabelError(f"{declaration.name}: a {declaration.task} label is 0 or 1, and both must occur")
    if declaration.label_transform == "log" and pc.min(values).as_py() <= 0:
        raise LabelError(f"{declaration.name}: a label under log must be above 0")
    table = table.set_column(table.column_names.index(LABEL), LABEL, values)
    order = [name for name in table.column_names if name not in {LABEL_TIME, LABEL}]
    return table.sort_by([(name, "ascending") for name in (LABEL_TIME, *order, LABEL)]).combine_chunks()


def query_population(declaration: ModelDeclaration, labels: Path, views: Iterable[StoredView]) -> pa.Table | None:
    """Return at most `population_limit` rows of keys and `label_time`, chosen by a hash of the keys."""
    if declaration.population_query is None:
        return None
    keys = ", ".join(declaration.entities)
    chosen = (
        f"SELECT {keys}, {LABEL_TIME} FROM ({declaration.population_query}) "  # noqa: S608  the declaration is code
        f"ORDER BY hash({keys}), {keys} LIMIT {declaration.population_limit}"
    )
    return _in_utc(_run(chosen, labels, views))


def parquet_pattern(path: str) -> str:
    """Return what DuckDB reads for a source's path: the file, or all Parquet files under a directory."""
    return f"{path.rstrip('/')}/**/*.parquet" if Path(path).is_dir() else path


def _run(sql: str, labels: Path, views: Iterable[StoredView]) -> pa.Table:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA labels; CREATE SCHEMA features;")
        for file in sorted(labels.glob("*.parquet")):
            _view(connection, "labels", file.stem, str(file))
        for view in views:
            if view.path:
                _view(connection, "features", view.name, parquet_pattern(view.path))
        return connection.execute(sql).to_arrow_table()


def _view(connection: duckdb.DuckDBPyConnection, schema: str, name: str, path: str) -> None:
    quoted = path.replace("'", "''")
    connection.execute(f"CREATE VIEW {schema}.\"{name}\" AS FROM read_parquet('{quoted}')")


def _in_utc(table: pa.Table) -> pa.Table:
    times = table[LABEL_TIME]
    if not pa.types.is_timestamp(times.type) or times.type.tz is None:
        raise LabelError(f"{LABEL_TIME} must be a timestamp with time zone, not {times.type}")
    return table.set_column(table.column_names.index(LABEL_TIME), LABEL_TIME, times.cast(pa.timestamp("us", tz="UTC")))

"""One real data set: the SQL that turns its file into features and labels, and the model over them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.training import ModelDeclaration

__all__ = ["Dataset", "RealDataError", "Tables"]


class RealDataError(Exception):
    """A file of the real data is absent or not what it should be."""


@dataclass(frozen=True, slots=True)
class Tables:
    """A data set as the platform's flow takes it. Times are timestamp[us, UTC]."""

    features: pa.Table
    """candidate_id, event_timestamp, created_timestamp, then one column a feature."""
    labels: pa.Table
    """candidate_id, label_time, label, held_out (bool): rows that training must not see."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Declares one evaluation; the flow is the same for all."""

    name: str
    title: str
    file: str
    rule: str
    """Which rows and columns count, for every system compared alike."""
    credit: str
    features_sql: str
    """DuckDB SQL over `raw`: the columns of `Tables.features`."""
    labels_sql: str
    """DuckDB SQL over `raw`: the columns of `Tables.labels`."""
    units: Mapping[str, str]
    """Feature name to unit, where it has one."""
    declaration: ModelDeclaration
    baseline: str
    """What the naive baseline is, in words."""
    baseline_sql: str
    """DuckDB SQL over `labels` and `features`: candidate_id, prediction of the held-out rows, from the rest."""
    measure: Literal["amount", "probability"]
    quiet_sql: str | None = None
    """DuckDB SQL over `labels`: candidate_id of rows without drift, to be scored before the held-out rows are."""

    def tables(self, directory: Path) -> Tables:
        """Read and adapt the file in `directory`. Raises `RealDataError` where it is absent."""
        path = directory / self.file
        if not path.exists():
            raise RealDataError(f"{path} is absent: set OFFERS_REAL_DATA to the directory that holds {self.file}")
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
            connection.register("raw", pq.read_table(path))
            return Tables(
                features=connection.execute(self.features_sql).to_arrow_table(),
                labels=connection.execute(self.labels_sql).to_arrow_table(),
            )

    def quiet(self, tables: Tables) -> list[str]:
        """Return the ids of rows that are like those of training; none where no drift is replayed."""
        if self.quiet_sql is None:
            return []
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("labels", tables.labels)
            return [identity for (identity,) in connection.execute(self.quiet_sql).fetchall()]

    def naive(self, tables: Tables) -> pa.Table:
        """Return candidate_id and the baseline's prediction for the held-out rows."""
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("features", tables.features)
            connection.register("labels", tables.labels)
            return connection.execute(self.baseline_sql).to_arrow_table()

"""The irreducible error, from the sample marketplace's `truth/`: read after training, for the report only.

Nothing that trains imports this module; a test holds that.
"""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from pipelines.training.declaration import Array, ModelDeclaration
from pipelines.training.label_rows import LABEL
from pipelines.training.metrics import evaluate

__all__ = ["TruthQuery", "irreducible_figures"]

TruthQuery = str
"""DuckDB SQL over `test` (the test slice's rows with `position`) and `truth.<table>`: `position`, `expected` in the
scale of the transformed label."""


def irreducible_figures(
    declaration: ModelDeclaration, test: pa.Table, truth: Path, query: TruthQuery
) -> dict[str, float] | None:
    """Return the metrics of the true conditional mean on the test rows; None where `truth` is not there.

    Raises ValueError when some test row has no truth, or more than one.
    """
    if not truth.is_dir():
        return None
    label = np.asarray(test[LABEL].to_numpy(), dtype=np.float64)
    return evaluate(declaration, test, label, _expected(test, truth, query))


def _expected(rows: pa.Table, truth: Path, query: TruthQuery) -> Array:
    numbered = rows.append_column("position", pa.array(range(rows.num_rows), pa.int64()))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA truth;")
        for table in sorted(truth.iterdir()):
            pattern = f"{table}/**/*.parquet" if table.is_dir() else str(table)
            if table.is_dir() or table.suffix == ".parquet":
                quoted = pattern.replace("'", "''")
                connection.execute(f"CREATE VIEW truth.\"{table.stem}\" AS FROM read_parquet('{quoted}')")
        connection.register("test", numbered)
        found = connection.execute(f"SELECT position, expected FROM ({query}) ORDER BY position").to_arrow_table()  # noqa: S608  code
    if found["position"].to_pylist() != list(range(rows.num_rows)):
        raise ValueError(f"truth knows {found.num_rows} of {rows.num_rows} test rows one to one")
    return np.asarray(found["expected"].to_numpy(), dtype=np.float64)

"""What figures are made of: the rows of a model version in a window, with outcomes where they are known."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.monitoring.errors import PredictionLogError
from pipelines.monitoring.log_tables import configure, load, quoted
from pipelines.monitoring.watched import WatchedService
from pipelines.monitoring.windows import Window
from pipelines.prediction_log.log_files import locked
from pipelines.training.declaration import Array

__all__ = ["MOST_ROWS", "LabelLag", "PredictionRows", "WindowRows", "open_predictions"]

MOST_ROWS = 100_000
_BATCH_ROWS = 20_000
_WINDOW = "version = $version AND scored_at >= $start AND scored_at < $end"


@dataclass(frozen=True, slots=True)
class WindowRows:
    """Rows of one version in one window: all of them, or a sample by hash of about `MOST_ROWS` at most."""

    rows: int
    """Rows in the window, sampled or not."""
    labels: int
    prediction: Array
    lower: Array
    """NaN where the service gives no interval."""
    upper: Array
    coverage: Array
    outcome: Array
    """NaN where nothing is known yet."""
    group: NDArray[np.intp]
    """Rows of one value are ranked against each other; 0 everywhere where nothing is ranked."""

    @property
    def labelled(self) -> "WindowRows":
        """The rows with an outcome."""
        return self.take(~np.isnan(self.outcome))

    def take(self, keep: NDArray[np.bool_]) -> "WindowRows":
        """Some of the rows; the counts stay those of the window."""
        return replace(
            self,
            prediction=self.prediction[keep],
            lower=self.lower[keep],
            upper=self.upper[keep],
            coverage=self.coverage[keep],
            outcome=self.outcome[keep],
            group=self.group[keep],
        )


@dataclass(frozen=True, slots=True)
class LabelLag:
    """Seconds from a prediction to the arrival of its outcome."""

    median: float
    p90: float


@contextmanager
def open_predictions(
    home: Path, service: WatchedService, since: datetime, until: datetime
) -> Iterator["PredictionRows"]:
    """Read what was scored in [since, until) and its outcomes that arrived before `until`.

    Raises PredictionLogError.
    """
    # Without the lock of the log's upkeep a file could go between two queries.
    with locked(home, "tidy", shared=True), tempfile.TemporaryDirectory(prefix="monitoring-") as scratch:
        connection = duckdb.connect(f"{scratch}/rows.duckdb")
        try:
            configure(connection, scratch)
            logged = load(connection, home, service, since, until)
            yield PredictionRows(connection, logged, service, (since, until))
        except duckdb.Error as error:
            raise PredictionLogError(f"{service.name}: the prediction log cannot be read: {error}") from error
        finally:
            connection.close()


class PredictionRows:
    """The joined rows of one service, as `log_tables.load` made them."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        logged: frozenset[str],
        service: WatchedService,
        span: tuple[datetime, datetime],
    ) -> None:
        self._connection = connection
        self._span = {"since": span[0], "until": span[1]}
        self._sampled_by = "ranked" if service.rank_by else "prediction_id"
        self.logged = logged
        """Columns of the log."""

    def versions(self, most: int) -> tuple[str, ...]:
        """Return the versions that scored last, newest first, at most so many."""
        query = "SELECT version FROM scored GROUP BY version ORDER BY max(scored_at) DESC, version DESC LIMIT ?"
        return tuple(str(version) for (version,) in self._connection.execute(query, [most]).fetchall())

    def window(self, version: str, window: Window) -> WindowRows:
        """Return a version's rows in a window; rows that are ranked together stay together in a sample."""
        rows, labels = self._aggregate("count(*), count(outcome)", version, window)
        given = _given(version, window) | {"every": -(-rows // MOST_ROWS) or 1}
        table = self._connection.execute(
            f"""
            SELECT prediction, lower, upper, coverage, outcome, ranked FROM scored
            WHERE {_WINDOW} AND md5_number_lower({self._sampled_by}) % $every = 0 ORDER BY prediction_id
            """,  # noqa: S608  constants of this module
            given,
        ).to_arrow_table()
        ranked = table["ranked"].to_numpy(zero_copy_only=False).astype(str)
        return WindowRows(
            rows=rows,
            labels=labels,
            prediction=_floats(table["prediction"]),
            lower=_floats(table["lower"]),
            upper=_floats(table["upper"]),
            coverage=_floats(table["coverage"]),
            outcome=_floats(table["outcome"]),
            group=np.unique(ranked, return_inverse=True)[1].astype(np.intp),
        )

    def degraded_share(self, version: str, window: Window) -> float:
        """Return the share of a version's rows in a window that lack a required feature; NaN without rows."""
        (share,) = self._aggregate("avg((status = 'degraded')::INT)", version, window)
        return float("nan") if share is None else float(share)

    def label_lag(self, version: str, window: Window) -> LabelLag | None:
        """Return how late the outcomes of a window's predictions came; None if none came."""
        lag = "(epoch_us(received_at) - epoch_us(scored_at)) / 1e6"
        what = f"quantile_cont({lag}, 0.5), quantile_cont({lag}, 0.9)"
        median, p90 = self._aggregate(what, version, window)
        return None if median is None else LabelLag(float(median), float(p90))

    def awaited_since(self) -> datetime | None:
        """Return when the last outcome came, or the first prediction if none has; None without predictions."""
        found = self._connection.execute("SELECT coalesce(max(received_at), min(scored_at)) FROM scored").fetchone()
        return found[0] if found is not None else None

    def features(self, version: str, names: Sequence[str]) -> Iterator[tuple[NDArray[np.datetime64], Array, Array]]:
        """Yield scored_at (n,) in UTC, the named features (n, f) and the prediction (n,), some thousand rows at a time.

        A feature that is not in the log is NaN throughout; see `logged`.
        """
        there = {f"f{place}": place for place, name in enumerate(names) if f"feature.{name}" in self.logged}
        columns = "".join(f", log.{quoted('feature.' + names[place])} AS {alias}" for alias, place in there.items())
        reader = self._connection.execute(
            f"""
            SELECT scored.scored_at, scored.prediction{columns}
            FROM log JOIN scored USING (filename, file_row_number)
            WHERE scored.version = $version AND day BETWEEN $since::DATE AND $until::DATE
            """,  # noqa: S608  names are quoted
            {"version": version, **self._span},
        ).to_arrow_reader(_BATCH_ROWS)
        for batch in reader:
            matrix = np.full((batch.num_rows, len(names)), np.nan)
            for alias, place in there.items():
                matrix[:, place] = _floats(batch[alias])
            scored_at = batch["scored_at"].cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
            yield scored_at, matrix, _floats(batch["prediction"])

    def _aggregate(self, what: str, version: str, window: Window) -> tuple[Any, ...]:
        query = f"SELECT {what} FROM scored WHERE {_WINDOW}"  # noqa: S608  constants of this module
        # An aggregate without groups has one row.
        return self._connection.execute(query, _given(version, window)).fetchall()[0]


def _given(version: str, window: Window) -> dict[str, object]:
    return {"version": version, "start": window.start, "end": window.end}


def _floats(column: pa.ChunkedArray | pa.Array) -> Array:
    return np.asarray(column.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False))

"""Counts of a version's logged rows in the contract's reference bins: the last window and each week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from inference.contract import Contract
from inference.drift import BinCounts, BinnedColumn
from pipelines.monitoring.prediction_rows import PredictionRows
from pipelines.monitoring.psi import Drift, drift_of
from pipelines.monitoring.windows import Window

__all__ = ["ColumnDrift", "DriftTables", "drift_tables"]


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One feature, or the prediction, by window."""

    column: BinnedColumn
    counts: NDArray[np.int64]
    """(w, k): rows a bin in each window, the last bin those without a value."""
    drift: tuple[Drift | None, ...]
    """(w,)."""

    @property
    def missing(self) -> NDArray[np.float64]:
        """(w,): share of rows without a value; NaN in a window without rows."""
        with np.errstate(invalid="ignore"):
            share: NDArray[np.float64] = self.counts[:, -1] / self.counts.sum(axis=1)
        return share


@dataclass(frozen=True, slots=True)
class DriftTables:
    """What a version saw against what it was trained on."""

    windows: tuple[Window, ...]
    features: tuple[ColumnDrift, ...]
    prediction: ColumnDrift | None
    """None where the contract has no bins of it."""
    unlogged: tuple[str, ...]
    """Features with bins that the log has no column for."""
    rows: int
    """In the first window."""


def drift_tables(rows: PredictionRows, contract: Contract, version: str, windows: Sequence[Window]) -> DriftTables:
    """Count a version's rows in each of the windows, in bounded memory."""
    counter = BinCounts(contract)
    totals = [np.zeros((len(windows), len(column.bins.shares)), dtype=np.int64) for column in counter.columns]
    # Comparing in naive UTC, as numpy knows no zones.
    rows_in_first = 0
    spans = [(_naive(window.start), _naive(window.end)) for window in windows]
    for scored_at, matrix, prediction in rows.features(version, [feature.name for feature in contract.features]):
        for position, (start, end) in enumerate(spans):
            inside = (scored_at >= start) & (scored_at < end)
            rows_in_first += int(inside.sum()) if position == 0 else 0
            if inside.any():
                counted = counter.count(matrix[inside], prediction[inside])
                for total, counts in zip(totals, counted, strict=True):
                    total[position] += counts
    made = [
        ColumnDrift(column, total, tuple(drift_of(one, column.bins) for one in total))
        for column, total in zip(counter.columns, totals, strict=True)
    ]
    prediction_drift = made.pop() if counter.has_output else None
    logged = {column.column.name: f"feature.{column.column.name}" in rows.logged for column in made}
    return DriftTables(
        windows=tuple(windows),
        features=tuple(column for column in made if logged[column.column.name]),
        prediction=prediction_drift,
        unlogged=tuple(name for name, there in logged.items() if not there),
        rows=rows_in_first,
    )


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")

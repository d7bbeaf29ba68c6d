"""Writes a prediction log and feedback as the consumer of the log does."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

_MOMENT = pa.timestamp("us", tz="UTC")


def moments(start: datetime, span: timedelta, n: int) -> list[datetime]:
    """n moments, evenly over [start, start + span)."""
    return [start + span * i / n for i in range(n)]


def write_predictions(
    home: Path,
    service: str,
    scored_at: Sequence[datetime],
    prediction: NDArray[np.float64],
    *,
    version: str = "1",
    keys: Mapping[str, Sequence[str]] | None = None,
    output: Mapping[str, Sequence[float]] | None = None,
    features: Mapping[str, NDArray[np.float64]] | None = None,
    degraded: NDArray[np.bool_] | None = None,
    prefix: str = "p",
    part: str = "part",
) -> list[str]:
    """Write a file a day, and return the prediction ids."""
    n = len(scored_at)
    ids = [f"{prefix}{version}-{i:07}" for i in range(n)]
    holes = np.zeros(n, dtype=bool) if degraded is None else degraded
    columns: dict[str, object] = {
        "prediction_id": ids,
        "scored_at": pa.array(scored_at, _MOMENT),
        "caller": ["test"] * n,
        "model": [service] * n,
        "version": [version] * n,
        "alias": ["champion"] * n,
        "route": ["/v1/score"] * n,
        **(keys or {"candidate_id": [f"c{i:07}" for i in range(n)]}),
        "status": ["degraded" if one else "ok" for one in holes],
        "prediction": prediction,
        **{f"output.{name}": values for name, values in (output or {}).items()},
        **{
            f"feature.{name}": pa.array(np.nan_to_num(values), mask=np.isnan(values))
            for name, values in (features or {}).items()
        },
    }
    _write(home / "predictions" / service, pa.table(columns), scored_at, part)
    return ids


def write_feedback(
    home: Path,
    service: str,
    ids: Sequence[str],
    outcome: Sequence[float] | NDArray[np.float64],
    received_at: Sequence[datetime],
    *,
    observed_at: Sequence[datetime] | None = None,
    part: str = "part",
) -> None:
    """Write a file a day of arrival."""
    columns = {
        "prediction_id": list(ids),
        "outcome": pa.array(outcome, pa.float64()),
        "observed_at": pa.array(observed_at or received_at, _MOMENT),
        "received_at": pa.array(received_at, _MOMENT),
        "caller": ["test"] * len(ids),
    }
    _write(home / "feedback" / service, pa.table(columns), received_at, part)


def _write(directory: Path, table: pa.Table, at: Sequence[datetime], part: str) -> None:
    days = np.array([moment.astimezone(UTC).date().isoformat() for moment in at])
    for day in np.unique(days):
        folder = directory / f"day={day}"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.filter(pa.array(days == day)), folder / f"{part}.parquet")

"""Messages of the log as Arrow tables, in the agreed columns."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from inference.prediction_log import Feedback, LoggedRows

__all__ = ["day_column", "feedback_table", "predictions_table", "without_duplicates"]

_TIME = pa.timestamp("us", "UTC")
_STATUSES = np.array(["ok", "degraded"], dtype=object)


def predictions_table(messages: Sequence[LoggedRows]) -> pa.Table:
    """Make a table of messages, of any versions; what a version does not have is null."""
    return pa.concat_tables([_rows_table(rows) for rows in messages], promote_options="default")


def feedback_table(rows: Sequence[Feedback]) -> pa.Table:
    """Make a table of feedback."""
    return pa.table(
        {
            "prediction_id": pa.array([row.prediction_id for row in rows], pa.string()),
            "outcome": pa.array([row.outcome for row in rows], pa.float64()),
            "observed_at": pa.array([row.observed_at_us for row in rows], _TIME),
            "received_at": pa.array([row.received_at_us for row in rows], _TIME),
            "caller": pa.array([row.caller for row in rows], pa.string()),
        }
    )


def without_duplicates(table: pa.Table, by: Sequence[str]) -> pa.Table:
    """Keep the first row of each combination of values."""
    numbered = table.select([*by]).append_column("row", pa.array(np.arange(len(table))))
    first = numbered.group_by([*by]).aggregate([("row", "min")])["row_min"].to_numpy()
    return table if len(first) == len(table) else table.take(np.sort(first))


def day_column(table: pa.Table, time: str) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    """(n,): the UTC day of a column of times."""
    days: np.ndarray[tuple[int], np.dtype[np.datetime64]] = table[time].to_numpy().astype("datetime64[D]")
    return days


def _rows_table(rows: LoggedRows) -> pa.Table:
    n = rows.n
    columns: dict[str, pa.Array] = {
        "prediction_id": pa.array(rows.prediction_ids, pa.string()),
        "scored_at": pa.array(rows.scored_at_us, _TIME),
        "caller": pa.array(rows.callers, pa.string()),
        "model": pa.repeat(rows.model, n),
        "version": pa.repeat(rows.version, n),
        "alias": pa.repeat(rows.alias, n),
        "route": pa.array(rows.routes, pa.string()),
        **{key: pa.array(ids, pa.string()) for key, ids in rows.keys.items()},
        "status": pa.array(_STATUSES[rows.degraded.astype(np.intp)], pa.string()),
        "prediction": _numbers(rows.prediction),
    }
    for name, column in rows.outputs.items():
        words = None if isinstance(column, np.ndarray) else pa.array(column, pa.string())
        columns[f"output.{name}"] = _numbers(np.asarray(column)) if words is None else words
    for position, name in enumerate(rows.features):
        columns[f"feature.{name}"] = _numbers(rows.values[:, position])
    return pa.table(columns)


def _numbers(column: np.ndarray[tuple[int], np.dtype[np.float64]]) -> pa.Array:
    """NaN becomes null."""
    return pa.array(column, pa.float64(), from_pandas=True)

"""Rows in every form that MLflow's scoring protocol knows, as columns by name; pandas is not needed for that."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from serving.foreign_protocols import decode_any_json
from serving.problems import Problem, ProblemError, problem

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Column", "Frame", "frame_of_csv", "frame_of_json", "frame_of_parquet"]

Column = Sequence[object] | NDArray[np.generic]
Frame = dict[str, Column]
"""Columns by name, all of the same length."""

_NUMBERS = frozenset({int, float, bool, type(None)})
_SPLIT_KEYS = frozenset({"columns", "data", "index"})
# What `pandas.read_csv` takes for a missing value.
_CSV_NULLS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip


def frame_of_json(body: bytes) -> Frame:
    """Read a JSON body: exactly one of the four forms. Raises the 400 problem.

    `params` and other fields are let be, as MLflow does for a model that declares no parameters.
    """
    message = decode_any_json(body)
    if not isinstance(message, dict):
        raise _refused("The body must be a JSON object.")
    found = [name for name in _FORMS if name in message]
    if len(found) != 1:
        raise _refused(f"The body must have exactly one of {', '.join(_FORMS)}.")
    (name,) = found
    return _typed(_FORMS[name](name, message[name]))


def frame_of_csv(body: bytes) -> Frame:
    """Read a CSV body with a header line. Raises the 400 problem."""
    import pyarrow as pa
    from pyarrow import csv

    # Arrow takes what follows an open quote for the cell's rest. A quote inside a quoted cell is written twice.
    if body.count(b'"') % 2:
        raise _refused("The CSV has a quote that does not end.")
    options = csv.ConvertOptions(null_values=_CSV_NULLS, strings_can_be_null=True)
    try:
        return _of_table(csv.read_csv(io.BytesIO(body), convert_options=options))
    except (pa.ArrowException, UnicodeDecodeError):
        raise _refused("The body is not CSV in UTF-8 with a header line.") from None


def frame_of_parquet(body: bytes) -> Frame:
    """Read a Parquet body. Raises the 400 problem."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return _of_table(parquet.read_table(io.BytesIO(body)))
    except (pa.ArrowException, OSError):
        raise _refused("The body is not Parquet.") from None


def _of_split(name: str, value: object) -> dict[str, Sequence[object]]:
    if not isinstance(value, dict) or "data" not in value or not set(value) <= _SPLIT_KEYS:
        raise _refused(f"{name} must be an object of data, and optionally columns and index.")
    names, rows = value.get("columns"), value["data"]
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names) or not isinstance(rows, list):
        raise _refused(f"{name} must have columns, a list of names, and data, a list of rows.")
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise _refused(f"{name} must have a value a column in each row.")
    if len(set(names)) != len(names):
        raise _refused(f"{name} has a column twice.")
    if "index" in value and value["index"] is not None and not _fits(value["index"], len(rows)):
        raise _refused(f"{name} must have an index a row.")
    return dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())


def _of_records(name: str, value: object) -> dict[str, Sequence[object]]:
    records = _records(name, value)
    names = dict.fromkeys(one for record in records for one in record)
    return {one: [record.get(one) for record in records] for one in names}


def _of_instances(name: str, value: object) -> dict[str, Sequence[object]]:
    if isinstance(value, dict):
        return _of_inputs(name, value)
    records = _records(name, value)
    names = set(records[0])
    if any(set(record) != names for record in records):
        raise _refused(f"{name} must have the same columns in each row.")
    return {one: [record[one] for record in records] for one in names}


def _of_inputs(name: str, value: object) -> dict[str, Sequence[object]]:
    if isinstance(value, list):
        return _of_records(name, value)
    if not isinstance(value, dict) or not value:
        raise _refused(f"{name} must be an object of columns, or a list of rows with named columns.")
    lengths = {len(column) for column in value.values() if isinstance(column, list)}
    if len(lengths) > 1:
        raise _refused(f"{name} must have the same number of values in each column.")
    rows = lengths.pop() if lengths else 1
    # A single value holds for every row.
    return {one: column if isinstance(column, list) else (column,) * rows for one, column in value.items()}


def _records(name: str, value: object) -> list[dict[str, object]]:
    if not isinstance(value, list) or not value or not all(isinstance(record, dict) for record in value):
        raise _refused(f"{name} must be a list of rows with named columns.")
    return value


_FORMS: Mapping[str, Callable[[str, object], dict[str, Sequence[object]]]] = {
    "dataframe_split": _of_split,
    "dataframe_records": _of_records,
    "instances": _of_instances,
    "inputs": _of_inputs,
}


def _typed(columns: dict[str, Sequence[object]]) -> Frame:
    """Make arrays of what is all numbers; null is NaN."""
    frame: Frame = {}
    for name, column in columns.items():
        frame[name] = column
        if {*map(type, column)} <= _NUMBERS:
            try:
                frame[name] = np.array(column, dtype=np.float64)
            except OverflowError:
                raise _refused("A number is too large.") from None
    return frame


def _of_table(table: "pa.Table") -> Frame:
    import pyarrow as pa

    frame: Frame = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_boolean(kind)
            or pa.types.is_null(kind)
        ):
            values: Any = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        elif pa.types.is_timestamp(kind):
            values = [None if time is None else time.isoformat() for time in column.to_pylist()]
        else:
            values = column.to_pylist()
        # As pandas has it, the first of equal names keeps the name.
        frame.setdefault(name, values)
    return frame


def _fits(index: object, rows: int) -> bool:
    return isinstance(index, list) and len(index) == rows


def _refused(detail: str) -> ProblemError:
    return problem(Problem.MALFORMED, detail)

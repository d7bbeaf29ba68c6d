"""Which row serves which purpose."""

from enum import IntEnum

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.training.declaration import TimeSplit
from pipelines.training.label_rows import LABEL_TIME

__all__ = ["Part", "assign_parts"]


class Part(IntEnum):
    """Purpose of a row."""

    TRAIN = 0
    VALIDATION = 1
    CALIBRATION = 2
    TEST = 3


def assign_parts(rows: pa.Table, keys: tuple[str, ...], split: TimeSplit) -> NDArray[np.int8]:
    """Return the part of each row, (n,) int8, by time and then a hash of the keys (md5: the same everywhere)."""
    joined = " || '|' || ".join(f'"{key}"' for key in keys)
    rank = f"md5({joined} || '|' || epoch_us({LABEL_TIME}))"
    order = f"{LABEL_TIME}, {rank}" if split.by == "time" else rank
    query = f"SELECT row_number() OVER (ORDER BY {order}) - 1 AS place FROM numbered ORDER BY position"  # noqa: S608  names only
    numbered = rows.append_column("position", pa.array(range(rows.num_rows), pa.int64()))
    with duckdb.connect() as connection:
        connection.register("numbered", numbered)
        place = connection.execute(query).to_arrow_table()["place"].to_numpy()
    ends = np.cumsum([split.train, split.validation, split.calibration]) * rows.num_rows
    part: NDArray[np.int8] = np.searchsorted(np.ceil(ends), place, side="right").astype(np.int8)
    return part

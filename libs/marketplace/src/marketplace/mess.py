"""What happens to rows on their way into the warehouse: they come late, and some come twice."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from marketplace.columns import Ints, assemble, times
from marketplace.spec import DAY_US, HOUR_US
from marketplace.tables import SOURCE_TABLES

__all__ = ["export"]

_LATE: Final = 0.03
_TWICE: Final = 0.005
_AGAIN_LATER: Final = 0.006
_UNSTEADY: Final = {"logins": "logged_in_at"}
"""Event tables whose near duplicates (a double click) differ in time by seconds, not only in `ingested_at`."""


def export(rng: np.random.Generator, name: str, columns: Mapping[str, object], changed_us: Ints) -> pa.Table:
    """Return the source table as the export leaves it.

    A row is seen within a day of `changed_us`, its last change; 3 % are 2 to 30 days late. 0.5 % of the rows appear
    twice, and 0.6 % once more with a later `ingested_at`.
    """
    n = len(changed_us)
    ingested = changed_us + (rng.uniform(0.2, 26.0, n) * HOUR_US).astype(np.int64)
    late = np.flatnonzero(rng.random(n) < _LATE)
    ingested[late] += (np.minimum(2.0 + rng.exponential(5.0, len(late)), 30.0) * DAY_US).astype(np.int64)
    table = assemble(SOURCE_TABLES[name], {**columns, "ingested_at": times(ingested)})
    exact = np.flatnonzero(rng.random(n) < _TWICE)
    near = np.flatnonzero(rng.random(n) < _AGAIN_LATER)
    again = table.take(pa.array(near))
    later = ingested[near] + (rng.uniform(0.5, 12.0, len(near)) * DAY_US).astype(np.int64)
    again = _replace(again, "ingested_at", later)
    if name in _UNSTEADY:
        column = _UNSTEADY[name]
        at = again[column].cast(pa.int64()).to_numpy()
        again = _replace(again, column, at + rng.integers(1, 4, len(near)) * 1_000_000)
    return pa.concat_tables([table, table.take(pa.array(exact)), again]).combine_chunks()


def _replace(table: pa.Table, column: str, us: Ints) -> pa.Table:
    index = table.schema.get_field_index(column)
    return table.set_column(index, table.schema.field(index), times(us))

"""From numpy arrays to Arrow columns without a loop over rows."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from marketplace.spec import DAY_US

__all__ = ["Bools", "Floats", "Ints", "assemble", "counted_ids", "days", "ids", "numbers", "pick", "times", "words"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

_PART_STRIDE = 10_000_000


def ids(prefix: str, values: Ints, width: int = 7) -> pa.Array:
    """Return ids such as c0000001."""
    digits = pc.utf8_lpad(pc.cast(pa.array(values), pa.string()), width, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, "")


def counted_ids(prefix: str, part: int, count: int) -> pa.Array:
    """Return `count` ids that no other part has."""
    return ids(prefix, np.arange(1, count + 1, dtype=np.int64) + part * _PART_STRIDE, width=10)


def words(vocabulary: Sequence[str], codes: Ints, missing: Bools | None = None) -> pa.Array:
    """Return the word of each code, null where missing."""
    return pa.array(vocabulary, pa.string()).take(pa.array(codes, mask=missing))


def pick(values: pa.Array, rows: Ints) -> pa.Array:
    """Return the values at the rows."""
    return values.take(pa.array(rows))


def numbers(values: Floats | Ints, missing: Bools | None = None) -> pa.Array:
    """Return numbers, null where missing."""
    return pa.array(values, mask=missing)


def times(us: Ints, missing: Bools | None = None) -> pa.Array:
    """Return UTC times of microseconds since the epoch, null where missing."""
    return pa.array(us, mask=missing).cast(pa.timestamp("us", tz="UTC"))


def days(us: Ints, missing: Bools | None = None) -> pa.Array:
    """Return the UTC days of microseconds since the epoch, null where missing."""
    return pa.array((us // DAY_US).astype(np.int32), mask=missing).cast(pa.date32())


def assemble(schema: pa.Schema, columns: Mapping[str, object]) -> pa.Table:
    """Return a table in the order and types of the schema; widths of integers are narrowed, nothing else is cast."""
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)

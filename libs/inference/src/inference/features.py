"""What the data plane needs from a feature store: one protocol, one block of rows.

`online_features.reader` implements it over packed Redis values, `inference.testing` in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["CellStatus", "FeatureReader", "FeatureRows", "ViewSchema"]


class CellStatus(IntEnum):
    """How one value of the matrix came about (stored as uint8)."""

    PRESENT = 0
    MISSING = 1
    STALE = 2


class FeatureRows(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Stored features of n rows, in the order of the contract's stored features (f of them).

    A missing or stale cell is NaN in `matrix`; defaults are the predictor's business, so that a missing value is
    never mistaken for a real zero.
    """

    matrix: NDArray[np.float64]
    """(n, f), C-contiguous; categories as codes of the contract, timestamps as seconds since the epoch (UTC)."""
    status: NDArray[np.uint8]
    """(n, f) of `CellStatus`."""
    found: NDArray[np.bool_]
    """(n,): every entity of the row has at least one stored view row (fresh or stale)."""
    as_of_us: NDArray[np.int64]
    """(n,): oldest event time of the fresh view rows used, microseconds since the epoch; 0 if none."""


@dataclass(frozen=True, slots=True)
class ViewSchema:
    """A feature view as the online store describes it now."""

    name: str
    join_keys: tuple[str, ...]
    columns: Mapping[str, str]
    """Feature name to Feast value type name (`Int64`, `Double`, `String`, …)."""
    ttl_seconds: float | None
    fingerprint: str


class FeatureReader(Protocol):
    """Reads the stored features that one contract names."""

    async def read(self, keys: Mapping[str, Sequence[str]]) -> FeatureRows:
        """Read n rows; `keys` maps each join key to n ids. Raises `FeatureStoreError` when the store is away."""
        ...

    async def schemas(self) -> Mapping[str, ViewSchema]:
        """Schemas of the contract's views as they stand in the store now; a view the store does not know is absent."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...

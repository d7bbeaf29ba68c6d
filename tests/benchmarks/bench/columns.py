"""Views and columns as Feast, contracts and sources need them: one declaration for all three."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

__all__ = ["STAMPS", "Column", "View", "arrow_schema"]

STAMPS = ("event_timestamp", "created_timestamp")
ARROW_TYPES = {"Float64": pa.float64(), "Int64": pa.int64(), "String": pa.string()}


@dataclass(frozen=True, slots=True)
class Column:
    """One stored feature."""

    name: str
    dtype: Literal["Float64", "Int64", "String"]
    """Feast's type."""
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """One feature view over one Parquet file."""

    name: str
    join_key: str
    columns: tuple[Column, ...]

    def described(self, source: Path) -> dict[str, object]:
        """Form in which the Feast worker gets it."""
        return {
            "name": self.name,
            "join_key": self.join_key,
            "columns": {column.name: column.dtype for column in self.columns},
            "source": str(source),
        }


def arrow_schema(view: View) -> pa.Schema:
    """Schema of a view's source."""
    columns: Mapping[str, pa.DataType] = {column.name: ARROW_TYPES[column.dtype] for column in view.columns}
    stamps = {name: pa.timestamp("us", tz="UTC") for name in STAMPS}
    return pa.schema(list({view.join_key: pa.string(), **columns, **stamps}.items()))

"""Packed rows of one view into its columns of the model's matrix."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.contract import FeatureSpec
from online_features.category_codes import CategoryCodes
from online_features.layout import Layout

__all__ = ["ViewDecoder"]

_NUMERIC = frozenset({"Double", "Float", "Int64", "Int32", "Bool", "UnixTimestamp"})
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class _Copy:
    """Consecutive columns of one group that land in consecutive columns of the block."""

    group: str
    source: slice
    target: slice


@dataclass(frozen=True, slots=True)
class ViewDecoder:
    """Decodes rows of one layout into the k columns that a contract wants of the view.

    A feature that the layout lacks, or holds in a type that the contract cannot use, stays NaN.
    """

    layout: Layout
    copies: tuple[_Copy, ...]
    nullable: tuple[tuple[int, int], ...]
    """(bit in the null bitmap, column of the block) of values that have no NaN of their own."""
    category_sources: NDArray[np.intp]
    category_targets: NDArray[np.intp]
    categories: CategoryCodes
    width: int
    """k"""
    complete: bool
    """All wanted features are there: `fill` writes every column, and `row` works."""
    _take: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    _row_categories: tuple[tuple[int, dict[int, float]], ...]
    _no_nulls: bytes

    @classmethod
    def of(cls, layout: Layout, wanted: Sequence[tuple[str, FeatureSpec]]) -> "ViewDecoder":
        """`wanted` are (feature name in the view, its specification), in the block's order."""
        copies: list[_Copy] = []
        nullable: list[tuple[int, int]] = []
        categories: list[tuple[int, int, FeatureSpec]] = []
        places: list[int] = []
        for target, (name, spec) in enumerate(wanted):
            column = layout.column(name)
            if column is not None and spec.dtype == "category" and column.type == "String":
                categories.append((column.hash_position, target, spec))
                places.append(layout.place(column, hashed=True))
            elif column is not None and spec.dtype != "category" and column.type in _NUMERIC:
                places.append(layout.place(column))
                if column.group not in {"f8", "f4"}:
                    nullable.append((column.index, target))
                _extend(copies, column.group, column.position, target)
        codes = CategoryCodes.of([spec.categories for _, _, spec in categories])
        return cls(
            layout=layout,
            copies=tuple(copies),
            nullable=tuple(nullable),
            category_sources=np.array([source for source, _, _ in categories], dtype=np.intp),
            category_targets=np.array([target for _, target, _ in categories], dtype=np.intp),
            categories=codes,
            width=len(wanted),
            complete=len(places) == len(wanted),
            _take=itemgetter(*places) if len(places) > 1 else lambda fields: tuple(fields[place] for place in places),
            _row_categories=tuple(
                (target, by_hash) for (_, target, _), by_hash in zip(categories, codes.by_hash, strict=True)
            ),
            _no_nulls=bytes(layout.dtype["nulls"].itemsize),
        )

    def row(self, packed: bytes) -> tuple[int, int, Sequence[float]]:
        """One row: (head, event time µs, k values). Only where `complete`."""
        fields = self.layout.row.unpack_from(packed)
        if not self._row_categories and fields[3] == self._no_nulls:
            return fields[0], fields[1], self._take(fields)
        values = list(self._take(fields))
        for target, codes in self._row_categories:
            values[target] = codes.get(values[target], _NAN)
        if fields[3] != self._no_nulls:
            nulls = int.from_bytes(fields[3], "little")
            for bit, target in self.nullable:
                if nulls >> bit & 1:
                    values[target] = _NAN
        return fields[0], fields[1], values

    def fixed(self, packed: Sequence[bytes]) -> NDArray[np.void] | None:
        """The fixed parts of rows as an array; None if any row is of another layout."""
        size = self.layout.fixed_bytes
        if not self.layout.widths["length"]:
            joined = b"".join(packed)
        elif (stride := len(packed[0])) >= size and set(map(len, packed)) == {stride}:
            # Values of one length need no cutting: the rows are steps through the joined bytes.
            rows = np.ndarray(len(packed), self.layout.dtype, b"".join(packed), strides=(stride,))
            return rows if (rows["head"] == self.layout.head).all() else None
        else:
            joined = b"".join([value[:size] for value in packed])
        if len(joined) != size * len(packed):
            return None
        rows = self.layout.rows(joined)
        return rows if (rows["head"] == self.layout.head).all() else None

    def fill(self, block: NDArray[np.float64], rows: NDArray[np.void]) -> None:
        """Decode n rows into `block` (n, k); columns that the layout lacks stay as they are."""
        for copy in self.copies:
            block[:, copy.target] = rows[copy.group][:, copy.source]
        if self.category_targets.size:
            block[:, self.category_targets] = self.categories.codes(rows["hash"][:, self.category_sources])
        nulls = rows["nulls"]
        if self.nullable and nulls.any():
            for bit, target in self.nullable:
                is_null = nulls[:, bit // 8] & (1 << bit % 8)
                if is_null.any():
                    block[is_null != 0, target] = np.nan


def _extend(copies: list[_Copy], group: str, source: int, target: int) -> None:
    """Add a column, joined to the run before it where both sides continue."""
    if copies:
        last = copies[-1]
        if last.group == group and last.source.stop == source and last.target.stop == target:
            copies[-1] = _Copy(group, slice(last.source.start, source + 1), slice(last.target.start, target + 1))
            return
    copies.append(_Copy(group, slice(source, source + 1), slice(target, target + 1)))

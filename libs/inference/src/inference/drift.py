"""Drift as counts: every feature and the main prediction of each scored row, in the contract's reference bins.

Count blocks of hundreds of rows: a call costs 80 µs for 50 columns, and a row of a block of 500 about 0.3 µs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.contract import Contract, FeatureSpec, ReferenceBins

__all__ = ["BinCounts", "BinnedColumn", "bin_names"]

_COMPARED = 16
"""Edges up to which comparing with each of them, vectorised, is faster than a search."""
_PIECE_ROWS = 512
"""Rows whose 50 columns stay in a processor's cache from one pass to the next."""
MISSING_BIN = "missing"


@dataclass(frozen=True, slots=True)
class BinnedColumn:
    """One column that is counted."""

    name: str
    bins: ReferenceBins
    names: tuple[str, ...]
    """One a bin, the last `missing`."""


class BinCounts:
    """Counts values of a contract's binned features and of its main output. Pure: rows in, counts out.

    All columns go through each pass together: a call of numpy costs as much as its work on one column.
    """

    __slots__ = (
        "_categories", "_comparisons", "_last", "_missing", "_output", "_searches", "_sources", "_spans", "_starts",
        "_total", "columns", "has_output",
    )  # fmt: skip

    def __init__(self, contract: Contract) -> None:
        binned = [(spec, spec.bins) for spec in contract.features if spec.bins is not None]
        columns = [BinnedColumn(spec.name, bins, bin_names(bins, spec)) for spec, bins in binned]
        sources = [contract.position[column.name] for column in columns]
        output = contract.output
        self.has_output = output.bins is not None
        """Whether the last column is the main output."""
        if output.bins is not None:
            columns.append(BinnedColumn(output.name, output.bins, bin_names(output.bins)))
            sources.append(-1)
        self.columns: tuple[BinnedColumn, ...] = tuple(columns)
        """Features in the contract's order, then the main output if the contract bins it."""
        edges = [column.bins.edges for column in columns]
        # Compared columns by falling number of edges, so that the i-th edges are those of the first columns.
        order = sorted(range(len(columns)), key=lambda one: (_pass_of(edges[one]), -len(edges[one])))
        compared = [edges[one] for one in order if _pass_of(edges[one]) == 0]
        searched = [edges[one] for one in order if _pass_of(edges[one]) == 1]
        widest = len(compared[0]) if compared else 0
        self._comparisons = [np.array([cuts[i] for cuts in compared if i < len(cuts)])[:, None] for i in range(widest)]
        self._searches = {row: np.array(cuts) for row, cuts in enumerate(searched, len(compared))}
        self._categories = len(compared) + len(searched)
        """From which row on categories stand."""
        self._sources = np.array([sources[one] for one in order], dtype=np.intp)
        self._output = np.flatnonzero(self._sources < 0)
        widths = np.array([len(columns[one].names) for one in order], dtype=np.intp)
        starts = np.concatenate([np.zeros(1, dtype=np.intp), widths.cumsum()])
        self._total = int(starts[-1])
        self._starts = starts[:-1, None]
        self._missing = self._starts + widths[:, None] - 1
        self._last = widths[self._categories :, None] - 2.0
        spans = {one: slice(starts[row], starts[row + 1]) for row, one in enumerate(order)}
        self._spans = [spans[one] for one in range(len(columns))]

    def count(self, features: NDArray[np.float64], output: NDArray[np.float64]) -> list[NDArray[np.int64]]:
        """Count n rows: `features` (n, F) as the contract's features, `output` (n,). One array of bins a column."""
        counts = np.zeros(self._total, dtype=np.int64)
        for start in range(0, len(features), _PIECE_ROWS):
            rows = slice(start, start + _PIECE_ROWS)
            counts += np.bincount(self._bins(features[rows], output[rows]).ravel(), minlength=self._total)
        return [counts[span] for span in self._spans]

    def _bins(self, features: NDArray[np.float64], output: NDArray[np.float64]) -> NDArray[np.intp]:
        """(columns, n): the bin of each value, numbered through all columns."""
        values = features.T.take(self._sources, axis=0, mode="wrap")
        values[self._output] = output
        bins = np.empty(values.shape, dtype=np.intp)
        if self._comparisons:
            # One byte a value, as many more fit into a register.
            passed = np.zeros((len(self._comparisons[0]), len(features)), dtype=np.uint8)
            for edges in self._comparisons:
                width = len(edges)
                passed[:width] += (values[:width] >= edges).view(np.uint8)
            bins[: len(passed)] = passed
        for row, cuts in self._searches.items():
            bins[row] = cuts.searchsorted(values[row], side="right")
        # `fmax` makes NaN a 0, which `_missing` replaces.
        bins[self._categories :] = np.minimum(np.fmax(values[self._categories :], 0.0), self._last)
        bins += self._starts
        np.copyto(bins, self._missing, where=np.isnan(values))
        return bins


def _pass_of(edges: tuple[float, ...]) -> int:
    """0 for a number whose edges are compared, 1 for one that is searched, 2 for a category."""
    return 2 if not edges else int(len(edges) > _COMPARED)


def bin_names(bins: ReferenceBins, spec: FeatureSpec | None = None) -> tuple[str, ...]:
    """Name bins for a label: a category's own name, a number's position, `missing` last."""
    width = len(bins.shares) - 1
    if spec is not None and not bins.edges and len(spec.categories) == width and MISSING_BIN not in spec.categories:
        return (*spec.categories, MISSING_BIN)
    return (*(str(position) for position in range(width)), MISSING_BIN)

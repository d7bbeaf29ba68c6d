"""Reference bins: shares of the training rows that drift is counted against."""

import numpy as np

from inference.contract import FeatureSpec, ReferenceBins
from pipelines.training.declaration import Array

__all__ = ["MOST_BINS", "category_bins", "feature_bins", "number_bins"]

MOST_BINS = 10


def feature_bins(feature: FeatureSpec, values: Array) -> ReferenceBins:
    """Return the bins of one feature from its training column (n,)."""
    if feature.dtype == "category":
        return category_bins(values, len(feature.categories))
    return number_bins(values)


def number_bins(values: Array) -> ReferenceBins:
    """Return at most 10 bins of about equal share, and missing; each distinct value its own bin where they are few.

    Edges are cut points between distinct values, so that no value lies on the wrong side for a rounding.
    """
    present = values[~np.isnan(values)]
    distinct = np.unique(present)
    if len(distinct) <= MOST_BINS:
        edges = distinct[1:]
    else:
        edges = np.unique(np.quantile(present, np.linspace(0.0, 1.0, MOST_BINS + 1)[1:-1], method="higher"))
        edges = edges[edges > distinct[0]]
    bins = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))
    return _shares(bins, len(edges) + 2, tuple(edges.tolist()))


def category_bins(values: Array, categories: int) -> ReferenceBins:
    """Return one bin a category code, and missing."""
    bins = np.where(np.isnan(values), categories, values)
    return _shares(bins.astype(np.int64), categories + 1, ())


def _shares(bins: Array, count: int, edges: tuple[float, ...]) -> ReferenceBins:
    rows = len(bins)
    shares = np.bincount(bins.astype(np.int64), minlength=count) / max(rows, 1)
    return ReferenceBins(edges=edges, shares=tuple(shares.tolist()), rows=rows)

"""From Arrow columns to the model's float64 matrix, through the contract's categories."""

import importlib
from collections.abc import Callable, Iterable, Mapping

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from inference.contract import FeatureSpec, OnDemandSpec
from pipelines.training.declaration import Array
from pipelines.training.errors import FeatureError

__all__ = ["MOST_CATEGORIES", "add_on_demand", "encode", "learn_categories"]

MOST_CATEGORIES = 128
"""Words a category learns from data at most; rarer ones count as missing."""


def learn_categories(features: Iterable[FeatureSpec], table: pa.Table) -> tuple[FeatureSpec, ...]:
    """Fill in categories that no vocabulary names: the words of `table` by frequency, ties by the word."""
    return tuple(
        msgspec.structs.replace(feature, categories=_frequent(table[feature.name]))
        if feature.dtype == "category" and not feature.categories
        else feature
        for feature in features
    )


def encode(features: Iterable[FeatureSpec], table: pa.Table) -> dict[str, Array]:
    """Return each stored feature as (n,) float64: codes, numbers, seconds since the epoch; missing is NaN."""
    return {feature.name: _encode(feature, table[feature.name]) for feature in features}


def add_on_demand(specs: Iterable[OnDemandSpec], columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return `columns` and the outputs of the on-demand functions, computed as the service computes them."""
    complete = dict(columns)
    for spec in specs:
        module, _, name = spec.function.partition(":")
        function: Callable[[Mapping[str, Array]], Mapping[str, Array]] = getattr(importlib.import_module(module), name)
        outputs = function({name: columns[name] for name in spec.inputs})
        lacking = [name for name in spec.outputs if name not in outputs]
        if lacking:
            raise FeatureError(f"{spec.function} does not give {', '.join(lacking)}")
        complete |= {name: np.asarray(outputs[name], dtype=np.float64) for name in spec.outputs}
    return complete


def _frequent(column: pa.ChunkedArray) -> tuple[str, ...]:
    counts = pc.value_counts(column.cast(pa.string()).combine_chunks().drop_null())
    pairs = [(-int(count), str(word)) for word, count in zip(*map(pa.Array.to_pylist, counts.flatten()), strict=True)]
    return tuple(word for _, word in sorted(pairs)[:MOST_CATEGORIES])


def _encode(feature: FeatureSpec, column: pa.ChunkedArray) -> Array:
    if feature.dtype == "category":
        words = pa.array(feature.categories, pa.string())
        column = pc.index_in(column.cast(pa.string()), value_set=words)
    elif feature.dtype == "timestamp":
        column = pc.divide(pc.cast(pc.cast(column, pa.timestamp("us")), pa.int64()).cast(pa.float64()), 1e6)
    values = pc.cast(column, pa.float64(), safe=False)
    return np.ascontiguousarray(pc.fill_null(values, float("nan")).to_numpy(), dtype=np.float64)

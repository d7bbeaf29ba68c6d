"""LightGBM's model text (`LightGBM/src/io/tree.cpp`, `Tree::ToString`) as trees for `forest`."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.boosters.forest import CATEGORIES_MAX, Transform, Tree, UnsupportedModelError

__all__ = ["LightGBMTrees", "read_lightgbm_trees"]

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_ZERO, _MISSING_NAN = 1, 2
_IDENTITY = frozenset({"regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg"})
_EXPONENTIAL = frozenset({"poisson", "gamma", "tweedie"})

T = TypeVar("T", bound=np.generic)

LightGBMTrees = tuple[list[Tree], Transform, float]
"""Trees, what becomes of their sum, and the transform's scale."""


def read_lightgbm_trees(text: str) -> LightGBMTrees:
    """Read a model file's text. Raises `UnsupportedModelError`."""
    head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    lines = head.splitlines()
    if "average_output" in lines:
        raise UnsupportedModelError("a random forest")
    objective = next((line.partition("=")[2] for line in lines if line.startswith("objective=")), "")
    transform, scale = _transform(objective.split())
    trees = [_tree(dict(line.split("=", 1) for line in block.splitlines()[1:] if "=" in line)) for block in blocks]
    return trees, transform, scale


def _transform(objective: Sequence[str]) -> tuple[Transform, float]:
    name, options = (objective[0], objective[1:]) if objective else ("", ())
    if "sqrt" in options:
        raise UnsupportedModelError("a square root objective")
    if name in _IDENTITY or not name:
        return Transform.IDENTITY, 1.0
    if name in _EXPONENTIAL:
        return Transform.EXPONENTIAL, 1.0
    if name in {"binary", "cross_entropy"}:
        return Transform.SIGMOID, float(next((o[8:] for o in options if o.startswith("sigmoid:")), "1"))
    raise UnsupportedModelError(f"objective {name}")


def _tree(fields: Mapping[str, str]) -> Tree:
    if fields.get("is_linear", "0") != "0":
        raise UnsupportedModelError("linear leaves")
    kinds = _numbers(fields, "decision_type", np.int64)
    tests_set = (kinds & _CATEGORICAL) != 0
    missing = (kinds >> 2) & 3
    if (missing[~tests_set] == _MISSING_ZERO).any():
        raise UnsupportedModelError("zeros that are missing")
    thresholds = _numbers(fields, "threshold", np.float64)
    # Without a treatment of its own, a missing number counts as 0.
    missing_left = np.where(missing == _MISSING_NAN, (kinds & _DEFAULT_LEFT) != 0, thresholds >= 0.0)
    return Tree(
        columns=_numbers(fields, "split_feature", np.int64),
        thresholds=thresholds,
        sets=_sets(fields, thresholds, tests_set),
        tests_set=tests_set,
        missing_left=missing_left,
        left=_numbers(fields, "left_child", np.int64),
        right=_numbers(fields, "right_child", np.int64),
        values=_numbers(fields, "leaf_value", np.float64),
    )


def _sets(
    fields: Mapping[str, str], thresholds: NDArray[np.float64], tests_set: NDArray[np.bool_]
) -> NDArray[np.uint64]:
    sets = np.zeros(len(thresholds), dtype=np.uint64)
    if not tests_set.any():
        return sets
    bounds = _numbers(fields, "cat_boundaries", np.int64).tolist()
    words = _numbers(fields, "cat_threshold", np.int64).tolist()
    for node in np.flatnonzero(tests_set).tolist():
        number = int(thresholds[node])
        bits = sum(word << 32 * place for place, word in enumerate(words[bounds[number] : bounds[number + 1]]))
        if bits >> CATEGORIES_MAX:
            raise UnsupportedModelError(f"categories above {CATEGORIES_MAX - 1}")
        sets[node] = bits
    return sets


def _numbers(fields: Mapping[str, str], name: str, dtype: type[T]) -> NDArray[T]:
    return np.array(fields.get(name, "").split(), dtype=dtype)

"""XGBoost's JSON model (`xgboost/doc/model.schema`) as trees for `forest`."""

from dataclasses import dataclass

import msgspec
import numpy as np

from inference.boosters.forest import Transform, Tree, UnsupportedModelError

__all__ = ["XGBoostTrees", "read_xgboost_trees"]

_IDENTITY = frozenset({"reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror"})
_SIGMOID = frozenset({"binary:logistic", "reg:logistic"})
_LEAF = -1


class _TreeModel(msgspec.Struct):
    left_children: list[int]
    right_children: list[int]
    split_indices: list[int]
    split_conditions: list[float]
    default_left: list[int]
    split_type: list[int] = []


class _Trees(msgspec.Struct):
    trees: list[_TreeModel]


class _GradientBooster(msgspec.Struct):
    name: str
    model: _Trees | None = None


class _LearnerParameters(msgspec.Struct):
    base_score: str
    num_class: str = "0"
    num_target: str = "1"


class _Objective(msgspec.Struct):
    name: str


class _Learner(msgspec.Struct):
    gradient_booster: _GradientBooster
    learner_model_param: _LearnerParameters
    objective: _Objective


class _Model(msgspec.Struct):
    learner: _Learner


@dataclass(frozen=True, slots=True)
class XGBoostTrees:
    """The trees, where their sum starts, and what becomes of it."""

    trees: list[Tree]
    base: float
    transform: Transform


def read_xgboost_trees(content: bytes) -> XGBoostTrees:
    """Read a model's JSON. Raises `UnsupportedModelError`."""
    try:
        learner = msgspec.json.decode(content, type=_Model).learner
        base = float(learner.learner_model_param.base_score.strip("[]"))
    except (msgspec.DecodeError, ValueError) as error:
        raise UnsupportedModelError(f"a form of the model file that is not known: {error}") from error
    booster, name = learner.gradient_booster, learner.objective.name
    if booster.name != "gbtree" or booster.model is None:
        raise UnsupportedModelError(f"booster {booster.name}")
    if name in _SIGMOID:
        transform = Transform.FLOAT32_SIGMOID
        # As XGBoost's ProbToMargin, in float32.
        base = float(-np.log(np.float32(1.0) / np.float32(base) - np.float32(1.0)))
    elif name in _IDENTITY:
        transform = Transform.IDENTITY
    else:
        raise UnsupportedModelError(f"objective {name}")
    return XGBoostTrees([_tree(tree) for tree in booster.model.trees], float(np.float32(base)), transform)


def _tree(model: _TreeModel) -> Tree:
    left, right = np.array(model.left_children), np.array(model.right_children)
    is_leaf = left == _LEAF
    inner, leaves = np.flatnonzero(~is_leaf), np.flatnonzero(is_leaf)
    if np.array(model.split_type)[inner].any():
        raise UnsupportedModelError("categorical splits")
    number = np.empty(len(left), dtype=np.int64)
    number[inner] = np.arange(len(inner))
    number[leaves] = ~np.arange(len(leaves))
    conditions = np.array(model.split_conditions, dtype=np.float32)
    below = np.nextafter(conditions[inner], np.float32(-np.inf))
    return Tree(
        columns=np.array(model.split_indices, dtype=np.int64)[inner],
        # XGBoost goes left below the condition: at most the float32 before it.
        thresholds=below.astype(np.float64),
        sets=np.zeros(len(inner), dtype=np.uint64),
        tests_set=np.zeros(len(inner), dtype=np.bool_),
        missing_left=np.array(model.default_left, dtype=np.bool_)[inner],
        left=number[left[inner]],
        right=number[right[inner]],
        values=conditions[leaves].astype(np.float64),
    )

"""Compiled trees: the same bits as the boosters' own libraries, or not used at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from inference.boosters import forest
from inference.boosters.lightgbm import LightGBMBooster
from inference.boosters.xgboost import XGBoostBooster

Matrix = NDArray[np.float64]

COLUMNS = 6
CATEGORIES = 40
ZERO = 1.0000000180025095e-35
"""LightGBM cuts between 0 and small numbers here."""
LIGHTGBM_OBJECTIVES = ("regression", "regression_l1", "quantile", "huber", "poisson", "binary", "cross_entropy")
XGBOOST_OBJECTIVES = ("reg:squarederror", "binary:logistic")


def learning_rows(rows: int = 4000) -> tuple[Matrix, Matrix]:
    """Numbers with gaps, whole numbers, and a category in the last column; labels in (0, 1)."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(rows, COLUMNS))
    matrix[:, 1] = random.integers(0, 9, rows)
    matrix[:, -1] = random.integers(0, CATEGORIES, rows)
    label = matrix[:, 0] + 0.3 * matrix[:, 1] + np.sin(matrix[:, -1]) + random.normal(size=rows)
    matrix[:, :2][random.random((rows, 2)) < 0.2] = np.nan
    return matrix, 1 / (1 + np.exp(-label))


def lightgbm_file(path: Path, objective: str = "regression", **parameters: Any) -> Path:
    import lightgbm

    matrix, label = learning_rows()
    chosen = {"objective": objective, "num_leaves": 31, "num_threads": 1, "verbosity": -1, "min_data_in_leaf": 5}
    data = lightgbm.Dataset(
        matrix, label > 0.5 if objective == "binary" else label, categorical_feature=[COLUMNS - 1], params=chosen
    )
    lightgbm.train(chosen | parameters, data, 23).save_model(path)
    return path


def xgboost_file(path: Path, objective: str) -> Path:
    import xgboost

    matrix, label = learning_rows()
    data = xgboost.DMatrix(matrix, label > 0.5 if objective == "binary:logistic" else label)
    xgboost.train({"objective": objective, "max_depth": 6, "nthread": 1}, data, 23).save_model(path)
    return path


@pytest.fixture(scope="module")
def boosters(tmp_path_factory: pytest.TempPathFactory) -> list[LightGBMBooster | XGBoostBooster]:
    folder = tmp_path_factory.mktemp("boosters")
    ours: list[LightGBMBooster | XGBoostBooster] = [
        LightGBMBooster(lightgbm_file(folder / f"{name}.lgb", name)) for name in LIGHTGBM_OBJECTIVES
    ]
    ours += [XGBoostBooster(xgboost_file(folder / f"{name[-6:]}.ubj", name)) for name in XGBOOST_OBJECTIVES]
    return ours


def test_trees_are_compiled_where_there_is_a_c_compiler(boosters: list[LightGBMBooster | XGBoostBooster]) -> None:
    assert [booster.is_compiled for booster in boosters] == [True] * len(boosters)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_compiled_trees_give_the_librarys_bits(
    boosters: list[LightGBMBooster | XGBoostBooster], data: st.DataObject
) -> None:
    values = st.one_of(
        st.floats(allow_infinity=False, width=32),
        st.integers(-3, 70).map(float),
        st.sampled_from([0.0, -0.0, -0.5, 63.5, 64.0, 1e-40, -ZERO, ZERO, 3e9, 1e300, float("nan")]),
    )
    rows = data.draw(st.sampled_from([0, 1, 7, 8, 9, 64, 71, 130]))
    matrix = data.draw(arrays(np.float64, (rows, COLUMNS), elements=values, fill=values))

    for booster in boosters:
        assert booster.predict(matrix).tobytes() == booster._predict_by_library(matrix).tobytes()


@pytest.mark.parametrize(
    "parameters",
    [
        {"zero_as_missing": True},
        {"linear_tree": True},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"reg_sqrt": True},
    ],
    ids=["zeros_are_missing", "linear_leaves", "random_forest", "square_root"],
)
def test_a_model_that_forest_does_not_know_is_left_to_the_library(parameters: dict[str, Any], tmp_path: Path) -> None:
    booster = LightGBMBooster(lightgbm_file(tmp_path / "model.lgb", **parameters))
    matrix, _ = learning_rows(100)

    assert not booster.is_compiled
    assert booster.predict(matrix).tobytes() == booster._predict_by_library(matrix).tobytes()


def test_a_tree_of_one_leaf_is_compiled(tmp_path: Path) -> None:
    booster = LightGBMBooster(lightgbm_file(tmp_path / "model.lgb", min_data_in_leaf=4000))
    matrix, _ = learning_rows(20)

    assert booster.is_compiled
    assert booster.predict(matrix).tobytes() == booster._predict_by_library(matrix).tobytes()


def test_many_categories_are_left_to_the_library(tmp_path: Path) -> None:
    import lightgbm

    random = np.random.default_rng(0)
    codes = random.integers(0, 300, (6000, 1)).astype(np.float64)
    options = {"num_threads": 1, "verbosity": -1, "min_data_per_group": 1, "min_data_in_leaf": 1, "cat_smooth": 0.0}
    data = lightgbm.Dataset(codes, np.sin(codes[:, 0]), categorical_feature=[0], params=options)
    lightgbm.train(options, data, 3).save_model(tmp_path / "model.lgb")

    assert not LightGBMBooster(tmp_path / "model.lgb").is_compiled


def test_a_forest_that_answers_otherwise_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lightgbm_file(tmp_path / "model.lgb")
    monkeypatch.setattr("inference.boosters.lightgbm_trees.Tree", _scaled_tree)

    assert not LightGBMBooster(path).is_compiled


def _scaled_tree(**fields: Any) -> forest.Tree:
    return forest.Tree(**{**fields, "values": fields["values"] * 1.0000001})


def test_without_the_shared_library_the_boosters_own_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lightgbm_file(tmp_path / "model.lgb")
    monkeypatch.setattr(forest, "forest_library", lambda: None)
    booster = LightGBMBooster(path)
    matrix, _ = learning_rows(50)

    assert not booster.is_compiled
    assert booster.predict(matrix).tobytes() == LightGBMBooster(path, compiled=False).predict(matrix).tobytes()

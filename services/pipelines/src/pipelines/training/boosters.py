"""Fitting the native boosters, the same way every time.

A fitted booster is read back from the bytes that will be published (cut to its best round) before anything is
predicted with it, so that tables, figures and golden rows belong to exactly that file.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipelines.training.declaration import Array, BoosterChoice, Task

__all__ = ["FILES", "THREADS", "FittedBooster", "LearningRows", "file_sha256", "fit_booster"]

FILES: Mapping[str, str] = {"lightgbm": "model.lgb", "xgboost": "model.ubj"}
"""File name of each library's booster among the artefacts; MLflow's flavours give them."""
THREADS = 1
"""Fixed, since sums of floats depend on it; one, since two were 10 × slower on two cores that others use as well (each
round ends in a barrier)."""
_SEED = 20231101


@dataclass(frozen=True, slots=True)
class LearningRows:
    """What a booster learns from: (n, m) float64 matrices with codes and NaN, (n,) labels as the booster sees them."""

    train: tuple[Array, Array]
    validation: tuple[Array, Array]
    names: Sequence[str]
    categorical: Sequence[int]
    """Columns that hold codes."""


@dataclass(frozen=True, slots=True)
class FittedBooster:
    """A native booster and what was set to get it."""

    library: Literal["lightgbm", "xgboost"]
    booster: Any
    rounds: int
    parameters: Mapping[str, float | int | str | bool]

    def predict(self, matrix: Array) -> Array:
        """Return the objective's own answer (probability or number), (n,), for (n, m) float64."""
        if self.library == "lightgbm":
            return np.asarray(self.booster.predict(matrix), dtype=np.float64)
        import xgboost

        return np.asarray(self.booster.predict(xgboost.DMatrix(matrix, missing=np.nan)), dtype=np.float64)

    def importance(self) -> Array:
        """Return each column's total gain, (m,)."""
        if self.library == "lightgbm":
            return np.asarray(self.booster.feature_importance("gain"), dtype=np.float64)
        gains = self.booster.get_score(importance_type="total_gain")
        return np.array([gains.get(f"f{i}", 0.0) for i in range(self.booster.num_features())])


def fit_booster(choice: BoosterChoice, task: Task, rows: LearningRows) -> FittedBooster:
    """Fit with early stopping on the validation rows.

    LightGBM splits the categorical columns as sets of codes, XGBoost as ordered numbers: its native sets would
    need another matrix type at serving time.
    """
    return _fit_lightgbm(choice, task, rows) if choice.library == "lightgbm" else _fit_xgboost(choice, task, rows)


def file_sha256(content: bytes) -> str:
    """Return the hex sha256 of a booster's file."""
    return hashlib.sha256(content).hexdigest()


def _fit_lightgbm(choice: BoosterChoice, task: Task, rows: LearningRows) -> FittedBooster:
    import lightgbm

    parameters: dict[str, float | int | str | bool] = {
        "objective": "regression" if task == "regression" else "binary",
        "learning_rate": 0.05,
        "num_leaves": 31,
        "min_data_in_leaf": 40,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "max_cat_to_onehot": 4,
        "cat_smooth": 20.0,
        "min_data_per_group": 50,
        **choice.parameters,
        "seed": _SEED,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": THREADS,
        "verbosity": -1,
    }
    learn = lightgbm.Dataset(*rows.train, feature_name=list(rows.names), categorical_feature=list(rows.categorical))
    stop = lightgbm.Dataset(*rows.validation, reference=learn)
    booster = lightgbm.train(
        parameters,
        learn,
        num_boost_round=choice.rounds,
        valid_sets=[stop],
        callbacks=[lightgbm.early_stopping(choice.stop_after, verbose=False)],
    )
    rounds = int(booster.best_iteration or choice.rounds)
    text = booster.model_to_string(num_iteration=rounds)
    return FittedBooster("lightgbm", lightgbm.Booster(model_str=text), rounds, parameters)


def _fit_xgboost(choice: BoosterChoice, task: Task, rows: LearningRows) -> FittedBooster:
    import xgboost

    parameters: dict[str, float | int | str | bool] = {
        "objective": "reg:squarederror" if task == "regression" else "binary:logistic",
        "eta": 0.05,
        "max_depth": 5,
        "min_child_weight": 20,
        "subsample": 0.8,
        "colsample_bytree": 0.7,
        "lambda": 5.0,
        "tree_method": "hist",
        **choice.parameters,
        "seed": _SEED,
        "nthread": THREADS,
        "verbosity": 0,
    }
    # No feature names in the booster: a plain matrix predicts without repeating them.
    learn = xgboost.DMatrix(*rows.train, missing=np.nan)
    stop = xgboost.DMatrix(*rows.validation, missing=np.nan)
    booster = xgboost.train(
        parameters,
        learn,
        num_boost_round=choice.rounds,
        evals=[(stop, "validation")],
        early_stopping_rounds=choice.stop_after,
        verbose_eval=False,
    )
    rounds = int(booster.best_iteration) + 1
    content = booster[:rounds].save_raw(raw_format="ubj")
    read_back = xgboost.Booster(params={"nthread": THREADS}, model_file=bytearray(content))
    return FittedBooster("xgboost", read_back, rounds, parameters)

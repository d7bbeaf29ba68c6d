"""From a training set to a fitted model with its tables and figures; nothing is published yet."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.training.boosters import FittedBooster, LearningRows, fit_booster
from pipelines.training.declaration import Array, HeldOut, ModelDeclaration, Scored
from pipelines.training.metrics import evaluate
from pipelines.training.splitting import Part
from pipelines.training.training_set import TrainingSet

__all__ = ["FittedModel", "TestSlice", "fit"]

_SEED = 7


@dataclass(frozen=True, slots=True)
class TestSlice:
    """Rows that neither the booster nor the tables have seen."""

    __test__ = False  # pytest: not a test class

    rows: pa.Table
    """Keys, further ids, `label_time`, `label`."""
    label: Array
    predicted: Array
    """(n,) in the scale of the transformed label; calibrated where the task is binary or ranking."""


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A booster, its tables, and how both did on the test slice."""

    booster: FittedBooster
    tables: dict[str, tuple[float, ...]]
    metrics: dict[str, float]
    naive: dict[str, float]
    """The same metrics of the naive baseline."""
    test: TestSlice
    reference_raw: Array
    """(p,) booster's answers over the population, for the output's reference bins."""
    seconds: float


def fit(declaration: ModelDeclaration, training_set: TrainingSet) -> FittedModel:
    """Fit the booster, then the output tables on the calibration slice, then measure on the test slice.

    Deterministic: the same declaration and training set give the same file, tables and figures.
    """
    began = time.perf_counter()
    booster = _fit(declaration, training_set)
    calibration = _held_out(declaration, training_set, booster, Part.CALIBRATION)
    tables = declaration.tables.build(calibration)
    test = _held_out(declaration, training_set, booster, Part.TEST)
    chosen = training_set.part == Part.TEST
    rows = training_set.rows.filter(pa.array(chosen))
    label = training_set.label[chosen]
    predicted = test.known.raw if declaration.task == "regression" else declaration.tables.main(test.known.raw, tables)
    metrics = evaluate(declaration, rows, label, predicted) | declaration.tables.metrics(test, tables)
    return FittedModel(
        booster=booster,
        tables=tables,
        metrics=metrics,
        naive=evaluate(declaration, rows, label, _naive(declaration, training_set)),
        test=TestSlice(rows, label, predicted),
        reference_raw=test.population,
        seconds=time.perf_counter() - began,
    )


def transformed(declaration: ModelDeclaration, label: Array) -> Array:
    """Return the label in the scale that the booster learns."""
    return np.log(label) if declaration.label_transform == "log" else label


def masked(declaration: ModelDeclaration, training_set: TrainingSet, matrix: Array) -> Array:
    """Return a copy of model rows (n, m) with all but the features kept of an anonymous profile missing."""
    if declaration.masked is None:
        return matrix
    lost = [feature.name not in declaration.masked.keep for feature in training_set.inputs]
    copy = matrix.copy()
    copy[:, lost] = np.nan
    return copy


def _fit(declaration: ModelDeclaration, training_set: TrainingSet) -> FittedBooster:
    inputs = training_set.inputs
    rows = LearningRows(
        train=_learning_rows(declaration, training_set, Part.TRAIN),
        validation=_learning_rows(declaration, training_set, Part.VALIDATION),
        names=[feature.name for feature in inputs],
        categorical=[position for position, feature in enumerate(inputs) if feature.dtype == "category"],
    )
    return fit_booster(declaration.booster, declaration.task, rows)


def _learning_rows(declaration: ModelDeclaration, training_set: TrainingSet, part: Part) -> tuple[Array, Array]:
    matrix, label = _part(declaration, training_set, part)
    if declaration.masked is None:
        return matrix, label
    copied = np.random.default_rng(_SEED + part).random(len(label)) < declaration.masked.share
    copies = masked(declaration, training_set, matrix[copied])
    return np.concatenate([matrix, copies]), np.concatenate([label, label[copied]])


def _part(declaration: ModelDeclaration, training_set: TrainingSet, part: Part) -> tuple[Array, Array]:
    chosen = training_set.part == part
    matrix = with_defaults(training_set, training_set.matrix[chosen][:, training_set.input_columns])
    return np.ascontiguousarray(matrix), transformed(declaration, training_set.label[chosen])


def with_defaults(training_set: TrainingSet, matrix: Array) -> Array:
    """Return model rows (n, m) as the predictor hands them to the booster: missing values with a default filled."""
    for position, feature in enumerate(training_set.inputs):
        if feature.default is not None:
            matrix[np.isnan(matrix[:, position]), position] = feature.default
    return matrix


def _held_out(declaration: ModelDeclaration, training_set: TrainingSet, booster: FittedBooster, part: Part) -> HeldOut:
    matrix, label = _part(declaration, training_set, part)
    known = Scored(booster.predict(matrix), label)
    anonymous = known
    if declaration.masked is not None:
        anonymous = Scored(booster.predict(masked(declaration, training_set, matrix)), label)
    population = known.raw
    if len(training_set.population):
        rows = with_defaults(training_set, training_set.population[:, training_set.input_columns].copy())
        population = booster.predict(np.ascontiguousarray(rows))
    return HeldOut(known, anonymous, population)


def _naive(declaration: ModelDeclaration, training_set: TrainingSet) -> Array:
    train: Mapping[str, Array] = training_set.columns(Part.TRAIN)
    label = transformed(declaration, training_set.label[training_set.part == Part.TRAIN])
    return declaration.naive.predict(train, label, training_set.columns(Part.TEST))

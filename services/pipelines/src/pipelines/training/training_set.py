"""A point-in-time training set: rows as the model will see them, with labels and times."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inference.contract import FeatureSpec, OnDemandSpec
from pipelines.training.declaration import Array, ModelDeclaration
from pipelines.training.encoding import add_on_demand, encode, learn_categories
from pipelines.training.feature_plan import plan_features
from pipelines.training.label_rows import LABEL, LABEL_TIME, query_labels, query_population
from pipelines.training.leakage import check_history, check_single_features, check_times
from pipelines.training.point_in_time import retrieve
from pipelines.training.splitting import Part, assign_parts

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["TrainingSet", "build_training_set", "load_training_set", "save_training_set"]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """n label rows and p population rows with the f features of the contract."""

    features: tuple[FeatureSpec, ...]
    on_demand: tuple[OnDemandSpec, ...]
    rows: pa.Table
    """(n) join keys, further ids, `label_time`, `label` as observed."""
    matrix: Array
    """(n, f), columns in the order of `features`."""
    part: NDArray[np.int8]
    """(n,) of `Part`."""
    population: Array
    """(p, f); p is 0 where the declaration names no population."""
    fingerprint: str

    @property
    def inputs(self) -> tuple[FeatureSpec, ...]:
        """Features that are columns of the model."""
        return tuple(feature for feature in self.features if feature.model_input)

    @property
    def input_columns(self) -> NDArray[np.intp]:
        """Positions of the model's columns in `matrix`."""
        return np.flatnonzero([feature.model_input for feature in self.features])

    @property
    def label(self) -> Array:
        """(n,) labels as observed."""
        return np.asarray(self.rows[LABEL].to_numpy(), dtype=np.float64)

    def columns(self, part: Part) -> dict[str, Array]:
        """Return the features of one part by name."""
        chosen = self.matrix[self.part == part]
        return {feature.name: chosen[:, position] for position, feature in enumerate(self.features)}


def build_training_set(declaration: ModelDeclaration, store: "FeatureStore", labels: Path) -> TrainingSet:
    """Join labels with features as they were known at each label's time, and check that nothing leaks.

    Args:
        declaration: the model.
        store: Feast's store that knows the declaration's feature service.
        labels: directory of published label tables.

    Raises LabelError, FeatureError, ProhibitedFeatureError and LeakageError.
    """
    plan = plan_features(store, declaration)
    rows = query_labels(declaration, labels, plan.views)
    people = query_population(declaration, labels, plan.views)
    asked = rows.select([*declaration.entities, LABEL_TIME])
    if people is not None:
        asked = pa.concat_tables([asked, people.select(asked.column_names)], promote_options="permissive")
    known = retrieve(store, plan, asked, declaration.entities)

    labelled = known.slice(0, rows.num_rows)
    check_history(plan, rows, labelled)
    check_times(plan, rows, labelled, declaration.leakage)

    part = assign_parts(rows, declaration.entities, declaration.split)
    stored = learn_categories(plan.stored, labelled.filter(pa.array(part == Part.TRAIN)))
    columns = add_on_demand(plan.on_demand, encode(stored, known))
    features = (*stored, *plan.computed)
    matrix = np.ascontiguousarray(np.column_stack([columns[feature.name] for feature in features]))
    matrix[np.isnan(matrix)] = np.nan  # one bit pattern of NaN, so that the fingerprint is of values alone
    label = np.asarray(rows[LABEL].to_numpy(), dtype=np.float64)
    check_single_features(features, matrix[: rows.num_rows], label, declaration)
    return TrainingSet(
        features=features,
        on_demand=plan.on_demand,
        rows=rows,
        matrix=matrix[: rows.num_rows],
        part=part,
        population=matrix[rows.num_rows :],
        fingerprint=_fingerprint(features, rows, matrix[: rows.num_rows]),
    )


def save_training_set(training_set: TrainingSet, directory: Path) -> None:
    """Write the set as Arrow IPC files and its description as JSON; `load_training_set` reads it back."""
    directory.mkdir(parents=True, exist_ok=True)
    part = pa.array(training_set.part, pa.int8())
    _write(directory / "rows.arrow", training_set.rows.append_column("part", part))
    _write(directory / "features.arrow", _table(training_set.features, training_set.matrix))
    _write(directory / "population.arrow", _table(training_set.features, training_set.population))
    description = {
        "features": training_set.features,
        "on_demand": training_set.on_demand,
        "fingerprint": training_set.fingerprint,
    }
    (directory / "training_set.json").write_bytes(msgspec.json.encode(description))


def load_training_set(directory: Path) -> TrainingSet:
    """Read what `save_training_set` wrote. Raises FileNotFoundError where there is none."""
    description: Mapping[str, object] = msgspec.json.decode((directory / "training_set.json").read_bytes())
    rows = _read(directory / "rows.arrow")
    return TrainingSet(
        features=msgspec.convert(description["features"], tuple[FeatureSpec, ...]),
        on_demand=msgspec.convert(description["on_demand"], tuple[OnDemandSpec, ...]),
        rows=rows.drop_columns(["part"]),
        matrix=_matrix(_read(directory / "features.arrow")),
        part=rows["part"].to_numpy().astype(np.int8),
        population=_matrix(_read(directory / "population.arrow")),
        fingerprint=str(description["fingerprint"]),
    )


def _fingerprint(features: tuple[FeatureSpec, ...], rows: pa.Table, matrix: Array) -> str:
    """sha256 over the Arrow IPC bytes of keys, times, labels and feature values, in the rows' fixed order."""
    table = rows.select(sorted(rows.column_names))
    for position, feature in enumerate(features):
        table = table.append_column(f"feature:{feature.name}", pa.array(matrix[:, position]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as writer:
        writer.write_table(table.combine_chunks().replace_schema_metadata(None))
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _table(features: tuple[FeatureSpec, ...], matrix: Array) -> pa.Table:
    return pa.table({feature.name: pa.array(matrix[:, position]) for position, feature in enumerate(features)})


def _matrix(table: pa.Table) -> Array:
    return np.ascontiguousarray(np.column_stack([column.to_numpy() for column in table.columns]), dtype=np.float64)


def _write(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read(path: Path) -> pa.Table:
    with pa.OSFile(str(path), "rb") as source:
        return pa.ipc.open_file(source).read_all()

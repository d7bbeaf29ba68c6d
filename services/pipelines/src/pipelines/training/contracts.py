"""The contract of a fitted model."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from inference.contract import (
    CONTRACT_VERSION,
    BoosterSpec,
    Contract,
    GoldenRows,
    OutputSpec,
    ProhibitedStatement,
    TrainingRecord,
)
from pipelines.training.boosters import FILES, file_sha256
from pipelines.training.declaration import Array, ModelDeclaration
from pipelines.training.fitting import FittedModel, masked, with_defaults
from pipelines.training.label_rows import LABEL_TIME
from pipelines.training.reference_bins import feature_bins, number_bins
from pipelines.training.splitting import Part
from pipelines.training.training_set import TrainingSet

__all__ = ["build_contract"]

_GOLDEN_ROWS = 16
_TOLERANCE = {"lightgbm": 1e-9, "xgboost": 1e-6}
"""XGBoost sums in float32."""
_CHECKED = (
    "Names and `prohibited` tags of every feature that the feature service reaches, on-demand inputs included, were "
    "held against this list before the training set was built."
)


def build_contract(
    declaration: ModelDeclaration, training_set: TrainingSet, model: FittedModel, directory: Path
) -> Contract:
    """Return the contract of the booster whose file lies in `directory`."""
    train = training_set.part == Part.TRAIN
    features = tuple(
        msgspec.structs.replace(feature, bins=feature_bins(feature, training_set.matrix[train, position]))
        for position, feature in enumerate(training_set.features)
    )
    library = model.booster.library
    file = FILES[library]
    main = declaration.tables.main(model.reference_raw, model.tables)
    return Contract(
        contract_version=CONTRACT_VERSION,
        model=declaration.name,
        task=declaration.task,
        entities=declaration.entities,
        feature_service=declaration.feature_service,
        features=features,
        on_demand=training_set.on_demand,
        booster=BoosterSpec(library=library, file=file, sha256=file_sha256((directory / file).read_bytes())),
        output=OutputSpec(name=declaration.output, unit=declaration.unit, tables=model.tables, bins=number_bins(main)),
        golden=_golden(declaration, training_set, model),
        training=TrainingRecord(
            fingerprint=training_set.fingerprint,
            rows=int(train.sum()),
            started_at=_time(pc.min(training_set.rows[LABEL_TIME])),
            ended_at=_time(pc.max(training_set.rows[LABEL_TIME].filter(pa.array(train)))),
            label_query=declaration.label_query,
            metrics={name: value for name, value in model.metrics.items() if np.isfinite(value)},
        ),
        prohibited=ProhibitedStatement(attributes=declaration.prohibited, checked=_CHECKED),
    )


def _golden(declaration: ModelDeclaration, training_set: TrainingSet, model: FittedModel) -> GoldenRows:
    """Rows over the whole range of answers, with holes, as an anonymous profile, and with nothing known at all."""
    matrix = training_set.matrix[training_set.part == Part.TEST][:, training_set.input_columns]
    order = np.argsort(model.booster.predict(with_defaults(training_set, matrix.copy())), kind="stable")
    spread = matrix[order[np.linspace(0, len(order) - 1, _GOLDEN_ROWS).astype(int)]]
    holes = spread[::2].copy()
    holes[np.random.default_rng(0).random(holes.shape) < 0.5] = np.nan
    empty = np.full((1, matrix.shape[1]), np.nan)
    rows: Array = np.concatenate([spread, holes, masked(declaration, training_set, spread[::4]), empty])
    rows = with_defaults(training_set, rows)
    return GoldenRows(
        inputs=tuple(tuple(None if np.isnan(value) else float(value) for value in row) for row in rows),
        raw=tuple(model.booster.predict(np.ascontiguousarray(rows)).tolist()),
        tolerance=_TOLERANCE[model.booster.library],
    )


def _time(scalar: pa.Scalar) -> str:
    moment: datetime = scalar.as_py()
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

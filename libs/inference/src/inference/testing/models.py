"""Small real models on disk, laid out as a registered model version is."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.contract import (
    CONTRACT_FILE,
    CONTRACT_VERSION,
    BoosterSpec,
    Contract,
    FeatureSpec,
    GoldenRows,
    OnDemandSpec,
    OutputSpec,
    ProhibitedStatement,
    TrainingRecord,
)
from inference.contract_checks import encode_contract
from inference.features import FeatureReader
from inference.model import LiveModel, ModelVersion, VersionOrigin, load_model_version
from inference.testing.readers import InMemoryFeatureReader

__all__ = ["FixedModel", "live_model", "tiny_features", "tiny_model"]

_MODULES = ("inference.testing", "marketplace.on_demand")
_ROWS = 400


class FixedModel:
    """A model source that always gives the same version; assign `live` to swap it."""

    def __init__(self, live: LiveModel) -> None:
        self.live = live

    def current(self) -> LiveModel:
        """Give the live version."""
        return self.live


def tiny_features(entities: Sequence[str] = ("candidate_id",)) -> tuple[FeatureSpec, ...]:
    """A few stored features of the sample marketplace, of every kind that a booster meets."""
    features = [
        _feature("candidate_profile:role", "category", categories=("backend", "frontend", "designer", "product")),
        _feature("candidate_profile:years_experience", "float", unit="years", required=True, minimum=0, maximum=60),
        _feature("candidate_profile:desired_rate_yen", "int", unit="JPY/hour", minimum=0, maximum=100_000),
        _feature("candidate_profile:has_github", "bool"),
        _feature("candidate_activity:commits_90d", "int", minimum=0),
        _feature("candidate_activity:articles_90d", "int", minimum=0, default=0.0),
    ]
    if "job_id" in entities:
        features += [
            _feature("job_profile:job_rate_max_yen", "int", unit="JPY/hour", minimum=0),
            _feature("job_profile:job_skill_count", "int", minimum=0),
        ]
    return tuple(features)


def tiny_model(
    directory: Path,
    *,
    model: str = "hourly_rate",
    task: Literal["binary", "regression", "ranking"] = "regression",
    entities: Sequence[str] = ("candidate_id",),
    output: OutputSpec | None = None,
    features: Sequence[FeatureSpec] | None = None,
    library: Literal["lightgbm", "xgboost"] = "lightgbm",
    on_demand: bool = False,
    centre: float = 8.5,
    trees: int = 12,
    seed: int = 0,
) -> Contract:
    """Train a real booster on random rows and write its file and `contract.json` to `directory`.

    A regression's outputs lie about `centre` (8.5 is log of 4,900 yen), a binary model's in (0, 1). With `on_demand`
    there is one on-demand feature too, from `inference.testing.on_demand`. Imports the booster's package.
    """
    specs = tuple(tiny_features(entities) if features is None else features)
    views: tuple[OnDemandSpec, ...] = ()
    if on_demand:
        inputs = ("desired_rate_yen", "years_experience")
        views = (OnDemandSpec("rate_fit", "inference.testing:rate_per_year", inputs, ("rate_per_year",)),)
        specs += (
            FeatureSpec(name="rate_per_year", reference="rate_fit:rate_per_year", source="on_demand", dtype="float"),
        )
    columns = [spec for spec in specs if spec.model_input]
    rng = np.random.default_rng(seed)
    matrix = _sample(rng, columns)
    signal = np.nansum(_standard(matrix) * rng.normal(size=matrix.shape[1]), axis=1) * 0.2
    label = centre + signal if task == "regression" else (signal > 0).astype(np.float64)
    objective = "regression" if task == "regression" else "binary"
    directory.mkdir(parents=True, exist_ok=True)
    train = _train_lightgbm if library == "lightgbm" else _train_xgboost
    file, raw = train(directory, matrix, label, columns, objective=objective, trees=trees)
    golden = matrix[:16]
    contract = Contract(
        contract_version=CONTRACT_VERSION,
        model=model,
        task=task,
        entities=tuple(entities),
        feature_service=model,
        features=specs,
        on_demand=views,
        booster=BoosterSpec(library, file.name, hashlib.sha256(file.read_bytes()).hexdigest()),
        output=output or OutputSpec(name="estimate", unit=""),
        golden=GoldenRows(
            inputs=tuple(tuple(None if np.isnan(value) else float(value) for value in row) for row in golden),
            raw=tuple(float(value) for value in raw[:16]),
            tolerance=1e-9 if library == "lightgbm" else 1e-6,
        ),
        training=TrainingRecord(
            fingerprint=hashlib.sha256(matrix.tobytes()).hexdigest(),
            rows=_ROWS,
            started_at="2026-01-01T00:00:00Z",
            ended_at="2026-06-30T00:00:00Z",
            label_query="random",
        ),
        prohibited=ProhibitedStatement(("nationality", "birthplace"), "random features"),
    )
    (directory / CONTRACT_FILE).write_bytes(encode_contract(contract))
    return contract


def live_model(
    directory: Path, reader: FeatureReader | None = None, *, version: str = "1", alias: str = "champion"
) -> LiveModel:
    """Load what `tiny_model` wrote, with an empty in-memory reader unless one is given."""
    loaded = _load(directory, version, alias)
    return LiveModel(loaded, reader or InMemoryFeatureReader(loaded.contract))


def _load(directory: Path, version: str, alias: str) -> ModelVersion:
    name = msgspec.json.decode((directory / CONTRACT_FILE).read_bytes(), type=Contract).model
    origin = VersionOrigin(name=name, version=version, alias=alias, run_id=f"run-{version}")
    return load_model_version(directory, origin, on_demand_modules=_MODULES)


def _feature(
    reference: str,
    dtype: Literal["float", "int", "bool", "category", "timestamp"],
    *,
    unit: str = "",
    categories: tuple[str, ...] = (),
    required: bool = False,
    default: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> FeatureSpec:
    return FeatureSpec(
        name=reference.partition(":")[2],
        reference=reference,
        source="stored",
        dtype=dtype,
        unit=unit,
        categories=categories,
        required=required,
        default=default,
        minimum=minimum,
        maximum=maximum,
    )


def _sample(rng: np.random.Generator, columns: Sequence[FeatureSpec]) -> NDArray[np.float64]:
    matrix = np.empty((_ROWS, len(columns)))
    for position, spec in enumerate(columns):
        if spec.dtype == "category":
            matrix[:, position] = rng.integers(0, len(spec.categories), _ROWS)
        elif spec.dtype == "bool":
            matrix[:, position] = rng.integers(0, 2, _ROWS)
        else:
            low = spec.minimum or 0.0
            high = low + 100.0 if spec.maximum is None else spec.maximum
            drawn = rng.uniform(low, high, _ROWS)
            matrix[:, position] = np.floor(drawn) if spec.dtype == "int" else drawn
        if spec.default is None:
            matrix[rng.random(_ROWS) < 0.1, position] = np.nan
    return matrix


def _standard(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = (matrix - np.nanmean(matrix, axis=0)) / (np.nanstd(matrix, axis=0) + 1e-9)
    return scaled


def _train_lightgbm(
    directory: Path,
    matrix: NDArray[np.float64],
    label: NDArray[np.float64],
    columns: Sequence[FeatureSpec],
    *,
    objective: str,
    trees: int,
) -> tuple[Path, NDArray[np.float64]]:
    import lightgbm

    categorical = [position for position, spec in enumerate(columns) if spec.dtype == "category"]
    dataset = lightgbm.Dataset(matrix, label, categorical_feature=categorical, params={"verbose": -1})
    parameters = {"objective": objective, "num_leaves": 8, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(parameters, dataset, num_boost_round=trees)
    path = directory / "model.lgb"
    booster.save_model(path)
    return path, lightgbm.Booster(model_file=path).predict(matrix)


def _train_xgboost(
    directory: Path,
    matrix: NDArray[np.float64],
    label: NDArray[np.float64],
    columns: Sequence[FeatureSpec],
    *,
    objective: str,
    trees: int,
) -> tuple[Path, NDArray[np.float64]]:
    import xgboost

    types = ["c" if spec.dtype == "category" else "q" for spec in columns]
    dataset = xgboost.DMatrix(matrix, label, feature_types=types, enable_categorical=True)
    objective = "reg:squarederror" if objective == "regression" else "binary:logistic"
    booster = xgboost.train({"objective": objective, "max_depth": 4, "nthread": 1}, dataset, num_boost_round=trees)
    path = directory / "model.ubj"
    booster.save_model(path)
    return path, xgboost.Booster(model_file=str(path)).inplace_predict(matrix).astype(np.float64)

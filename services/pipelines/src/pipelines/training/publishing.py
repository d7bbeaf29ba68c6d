"""A fitted model becomes a model version in MLflow: run, artefacts with `contract.json`, tags, alias.

The alias `champion` is given to the first version that passes its gates; later ones become `challenger`, and a person
promotes them. A version that fails a gate is registered, tagged, and named by no alias.
"""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from inference.contract import CONTRACT_FILE, Contract
from pipelines.training.boosters import FittedBooster
from pipelines.training.contracts import build_contract
from pipelines.training.declaration import ModelDeclaration, declaration_hash
from pipelines.training.fitting import FittedModel
from pipelines.training.gates import GateResult, check_gates
from pipelines.training.training_set import TrainingSet

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["CHALLENGER", "CHAMPION", "Promotion", "PublishedVersion", "promote", "publish", "published_alike"]

CHAMPION = "champion"
CHALLENGER = "challenger"
Promotion = Literal["first", "always", "never"]
"""Who becomes champion: the first version that passes its gates, each that passes, or none by itself."""


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """A model version as MLflow knows it."""

    name: str
    version: str
    run_id: str
    alias: str
    """`champion`, `challenger`, or empty when a gate failed or nothing may be promoted."""
    contract: Contract
    gates: tuple[GateResult, ...]


def published_alike(mlflow_url: str, name: str, tags: Mapping[str, str]) -> str | None:
    """Return the version that `champion` or `challenger` names and that bears all of `tags`, if there is one."""
    client = _client(mlflow_url)
    for alias in (CHAMPION, CHALLENGER):
        version = _aliased(client, name, alias)
        if version is not None and all(version.tags.get(tag) == value for tag, value in tags.items()):
            return str(version.version)
    return None


def publish(
    declaration: ModelDeclaration,
    training_set: TrainingSet,
    model: FittedModel,
    *,
    mlflow_url: str,
    promotion: Promotion = "first",
    tags: Mapping[str, str] | None = None,
) -> PublishedVersion:
    """Log the run, the artefacts and the model version; set the alias that the gates and `promotion` allow.

    Raises mlflow.exceptions.MlflowException when the server refuses or is away.
    """
    client = _client(mlflow_url)
    gates = check_gates(declaration, model)
    passed = all(gate.passed for gate in gates)
    run = client.create_run(_experiment(client, declaration.name), run_name=declaration.name)
    run_id = run.info.run_id
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch, "model")
        contract = _save(declaration, training_set, model, directory)
        _log_run(client, run_id, declaration, training_set, model)
        logged = client.create_logged_model(
            run.info.experiment_id, name=declaration.name, source_run_id=run_id, model_type=model.booster.library
        )
        client.log_model_artifacts(logged.model_id, str(directory))
        client.finalize_logged_model(logged.model_id, "READY")
        for name, value in contract.training.metrics.items():
            client.log_metric(run_id, name, value, model_id=logged.model_id)
    outcome = {"gates": "passed" if passed else "failed"}
    version = _register(
        client,
        declaration,
        logged,
        tags={**_tags(declaration, training_set), **outcome, **(tags or {})},
        description="; ".join(str(gate) for gate in gates),
    )
    client.set_terminated(run_id, "FINISHED")
    alias = promote(declaration.name, version, mlflow_url=mlflow_url, promotion=promotion) if passed else ""
    return PublishedVersion(declaration.name, version, run_id, alias, contract, gates)


def promote(name: str, version: str, *, mlflow_url: str, promotion: Promotion) -> str:
    """Set and return the alias that `promotion` allows for a version whose gates passed; empty for none."""
    if promotion == "never":
        return ""
    client = _client(mlflow_url)
    first = _aliased(client, name, CHAMPION) is None
    alias = CHAMPION if first or promotion == "always" else CHALLENGER
    client.set_registered_model_alias(name, alias, version)
    return alias


def _tags(declaration: ModelDeclaration, training_set: TrainingSet) -> dict[str, str]:
    return {"declaration": declaration_hash(declaration), "training_fingerprint": training_set.fingerprint}


def _save(declaration: ModelDeclaration, training_set: TrainingSet, model: FittedModel, directory: Path) -> Contract:
    inputs = training_set.inputs
    example = training_set.matrix[: min(5, len(training_set.matrix))][:, training_set.input_columns]
    _save_flavour(model.booster, [feature.name for feature in inputs], example, directory)
    contract = build_contract(declaration, training_set, model, directory)
    (directory / CONTRACT_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(contract), indent=1))
    return contract


def _save_flavour(booster: FittedBooster, names: Sequence[str], example: Any, directory: Path) -> None:
    """Save with MLflow's own flavour, so that `mlflow models serve` loads it; every column is a double."""
    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.double, name) for name in names]),
        outputs=Schema([TensorSpec(np.dtype(np.float64 if booster.library == "lightgbm" else np.float32), (-1,))]),
    )
    requirements = {"lightgbm": "lightgbm", "xgboost": "xgboost-cpu"}
    flavour = mlflow.lightgbm if booster.library == "lightgbm" else mlflow.xgboost
    flavour.save_model(
        booster.booster,
        str(directory),
        signature=signature,
        input_example=pd.DataFrame(example, columns=list(names)),
        pip_requirements=[requirements[booster.library]],
    )


def _log_run(
    client: "MlflowClient", run_id: str, declaration: ModelDeclaration, training_set: TrainingSet, model: FittedModel
) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    figures = {f"naive_{name}": value for name, value in model.naive.items()} | {"fit_seconds": model.seconds}
    metrics = [Metric(name, value, now, 0) for name, value in figures.items() if np.isfinite(value)]
    parameters = {
        "library": model.booster.library,
        "rounds": model.booster.rounds,
        "features": len(training_set.inputs),
        "rows": len(training_set.matrix),
        "feature_service": declaration.feature_service,
        "task": declaration.task,
        **model.booster.parameters,
    }
    client.log_batch(run_id, metrics=metrics, params=[Param(name, str(value)) for name, value in parameters.items()])
    gain = model.booster.importance()
    ranked = sorted(zip(gain.tolist(), (feature.name for feature in training_set.inputs), strict=True), reverse=True)
    client.log_dict(run_id, {name: value for value, name in ranked}, "importance.json")
    client.log_text(run_id, declaration.label_query, "label_query.sql")


def _register(
    client: "MlflowClient", declaration: ModelDeclaration, logged: Any, *, tags: Mapping[str, str], description: str
) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(declaration.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(declaration.name, description=f"{declaration.output} in {declaration.unit}")
    version = client.create_model_version(
        declaration.name,
        logged.artifact_location,
        run_id=logged.source_run_id,
        model_id=logged.model_id,
        tags=dict(tags),
        description=description,
        await_creation_for=0,
    )
    return str(version.version)


def _aliased(client: "MlflowClient", name: str, alias: str) -> Any | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        # An alias that is not set is answered with INVALID_PARAMETER_VALUE, an unknown model with the other.
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def _experiment(client: "MlflowClient", name: str) -> str:
    known = client.get_experiment_by_name(name)
    return str(known.experiment_id) if known is not None else str(client.create_experiment(name))


def _client(mlflow_url: str) -> "MlflowClient":
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=mlflow_url, registry_uri=mlflow_url)

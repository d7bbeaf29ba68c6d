"""The trainer: a declaration, a feature store and label tables in, a model version out."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.training.declaration import ModelDeclaration, declaration_hash
from pipelines.training.fitting import FittedModel, fit
from pipelines.training.publishing import Promotion, PublishedVersion, publish
from pipelines.training.training_set import TrainingSet, build_training_set

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["TrainedModel", "inputs_digest", "train"]


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What one run of the trainer made."""

    declaration: ModelDeclaration
    training_set: TrainingSet
    fitted: FittedModel
    published: PublishedVersion
    seconds: float


def train(
    declaration: ModelDeclaration,
    *,
    store: "FeatureStore",
    labels: Path,
    mlflow_url: str,
    promotion: Promotion = "first",
) -> TrainedModel:
    """Build the training set, fit, publish.

    Args:
        declaration: the model.
        store: Feast's store; its feature service is the declaration's.
        labels: directory whose `<name>.parquet` are the tables `labels.<name>` of the label query.
        mlflow_url: tracking server and registry.
        promotion: who becomes champion.

    Raises TrainingError (see `pipelines.training.errors`) and MLflow's own exceptions. A failed gate raises nothing:
    it shows in `published.gates`, and no alias names the version.
    """
    began = time.perf_counter()
    training_set = build_training_set(declaration, store, labels)
    fitted = fit(declaration, training_set)
    published = publish(declaration, training_set, fitted, mlflow_url=mlflow_url, promotion=promotion)
    return TrainedModel(declaration, training_set, fitted, published, time.perf_counter() - began)


def inputs_digest(declaration: ModelDeclaration, files: list[Path]) -> str:
    """Return the sha256 over the declaration and the bytes of the files it reads: unchanged, no work is due."""
    digest = hashlib.sha256(declaration_hash(declaration).encode())
    for file in sorted(files):
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
        digest.update(file.name.encode())
    return digest.hexdigest()

"""The trainer in steps that can be taken again at no cost: what is there and unchanged is not made anew.

<home>/training/<model>/   rows.arrow, features.arrow, population.arrow, training_set.json   the training set
                           inputs                                                            what it was made of
                           figures.json                                                      the version made of it
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pipelines.training.declaration import ModelDeclaration, declaration_hash
from pipelines.training.fitting import fit
from pipelines.training.gates import GateResult
from pipelines.training.publishing import Promotion, promote, publish, published_alike
from pipelines.training.train import inputs_digest
from pipelines.training.training_set import (
    TrainingSet,
    build_training_set,
    load_training_set,
    save_training_set,
)

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["Figures", "TrainingHome", "make_training_set", "make_version", "promote_version", "read_figures"]


@dataclass(frozen=True, slots=True)
class TrainingHome:
    """Where a model's training lives."""

    home: Path
    model: str

    @property
    def labels(self) -> Path:
        """Directory of the published label tables."""
        return self.home / "warehouse" / "labels"

    @property
    def directory(self) -> Path:
        """Directory of this model's training set and figures."""
        return self.home / "training" / self.model

    def inputs(self, definitions: Path) -> list[Path]:
        """Files that a training set follows from: labels, feature tables, Feast definitions."""
        features = (self.home / "warehouse" / "features").glob("*.parquet")
        return [*self.labels.glob("*.parquet"), *features, *definitions.glob("*.py")]


class Figures(msgspec.Struct, frozen=True):
    """A model version's figures on its test slice."""

    version: str
    alias: str
    fingerprint: str
    declaration: str
    metrics: dict[str, float | None]
    naive: dict[str, float | None]
    gates: tuple[GateResult, ...]
    rounds: int
    fit_seconds: float

    @property
    def passed(self) -> bool:
        """All gates are."""
        return all(gate.passed for gate in self.gates)


def make_training_set(
    declaration: ModelDeclaration, home: Path, definitions: Path, open_store: Callable[[], "FeatureStore"]
) -> tuple[TrainingSet, bool]:
    """Return the training set, and whether it was made now; `open_store` is only called if it must be."""
    place = TrainingHome(home, declaration.name)
    digest = inputs_digest(declaration, place.inputs(definitions))
    mark = place.directory / "inputs"
    if mark.is_file() and mark.read_text() == digest:
        return load_training_set(place.directory), False
    mark.unlink(missing_ok=True)
    training_set = build_training_set(declaration, open_store(), place.labels)
    save_training_set(training_set, place.directory)
    mark.write_text(digest)
    return training_set, True


def make_version(declaration: ModelDeclaration, home: Path, mlflow_url: str) -> tuple[Figures, bool]:
    """Fit and publish, without an alias, unless an aliased version of the same training set and declaration is there.

    Returns the figures, and whether a version was made now.
    """
    place = TrainingHome(home, declaration.name)
    training_set = load_training_set(place.directory)
    same = {"training_fingerprint": training_set.fingerprint, "declaration": declaration_hash(declaration)}
    known = read_figures(home, declaration.name)
    if known is not None and published_alike(mlflow_url, declaration.name, same) == known.version:
        return known, False
    fitted = fit(declaration, training_set)
    published = publish(declaration, training_set, fitted, mlflow_url=mlflow_url, promotion="never")
    figures = Figures(
        version=published.version,
        alias=published.alias,
        fingerprint=training_set.fingerprint,
        declaration=declaration_hash(declaration),
        metrics=_finite(fitted.metrics),
        naive=_finite(fitted.naive),
        gates=published.gates,
        rounds=fitted.booster.rounds,
        fit_seconds=fitted.seconds,
    )
    _write(place, figures)
    return figures, True


def promote_version(declaration: ModelDeclaration, home: Path, mlflow_url: str, promotion: Promotion) -> Figures:
    """Give the newest version the alias that `promotion` allows; one that is aliased, or failed a gate, stays so.

    Raises FileNotFoundError before the first version.
    """
    figures = read_figures(home, declaration.name)
    if figures is None:
        raise FileNotFoundError(f"{declaration.name}: no version was made under this home")
    if figures.alias or not figures.passed:
        return figures
    alias = promote(declaration.name, figures.version, mlflow_url=mlflow_url, promotion=promotion)
    figures = msgspec.structs.replace(figures, alias=alias)
    _write(TrainingHome(home, declaration.name), figures)
    return figures


def read_figures(home: Path, model: str) -> Figures | None:
    """Return the figures of the model's newest version made under this home, if there is one."""
    file = TrainingHome(home, model).directory / "figures.json"
    return msgspec.json.decode(file.read_bytes(), type=Figures) if file.is_file() else None


def _write(place: TrainingHome, figures: Figures) -> None:
    unfinished = place.directory / "figures.unfinished"
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1))
    unfinished.replace(place.directory / "figures.json")


def _finite(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}

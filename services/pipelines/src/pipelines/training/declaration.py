"""What a model is: one frozen record a model, read by the one trainer.

Nothing here knows the sample marketplace: entities, feature service, label query, units and words all come from the
record, so that other data (another Feast repository, another unit) goes the same way.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LEGALLY_PROHIBITED",
    "Array",
    "BoosterChoice",
    "FeatureHint",
    "Gate",
    "HeldOut",
    "LabelTransform",
    "LeakageLimits",
    "MaskedCopies",
    "ModelDeclaration",
    "NaiveBaseline",
    "OnDemandFunction",
    "OutputTables",
    "Scored",
    "Task",
    "TimeSplit",
    "declaration_hash",
]

Array = NDArray[np.float64]
Task = Literal["binary", "regression", "ranking"]
LabelTransform = Literal["none", "log"]

TRAINER_VERSION = 1
"""Goes up when the trainer gives another model for the same declaration and data."""

LEGALLY_PROHIBITED = (
    "race",
    "ethnicity",
    "nationality",
    "birthplace",
    "family_origin",
    "social_status",
    "beliefs",
    "union_membership",
    "sex",
    "gender",
    "age",
    "birth_date",
)
"""職業安定法 5条の5 and 告示141号; sex and age because no model here can justify them."""


@dataclass(frozen=True, slots=True)
class BoosterChoice:
    """The library and its parameters; seed, threads and objective are the trainer's."""

    library: Literal["lightgbm", "xgboost"]
    rounds: int = 250
    stop_after: int = 30
    """Rounds without progress on the validation slice that end training."""
    parameters: Mapping[str, float | int | str | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Shares of the rows by label time, oldest first: train, validation, calibration, test (what remains).

    Rows of one instant are ordered by a hash of their keys, so that data of few waves can be split as well.
    `by="random"` orders all rows by that hash: for data of one instant, or where the newest wave must be trained on.
    """

    train: float = 0.6
    validation: float = 0.1
    calibration: float = 0.15
    by: Literal["time", "random"] = "time"


@dataclass(frozen=True, slots=True)
class FeatureHint:
    """What the Feast field's tags do not say of a feature; None leaves the tag's word."""

    unit: str | None = None
    categories: tuple[str, ...] | None = None
    required: bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    default: float | None = None
    model_input: bool | None = None


@dataclass(frozen=True, slots=True)
class OnDemandFunction:
    """An on-demand feature view as the data plane sees it, where the view's tags do not say it."""

    view: str
    function: str
    """`module:function`, (name → (n,) float64) → (name → (n,) float64)."""
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MaskedCopies:
    """Copies of a share of the rows that keep only the features in `keep`: how a person without an id looks."""

    keep: tuple[str, ...]
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class LeakageLimits:
    """How well one feature alone may predict the label out of sample before it is taken for a copy of it."""

    roc_auc: float = 0.985
    r2: float = 0.95
    audited_entities: int = 300
    """Entities whose feature rows are traced back to their source rows and times."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A bound that a version must keep on the test slice."""

    metric: str
    at_most: float | None = None
    at_least: float | None = None
    of_naive: float | None = None
    """Bound as a multiple of the naive baseline's figure: at most it for errors, at least it for scores (`at_least`
    metrics: roc_auc, pr_auc, ndcg_at_10, r2)."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows of one group with the booster's answer and the (transformed) label, both (n,)."""

    raw: Array
    label: Array


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What output tables are built from: rows the booster has not seen."""

    known: Scored
    anonymous: Scored
    """The same rows with all but `MaskedCopies.keep` missing; equal to `known` without masked copies."""
    population: Array
    """(p,) booster's answers over the population, or over the known rows where none is declared."""


class OutputTables(Protocol):
    """From held-out predictions to the tables of the contract."""

    def build(self, held_out: HeldOut) -> dict[str, tuple[float, ...]]:
        """Return the contract's tables by name."""
        ...

    def main(self, raw: Array, tables: Mapping[str, tuple[float, ...]]) -> Array:
        """Return the main output column (n,) as the service answers it, for its reference bins."""
        ...

    def metrics(self, test: HeldOut, tables: Mapping[str, tuple[float, ...]]) -> dict[str, float]:
        """Return figures of the tables on rows that neither booster nor tables have seen."""
        ...


class NaiveBaseline(Protocol):
    """What one would say without a model, in the scale of the transformed label."""

    def predict(self, train: Mapping[str, Array], label: Array, rows: Mapping[str, Array]) -> Array:
        """Learn from columns and labels of the training rows; answer for `rows`, (n,)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDeclaration:
    """One registered model."""

    name: str
    """Registered model name."""
    entities: tuple[str, ...]
    """Join keys of a row."""
    feature_service: str
    label_query: str
    """DuckDB SQL over `labels.<table>` and `features.<view>`: join keys, `label_time` (timestamptz), `label`, and
    further id columns that reports may join on. `label_time` bounds every feature's time."""
    task: Task
    """ranking: a probability that is read as an order within `rank_by`."""
    booster: BoosterChoice
    output: str
    """Name of the main output column."""
    unit: str
    tables: OutputTables
    naive: NaiveBaseline
    gates: tuple[Gate, ...]
    headline: tuple[str, ...]
    """Metrics that the report compares with the baseline and the irreducible error."""
    label_transform: LabelTransform = "none"
    split: TimeSplit = TimeSplit()
    population_query: str | None = None
    """DuckDB SQL as above without labels: whom the model will score; percentiles are counted over them."""
    population_limit: int = 20_000
    hints: Mapping[str, FeatureHint] = field(default_factory=dict)
    """By feature name."""
    unit_bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    """Bounds of all features of a unit that neither hint nor tag bounds."""
    on_demand: tuple[OnDemandFunction, ...] = ()
    masked: MaskedCopies | None = None
    rank_by: str | None = None
    leakage: LeakageLimits = LeakageLimits()
    prohibited: tuple[str, ...] = LEGALLY_PROHIBITED


def declaration_hash(declaration: ModelDeclaration) -> str:
    """Return the sha256 over the declaration and the trainer's version: same hash, same data, same model."""
    return hashlib.sha256(f"{TRAINER_VERSION}|{declaration!r}".encode()).hexdigest()

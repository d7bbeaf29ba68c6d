"""The contract of a model version: `contract.json` among its MLflow artefacts.

It says which features a model eats, how its output is read, what was true in training, and what must come out for
known rows. Training writes it, serving checks it: at load against the online store, at each read against the values.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CONTRACT_FILE",
    "CONTRACT_VERSION",
    "BoosterSpec",
    "Contract",
    "FeatureSpec",
    "GoldenRows",
    "OnDemandSpec",
    "OutputSpec",
    "ProhibitedStatement",
    "ReferenceBins",
    "TrainingRecord",
]

CONTRACT_FILE = "contract.json"
CONTRACT_VERSION = 1

Number = float | int
ValueType = Literal["float", "int", "bool", "category", "timestamp"]


class ReferenceBins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of the training set in bins, for drift.

    Numbers: bin i holds edges[i-1] <= x < edges[i] with -inf and +inf at the ends, so k edges make k+1 bins.
    Categories: `edges` is empty and bin i is category code i. Either way one further, last bin counts missing values.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    rows: int
    """Rows that the shares were counted over: the sample size behind a PSI's noise floor."""


class FeatureSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One feature: where it comes from and which values it may take."""

    name: str
    """Unique in the contract; what callers and metrics call it."""
    reference: str
    """Feast's `view:feature`; for an on-demand feature, `on_demand_view:feature`."""
    source: Literal["stored", "on_demand"]
    dtype: ValueType
    unit: str = ""
    categories: tuple[str, ...] = ()
    """Codes are positions here. A value outside counts as missing."""
    required: bool = False
    """A row that lacks a required feature is scored, and marked degraded."""
    default: float | None = None
    """What the model sees where the value is missing; None leaves NaN, which the boosters understand."""
    minimum: float | None = None
    maximum: float | None = None
    """Bounds for values that a caller overrides."""
    model_input: bool = True
    """False for a stored feature that is read only as an input of on-demand features."""
    bins: ReferenceBins | None = None


class OnDemandSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An on-demand feature view: a pure numpy function of stored features, computed at request time."""

    view: str
    function: str
    """`module:function` of a lib, the same that Feast's on-demand view wraps."""
    inputs: tuple[str, ...]
    """Names of stored features of this contract."""
    outputs: tuple[str, ...]
    """Names of on-demand features of this contract."""


class OutputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """What the booster's number means and the tables that post-processing reads."""

    name: str
    unit: str
    tables: dict[str, tuple[float, ...]] = {}
    """Conformal, calibration and percentile tables by name; each service documents its own."""
    bins: ReferenceBins | None = None
    """Of the main output column, after post-processing."""

    @cached_property
    def arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """The tables as read-only arrays, converted once: post-processing runs for every batch."""
        arrays = {name: np.array(values, dtype=np.float64) for name, values in self.tables.items()}
        for array in arrays.values():
            array.setflags(write=False)
        return arrays


class GoldenRows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows with known answers: `inputs` are model matrices rows (None is NaN), `raw` what the booster must return."""

    inputs: tuple[tuple[float | None, ...], ...]
    raw: tuple[float, ...]
    tolerance: float = 1e-9


class BoosterSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which native booster this is and in which file of the model's artefacts."""

    library: Literal["lightgbm", "xgboost"]
    file: str
    sha256: str


class TrainingRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the model came from."""

    fingerprint: str
    """sha256 over the training set's Arrow IPC bytes."""
    rows: int
    started_at: str
    """First label time, RFC 3339."""
    ended_at: str
    """Last label time of the training split, RFC 3339."""
    label_query: str
    metrics: dict[str, float] = {}


class ProhibitedStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Attributes that the law keeps out (職業安定法 5条の5), and how their absence was checked."""

    attributes: tuple[str, ...]
    checked: str


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """Everything a service must know of a model version to serve it."""

    contract_version: int
    model: str
    """Registered model name."""
    task: Literal["binary", "regression", "ranking"]
    entities: tuple[str, ...]
    """Join keys of a row, for example ("candidate_id",)."""
    feature_service: str
    features: tuple[FeatureSpec, ...]
    """Stored features first; the model's columns are those with `model_input`, in this order."""
    on_demand: tuple[OnDemandSpec, ...]
    booster: BoosterSpec
    output: OutputSpec
    golden: GoldenRows
    training: TrainingRecord
    prohibited: ProhibitedStatement

    @cached_property
    def stored(self) -> tuple[FeatureSpec, ...]:
        """Features that a reader reads, in the order of `FeatureRows`."""
        return tuple(feature for feature in self.features if feature.source == "stored")

    @cached_property
    def inputs(self) -> tuple[FeatureSpec, ...]:
        """Features that the booster sees, in the order of its columns."""
        return tuple(feature for feature in self.features if feature.model_input)

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Feature name to its position in `features`."""
        return {feature.name: index for index, feature in enumerate(self.features)}

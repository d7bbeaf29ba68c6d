"""From stored values to the model's matrix: overrides, on-demand features, defaults, and what a row lacks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.contract import Contract, OnDemandSpec
from inference.errors import ContractError
from inference.features import CellStatus, FeatureRows
from inference.on_demand import OnDemandFunction, resolve_function

__all__ = ["AssembledRows", "Assembly", "Override"]


@dataclass(frozen=True, slots=True)
class Override:
    """Values that hold for rows start … stop - 1 in place of the store's, by position in `contract.features`."""

    start: int
    stop: int
    values: Mapping[int, float]


class AssembledRows(msgspec.Struct, frozen=True, eq=False, gc=False):
    """n rows, ready for the booster."""

    features: NDArray[np.float64]
    """(n, F): every feature of the contract, before defaults."""
    matrix: NDArray[np.float64]
    """(n, m): the booster's columns, defaults filled in; C-contiguous."""
    status: NDArray[np.uint8]
    """(n, f) of `CellStatus`, for the contract's stored features."""
    degraded: NDArray[np.bool_]
    """(n,): found, but a required feature is missing or stale."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One on-demand view; positions are columns of `AssembledRows.features`."""

    view: str
    function: OnDemandFunction
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]


class Assembly:
    """A plan made once from a contract, so that a batch costs a few array operations.

    On-demand features see values before defaults, as Feast's on-demand views do in training.
    """

    def __init__(self, contract: Contract, on_demand_modules: Collection[str]) -> None:
        """Resolve the contract's on-demand functions. Raises `ContractError`."""
        features = contract.features
        self._stored = len(contract.stored)
        self._width = len(features)
        self._steps = tuple(_step(contract, view, on_demand_modules) for view in contract.on_demand)
        positions = [contract.position[feature.name] for feature in contract.inputs]
        self._columns = None if positions == list(range(self._width)) else np.array(positions, dtype=np.intp)
        defaults = [np.nan if feature.default is None else feature.default for feature in contract.inputs]
        self._defaults = None if np.isnan(defaults).all() else np.array(defaults, dtype=np.float64)
        required = [position for position, feature in enumerate(features) if feature.required]
        self._required_stored = np.array([p for p in required if p < self._stored], dtype=np.intp)
        self._required_computed = np.array([p for p in required if p >= self._stored], dtype=np.intp)

    def assemble(self, rows: FeatureRows, overrides: Sequence[Override] = ()) -> AssembledRows:
        """Assemble stored rows; the reader's arrays stay as they are."""
        n = len(rows.found)
        status = rows.status
        if not self._steps and not overrides and self._width == self._stored:
            features = rows.matrix
        else:
            features = np.empty((n, self._width), dtype=np.float64)
            features[:, : self._stored] = rows.matrix
        if overrides:
            status = status.copy()
            for override in overrides:
                span = slice(override.start, override.stop)
                for position, value in override.values.items():
                    features[span, position] = value
                    status[span, position] = CellStatus.MISSING if np.isnan(value) else CellStatus.PRESENT
        for step in self._steps:
            self._compute(step, features)
        return self._finish(features, status, rows.found)

    def assemble_values(self, n: int, columns: Mapping[int, NDArray[np.float64]]) -> AssembledRows:
        """Assemble n rows from given columns, by position; what is not given is missing.

        An on-demand view is computed unless one of its outputs is given.
        """
        features = np.full((n, self._width), np.nan)
        for position, values in columns.items():
            features[:, position] = values
        for step in self._steps:
            if not any(position in columns for _, position in step.outputs):
                self._compute(step, features)
        missing = np.isnan(features[:, : self._stored])
        status = np.where(missing, np.uint8(CellStatus.MISSING), np.uint8(CellStatus.PRESENT))
        return self._finish(features, status, np.ones(n, dtype=np.bool_))

    def _finish(
        self, features: NDArray[np.float64], status: NDArray[np.uint8], found: NDArray[np.bool_]
    ) -> AssembledRows:
        matrix = features if self._columns is None else features[:, self._columns]
        if self._defaults is not None:
            matrix = np.where(np.isnan(matrix), self._defaults, matrix)
        # Fancy indexing by column may give Fortran order; the boosters read rows.
        return AssembledRows(features, np.ascontiguousarray(matrix), status, self._degraded(features, status, found))

    def _degraded(
        self, features: NDArray[np.float64], status: NDArray[np.uint8], found: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        if not (self._required_stored.size or self._required_computed.size):
            return np.zeros(len(found), dtype=np.bool_)
        # PRESENT is 0: whatever is not, is missing or stale.
        lacking: NDArray[np.bool_] = np.logical_or.reduce(status.take(self._required_stored, axis=1), axis=1)
        if self._required_computed.size:
            lacking |= np.isnan(features[:, self._required_computed]).any(axis=1)
        return lacking & found

    @staticmethod
    def _compute(step: _Step, features: NDArray[np.float64]) -> None:
        values = step.function({name: features[:, position] for name, position in step.inputs})
        for name, position in step.outputs:
            features[:, position] = values[name]


def _step(contract: Contract, view: OnDemandSpec, on_demand_modules: Collection[str]) -> _Step:
    step = _Step(
        view=view.view,
        function=resolve_function(view.function, on_demand_modules),
        inputs=tuple((name, contract.position[name]) for name in view.inputs),
        outputs=tuple((name, contract.position[name]) for name in view.outputs),
    )
    # One row of nothing shows at load what would otherwise fail the first caller.
    try:
        given = step.function({name: np.full(1, np.nan) for name in view.inputs})
    except Exception as error:  # whatever a foreign function raises, the version is refused for it
        raise ContractError(
            f"on-demand view {view.view}: {view.function} fails on missing values: {error!r}"
        ) from error
    absent = set(view.outputs) - set(given)
    if absent:
        raise ContractError(f"on-demand view {view.view}: {view.function} does not give {sorted(absent)}")
    return step

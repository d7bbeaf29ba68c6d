"""Scored rows: what a caller of the predictor gets, and what observers see."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.contract import OutputSpec
from inference.features import CellStatus
from inference.model import ModelVersion

__all__ = ["FailureObserver", "Observer", "PostProcess", "ScoredRows", "StageTimings", "concatenate", "main_column"]

PostProcess = Callable[[NDArray[np.float64], OutputSpec], dict[str, NDArray[np.generic]]]
"""(n,) booster outputs to columns of (n,), row by row: the names are those of the wire's `prediction` object."""


class StageTimings(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Where the time of one batch went, in seconds."""

    rows: int
    features_seconds: float
    """Read of the store and assembly of the matrix."""
    model_seconds: float
    postprocess_seconds: float


# Structs, not dataclasses: with so many fields a frozen dataclass takes 2 µs to make, and each caller gets its slice.
class ScoredRows(msgspec.Struct, frozen=True, eq=False, gc=False):
    """n rows scored by one model version."""

    n: int
    raw: NDArray[np.float64]
    """(n,): the booster's output."""
    columns: Mapping[str, NDArray[np.generic]]
    """(n,) each: the post-processed prediction."""
    found: NDArray[np.bool_]
    """(n,): the store knows every entity of the row; what is not found has a meaningless prediction."""
    degraded: NDArray[np.bool_]
    """(n,): found, but a required feature is missing or stale."""
    status: NDArray[np.uint8]
    """(n, f) of `CellStatus`, for `model.contract.stored`."""
    as_of_us: NDArray[np.int64]
    """(n,): oldest event time of the stored values used, microseconds since the epoch; 0 if none."""
    keys: Mapping[str, Sequence[str]]
    """Join key to n ids; empty where the caller gave the features."""
    features: NDArray[np.float64]
    """(n, F): every feature of `model.contract.features`, before defaults."""
    matrix: NDArray[np.float64]
    """(n, m): what the booster saw, columns as `model.contract.inputs`."""
    model: ModelVersion
    timings: StageTimings
    """Of the batch that these rows were scored in."""
    batch: "ScoredRows | None" = None
    """What these rows are a slice of, if they are: many slices are looked into faster at once."""
    start: int = 0
    """Their first row there."""
    answered: "ScoredRows | None" = None
    """Of rows that were ranked, those that the caller gets, best first; None where rows were asked for, and all are."""

    @property
    def main_output(self) -> NDArray[np.float64]:
        """(n,): the column that the contract's output names, else the first number, else `raw`."""
        return main_column(self.model.contract.output.name, self.columns, self.raw)

    def missing(self, row: int) -> list[str]:
        """Name the stored features that the store does not have for a row."""
        return self._named(row, CellStatus.MISSING)

    def stale(self, row: int) -> list[str]:
        """Name the stored features that are older than their view's TTL."""
        return self._named(row, CellStatus.STALE)

    def slice(self, start: int, stop: int) -> "ScoredRows":
        """Rows start … stop - 1, as views of the same arrays."""
        if start == 0 and stop == self.n:
            return self
        span = slice(start, stop)
        return ScoredRows(
            n=stop - start,
            raw=self.raw[span],
            columns={name: column[span] for name, column in self.columns.items()},
            found=self.found[span],
            degraded=self.degraded[span],
            status=self.status[span],
            as_of_us=self.as_of_us[span],
            keys={key: ids[span] for key, ids in self.keys.items()},
            features=self.features[span],
            matrix=self.matrix[span],
            model=self.model,
            timings=self.timings,
            batch=self.batch or self,
            start=self.start + start,
        )

    def take(self, positions: NDArray[np.intp]) -> "ScoredRows":
        """Rows at these positions, in their order, as copies."""
        places = positions.tolist()
        return ScoredRows(
            n=len(places),
            raw=self.raw[positions],
            columns={name: column[positions] for name, column in self.columns.items()},
            found=self.found[positions],
            degraded=self.degraded[positions],
            status=self.status[positions],
            as_of_us=self.as_of_us[positions],
            keys={key: [ids[place] for place in places] for key, ids in self.keys.items()},
            features=self.features[positions],
            matrix=self.matrix[positions],
            model=self.model,
            timings=self.timings,
        )

    def _named(self, row: int, status: CellStatus) -> list[str]:
        cells = self.status[row]
        if not cells.any():
            return []
        stored = self.model.contract.stored
        return [stored[position].name for position in np.flatnonzero(cells == status)]


class Observer(Protocol):
    """Looks at scored batches: metrics, drift, shadow scoring."""

    def observe(self, batch: ScoredRows) -> None:
        """Look at a batch after its callers have been answered; runs on the event loop, so it must be quick."""
        ...


class FailureObserver(Protocol):
    """Learns of batches that could not be scored: the guard of a new version."""

    def observe_failure(self, version: ModelVersion, rows: int, error: Exception, *, ranked: bool = False) -> None:
        """Take note; runs on the event loop before the callers are answered. `ranked` says it of a ranking's rows."""
        ...


def concatenate(parts: Sequence[ScoredRows]) -> ScoredRows:
    """Join parts scored by the same model version, in order; timings add up."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    return ScoredRows(
        n=sum(part.n for part in parts),
        raw=np.concatenate([part.raw for part in parts]),
        columns={name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns},
        found=np.concatenate([part.found for part in parts]),
        degraded=np.concatenate([part.degraded for part in parts]),
        status=np.concatenate([part.status for part in parts]),
        as_of_us=np.concatenate([part.as_of_us for part in parts]),
        keys={key: [identity for part in parts for identity in part.keys[key]] for key in first.keys},
        features=np.concatenate([part.features for part in parts]),
        matrix=np.concatenate([part.matrix for part in parts]),
        model=first.model,
        timings=StageTimings(
            rows=sum(part.n for part in parts),
            features_seconds=sum(part.timings.features_seconds for part in parts),
            model_seconds=sum(part.timings.model_seconds for part in parts),
            postprocess_seconds=sum(part.timings.postprocess_seconds for part in parts),
        ),
    )


def main_column(name: str, columns: Mapping[str, NDArray[np.generic]], raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the main output (n,): the column that the contract's output names, else the first number, else `raw`."""
    named = columns.get(name)
    for column in columns.values() if named is None else (named, *columns.values()):
        if column.dtype.kind in "fiu":
            return column.astype(np.float64, copy=False)
    return raw

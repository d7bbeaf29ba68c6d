"""A model version, loaded and checked, and the live pair of a version with its feature reader."""

import asyncio
import hashlib
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.assembly import Assembly
from inference.boosters import Booster, load_booster
from inference.contract import CONTRACT_FILE, Contract
from inference.contract_checks import read_contract
from inference.errors import ArtifactError, BoosterError, ContractError, RefusalCode
from inference.features import FeatureReader

__all__ = [
    "LiveModel",
    "ModelSource",
    "ModelVersion",
    "PredictCost",
    "VersionOrigin",
    "load_model_version",
    "measure_cost",
]

_TIMED_ROWS = 64
_TIMED_CALLS = 9


@dataclass(frozen=True, slots=True)
class VersionOrigin:
    """Where a model version came from."""

    name: str
    """Registered model name."""
    version: str
    alias: str
    run_id: str = ""
    source: Literal["registry", "cache", "local"] = "local"


@dataclass(frozen=True, slots=True)
class PredictCost:
    """What a call of the booster costs on this machine: a fixed part and a part a row, best of several tries."""

    call_seconds: float
    row_seconds: float

    def estimate(self, rows: int) -> float:
        """Seconds that a call with so many rows takes."""
        return self.call_seconds + rows * self.row_seconds


@dataclass(frozen=True, slots=True, eq=False)
class ModelVersion:
    """A model version that has passed its checks. Its booster's memory goes with the last reference."""

    name: str
    version: str
    alias: str
    run_id: str
    source: Literal["registry", "cache", "local"]
    contract: Contract
    booster: Booster
    assembly: Assembly
    cost: PredictCost
    digest: str
    """sha256 of the contract's bytes, which hold the booster's checksum: it names the whole version."""
    loaded_at: datetime

    @property
    def seconds_per_row(self) -> float:
        """Cost of one more row in a batch."""
        return self.cost.row_seconds


class LiveModel:
    """A model version with the reader of its features; the reader closes when its last request has ended."""

    __slots__ = ("_idle", "_in_flight", "reader", "version")

    def __init__(self, version: ModelVersion, reader: FeatureReader) -> None:
        self.version = version
        self.reader = reader
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_flight(self) -> int:
        """Batches that still use this version."""
        return self._in_flight

    def acquire(self) -> None:
        """Hold the reader open; every call is paired with one of `release`."""
        self._in_flight += 1
        self._idle.clear()

    def release(self) -> None:
        """End one hold."""
        self._in_flight -= 1
        if self._in_flight == 0:
            self._idle.set()

    async def retire(self) -> None:
        """Wait for the last request, then close the reader. New requests must not come here any more."""
        await self._idle.wait()
        await self.reader.close()


class ModelSource(Protocol):
    """Says which model version serves now."""

    def current(self) -> LiveModel:
        """Give the live version. Raises `NoModelError` when there is none."""
        ...


def load_model_version(
    directory: Path, origin: VersionOrigin, *, on_demand_modules: Collection[str] = ()
) -> ModelVersion:
    """Load the artefacts in `directory` and check them; takes 10 ms to seconds, so call it in a thread.

    Checks the contract against itself and the registered model's name, the booster's checksum and number of features,
    and the golden rows; predicting them warms the booster up. Raises `ArtifactError` or `ContractError`.
    """
    content = _read(directory / CONTRACT_FILE)
    contract = read_contract(content)
    if contract.model != origin.name:
        raise ContractError(f"the contract is of registered model {contract.model}, not {origin.name}")
    assembly = Assembly(contract, on_demand_modules)
    booster = load_booster(contract.booster, directory)
    if booster.num_features != len(contract.inputs):
        raise ContractError(
            f"the booster has {booster.num_features} features, the contract {len(contract.inputs)} model inputs"
        )
    rows = np.array(contract.golden.inputs, dtype=np.float64)
    check_golden(contract, booster, rows)
    return ModelVersion(
        name=origin.name,
        version=origin.version,
        alias=origin.alias,
        run_id=origin.run_id,
        source=origin.source,
        contract=contract,
        booster=booster,
        assembly=assembly,
        cost=measure_cost(booster, rows),
        digest=hashlib.sha256(content).hexdigest(),
        loaded_at=datetime.now(UTC),
    )


def check_golden(contract: Contract, booster: Booster, rows: NDArray[np.float64]) -> None:
    """Raise `ContractError` where the booster does not give the contract's known answers, within its tolerance."""
    expected = np.array(contract.golden.raw, dtype=np.float64)
    try:
        got = booster.predict(rows)
    except BoosterError as error:
        reason = f"the booster cannot predict the golden rows: {error}"
        raise ContractError(reason, RefusalCode.GOLDEN_ROWS) from error
    tolerance = contract.golden.tolerance
    wrong = ~np.isclose(got, expected, rtol=tolerance, atol=tolerance)
    if wrong.any():
        worst = float(np.nanmax(np.abs(got - expected)))
        raise ContractError(
            f"{int(wrong.sum())} of {len(rows)} golden rows come out wrong, by up to {worst:.3g}; "
            f"the tolerance is {tolerance:g}",
            RefusalCode.GOLDEN_ROWS,
        )


def measure_cost(booster: Booster, rows: NDArray[np.float64]) -> PredictCost:
    """Time single rows and a batch of 64, best of nine: the rest is other people's noise."""
    batch = np.ascontiguousarray(np.resize(rows, (_TIMED_ROWS, rows.shape[1])))
    single = _best_seconds(booster, batch[:1])
    row_seconds = max(_best_seconds(booster, batch) - single, 0.0) / (_TIMED_ROWS - 1)
    return PredictCost(call_seconds=max(single - row_seconds, 0.0), row_seconds=row_seconds)


def _best_seconds(booster: Booster, rows: NDArray[np.float64]) -> float:
    best = float("inf")
    for _ in range(_TIMED_CALLS):
        started = time.perf_counter()
        booster.predict(rows)
        best = min(best, time.perf_counter() - started)
    return best


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ArtifactError(f"the model version has no {path.name}", RefusalCode.CONTRACT_MISSING) from None
    except OSError as error:
        raise ArtifactError(f"{path.name} cannot be read: {error.strerror}") from error

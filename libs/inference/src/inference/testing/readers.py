"""A feature store in memory."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.contract import Contract
from inference.errors import ContractViolationError, FeatureStoreError
from inference.features import CellStatus, FeatureRows, ViewSchema
from inference.values import encode_value

__all__ = ["InMemoryFeatureReader"]

_STORE_TYPE = {"float": "Double", "int": "Int64", "bool": "Bool", "category": "String", "timestamp": "UnixTimestamp"}


class InMemoryFeatureReader:
    """Keeps rows by key tuple, in the order of the contract's entities; a key that was never put is not found."""

    def __init__(self, contract: Contract, rows: Mapping[tuple[str, ...], Mapping[str, object]] | None = None) -> None:
        self.contract = contract
        self.reads: list[int] = []
        """Rows of each read so far: shows what was coalesced."""
        self.closed = False
        self.gate: asyncio.Event | None = None
        """While set here and not yet `set()`, reads wait for it."""
        self.schemas_now: dict[str, ViewSchema] = _schemas(contract)
        self._rows: dict[tuple[str, ...], tuple[NDArray[np.float64], NDArray[np.uint8], int]] = {}
        self._error: Exception | None = None
        for key, values in (rows or {}).items():
            self.put(key, values)

    def put(
        self, key: tuple[str, ...], values: Mapping[str, object], *, stale: Collection[str] = (), as_of_us: int = 1
    ) -> None:
        """Store a row by feature names; what is absent is missing, what `stale` names is past its TTL."""
        stored = self.contract.stored
        matrix = np.full(len(stored), np.nan)
        status = np.full(len(stored), CellStatus.MISSING, dtype=np.uint8)
        for position, feature in enumerate(stored):
            if feature.name in stale:
                status[position] = CellStatus.STALE
                continue
            try:
                matrix[position] = encode_value(feature, values.get(feature.name))
            except ContractViolationError:
                continue
            if not np.isnan(matrix[position]):
                status[position] = CellStatus.PRESENT
        self._rows[key] = (matrix, status, as_of_us)

    def fail_with(self, error: Exception | None) -> None:
        """Raise this from now on at each read, or no more."""
        self._error = error

    async def read(self, keys: Mapping[str, Sequence[str]]) -> FeatureRows:
        """Read n rows after a turn of the event loop, as a real store would."""
        error = self._error
        columns = [list(keys[entity]) for entity in self.contract.entities]
        self.reads.append(len(columns[0]))
        await (self.gate.wait() if self.gate is not None else asyncio.sleep(0))
        if error is not None:
            raise error
        if self.closed:
            raise FeatureStoreError("the reader is closed")
        n, width = len(columns[0]), len(self.contract.stored)
        matrix = np.full((n, width), np.nan)
        status = np.full((n, width), CellStatus.MISSING, dtype=np.uint8)
        found = np.zeros(n, dtype=np.bool_)
        as_of_us = np.zeros(n, dtype=np.int64)
        for row, key in enumerate(zip(*columns, strict=True)):
            if key in self._rows:
                matrix[row], status[row], as_of_us[row] = self._rows[key]
                found[row] = True
        return FeatureRows(matrix, status, found, as_of_us)

    async def schemas(self) -> Mapping[str, ViewSchema]:
        """Schemas that fit the contract, unless a test has put others in `schemas_now`."""
        return self.schemas_now

    async def close(self) -> None:
        """Refuse further reads."""
        self.closed = True


def _schemas(contract: Contract) -> dict[str, ViewSchema]:
    columns: dict[str, dict[str, str]] = {}
    for feature in contract.stored:
        view, _, column = feature.reference.partition(":")
        columns.setdefault(view, {})[column] = _STORE_TYPE[feature.dtype]
    return {
        view: ViewSchema(
            name=view,
            join_keys=tuple(entity for entity in contract.entities if _owns(view, entity)),
            columns=found,
            ttl_seconds=None,
            fingerprint=f"{view}-1",
        )
        for view, found in columns.items()
    }


def _owns(view: str, entity: str) -> bool:
    return view.split("_", maxsplit=1)[0] == entity.removesuffix("_id")

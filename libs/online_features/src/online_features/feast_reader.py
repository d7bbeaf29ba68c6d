"""A `FeatureReader` through Feast's SDK: the slow, independent way to the same rows, to compare with."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from feast import FeatureStore
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.Value_pb2 import Value

from inference.contract import Contract, FeatureSpec
from inference.features import CellStatus, FeatureRows, ViewSchema
from online_features import feast_views

__all__ = ["FeastFeatureReader"]


class FeastFeatureReader:
    """Reads with `get_online_features`, value by value."""

    def __init__(self, store: FeatureStore, contract: Contract) -> None:
        self._store = store
        self._specs = [spec for spec in contract.features if spec.source == "stored"]

    async def read(self, keys: Mapping[str, Sequence[str]]) -> FeatureRows:
        """See `FeatureReader`. Blocks the event loop meanwhile."""
        n = len(next(iter(keys.values()), ()))
        width = len(self._specs)
        matrix = np.full((n, width), np.nan)
        status = np.full((n, width), CellStatus.MISSING, dtype=np.uint8)
        found = {spec.reference.partition(":")[0]: np.zeros(n, dtype=np.bool_) for spec in self._specs}
        as_of = np.full(n, np.iinfo(np.int64).max, dtype=np.int64)
        if n:
            references = [spec.reference for spec in self._specs]
            response = self._store.get_online_features(
                references, {key: list(ids) for key, ids in keys.items()}, full_feature_names=True
            ).proto
            names = response.metadata.feature_names.val
            vectors: dict[str, Any] = dict(zip(names, response.results, strict=True))
            ttls = {view: _ttl_us(self._store, view) for view in found}
            now_us = time.time_ns() // 1000
            for column, spec in enumerate(self._specs):
                view = spec.reference.partition(":")[0]
                vector = vectors[spec.reference.replace(":", "__")]
                cells = zip(vector.values, vector.event_timestamps, vector.statuses, strict=True)
                for row, (value, event, feast_status) in enumerate(cells):
                    event_us = event.seconds * 1_000_000 + event.nanos // 1000
                    found[view][row] |= event_us != 0
                    old = bool(ttls[view]) and event_us + ttls[view] < now_us and event_us != 0
                    if old or feast_status == FieldStatus.OUTSIDE_MAX_AGE:
                        status[row, column] = CellStatus.STALE
                        continue
                    if event_us:
                        as_of[row] = min(as_of[row], event_us)
                    matrix[row, column] = _number(value, spec)
                    if not math.isnan(matrix[row, column]):
                        status[row, column] = CellStatus.PRESENT
        as_of[as_of == np.iinfo(np.int64).max] = 0
        return FeatureRows(matrix=matrix, status=status, found=self._found(found, n), as_of_us=as_of)

    async def schemas(self) -> Mapping[str, ViewSchema]:
        """See `FeatureReader`; from the registry."""
        views = {spec.reference.partition(":")[0] for spec in self._specs}
        known = {view.name: view for view in self._store.list_feature_views()}
        config = self._store.config
        return {view: feast_views.document_of(config, known[view]).view_schema() for view in views & known.keys()}

    async def close(self) -> None:
        """See `FeatureReader`."""

    def _found(self, by_view: Mapping[str, np.ndarray[Any, np.dtype[np.bool_]]], n: int) -> Any:
        by_entity: dict[tuple[str, ...], np.ndarray[Any, np.dtype[np.bool_]]] = {}
        for view, rows in by_view.items():
            keys = feast_views.join_keys_of(self._store.get_feature_view(view))
            by_entity[keys] = by_entity.get(keys, np.zeros(n, dtype=np.bool_)) | rows
        return np.logical_and.reduce(list(by_entity.values()))


def _ttl_us(store: FeatureStore, view: str) -> int:
    ttl = store.get_feature_view(view).ttl
    return round(ttl.total_seconds() * 1_000_000) if ttl else 0


def _number(value: Value, spec: FeatureSpec) -> float:
    field = value.WhichOneof("val")
    if field is None:
        return math.nan
    plain = getattr(value, field)
    if spec.dtype == "category":
        return float(spec.categories.index(plain)) if plain in spec.categories else math.nan
    return float(plain)

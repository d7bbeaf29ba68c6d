"""From scored rows to the wire's structs: a few C calls a row, for one row as for ten thousand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from inference import CellStatus, Contract, ModelVersion, ScoredRows
from inference.prediction_log.records import Ids
from serving.prediction_ids import prediction_id, prediction_ids
from serving.wire import Explanation, FeaturesUsed, ModelUsed, Wire

__all__ = ["Answers", "features_used", "model_used"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CACHED = 8192
_STATUSES = ("ok", "degraded", "not_found")


class Answers:
    """Makes the answers of one service. Belongs to one event loop."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._contract: Contract | None = None
        self.last_ids: Ids = None
        """Prediction ids of the answer that was made last, for the log."""
        # Rows share few patterns of what is missing and fewer times of materialisation.
        self._used: dict[tuple[int, bytes], FeaturesUsed] = {}

    def single(self, rows: ScoredRows, keys: Sequence[str], explanation: Explanation | None) -> msgspec.Struct:
        """Answer for the one row that was scored."""
        (features,) = self.features_used(rows)
        self.last_ids = prediction_id()
        return self._wire.score_answer(
            self.last_ids,
            *keys,
            self.predictions(rows)[0],
            model_used(rows.model),
            features,
            bool(rows.degraded[0]),
            explanation,
        )

    def bulk_rows(self, rows: ScoredRows) -> list[msgspec.Struct]:
        """Answer a row an entity, in the order of the request."""
        ids: list[str | None] = [*prediction_ids(rows.n)]
        self.last_ids = ids
        predictions: list[msgspec.Struct | None] = [*self.predictions(rows)]
        features: list[FeaturesUsed | None] = [*self.features_used(rows)]
        codes = rows.degraded.astype(np.intp)
        if not rows.found.all():
            for row in np.flatnonzero(~rows.found).tolist():
                ids[row] = predictions[row] = features[row] = None
                codes[row] = 2
        keys = [rows.keys[entity] for entity in self._wire.entities]
        statuses = [_STATUSES[code] for code in codes.tolist()]
        return list(map(self._wire.bulk_row, ids, *keys, statuses, predictions, features))

    def predictions(self, rows: ScoredRows) -> list[msgspec.Struct]:
        """The post-processed columns, as one struct a row."""
        columns = rows.columns
        return list(map(self._wire.prediction, *(columns[name].tolist() for name in self._wire.prediction_fields)))

    def features_used(self, rows: ScoredRows) -> list[FeaturesUsed]:
        """What each row was made of."""
        contract = rows.model.contract
        if contract is not self._contract or len(self._used) > _CACHED:
            self._contract = contract
            self._used.clear()
        used = self._used
        width = rows.status.shape[1]
        cells = rows.status.tobytes()
        found: list[FeaturesUsed] = []
        for start, as_of_us in zip(range(0, width * rows.n, width), rows.as_of_us.tolist(), strict=True):
            key = (as_of_us, cells[start : start + width])
            features = used.get(key)
            if features is None:
                features = used[key] = _used_of(contract, *key)
            found.append(features)
        return found


def model_used(model: ModelVersion) -> ModelUsed:
    """Name the model version that scored."""
    return ModelUsed(model.name, model.version, model.alias)


def features_used(rows: ScoredRows, row: int) -> FeaturesUsed:
    """Say what one row was made of."""
    return _used_of(rows.model.contract, int(rows.as_of_us[row]), rows.status[row].tobytes())


def _used_of(contract: Contract, as_of_us: int, cells: bytes) -> FeaturesUsed:
    pairs = list(zip(contract.stored, cells, strict=True))
    return FeaturesUsed(
        as_of=_rfc3339(as_of_us) if as_of_us else None,
        missing=tuple(feature.name for feature, cell in pairs if cell == CellStatus.MISSING),
        stale=tuple(feature.name for feature, cell in pairs if cell == CellStatus.STALE),
    )


def _rfc3339(time_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat().replace("+00:00", "Z")

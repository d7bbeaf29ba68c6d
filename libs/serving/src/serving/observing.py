"""Counts of what was scored.

They gather in arrays and reach Prometheus' counters when it asks, so that a batch costs microseconds.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inference import CellStatus, ModelVersion, ScoredRows
from serving.metrics import FEATURE_CELLS, PREDICTIONS, STAGE_SECONDS

__all__ = ["ScoredCounts"]


@dataclass(slots=True)
class _Tally:
    model: ModelVersion
    rows: int = 0
    missing: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    stale: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


class ScoredCounts:
    """An observer of the predictor: rows by model version, missing and stale values by feature, time by stage."""

    def __init__(self, service: str) -> None:
        self._tallies: dict[str, _Tally] = {}
        self._features_seconds = STAGE_SECONDS.labels(service, "features")
        self._model_seconds = STAGE_SECONDS.labels(service, "model")
        self._postprocess_seconds = STAGE_SECONDS.labels(service, "postprocess")

    def observe(self, batch: ScoredRows) -> None:
        """Count a batch."""
        tally = self._tallies.get(batch.model.digest)
        if tally is None:
            width = len(batch.model.contract.stored)
            tally = _Tally(batch.model, 0, np.zeros(width, dtype=np.int64), np.zeros(width, dtype=np.int64))
            self._tallies[batch.model.digest] = tally
        known = batch.found
        tally.rows += int(np.count_nonzero(known))
        status = batch.status if known.all() else batch.status[known]
        if status.any():
            tally.missing += np.count_nonzero(status == CellStatus.MISSING, axis=0)
            tally.stale += np.count_nonzero(status == CellStatus.STALE, axis=0)
        self._features_seconds.observe(batch.timings.features_seconds)
        self._model_seconds.observe(batch.timings.model_seconds)
        self._postprocess_seconds.observe(batch.timings.postprocess_seconds)

    def flush(self) -> None:
        """Add what has gathered to the counters."""
        tallies, self._tallies = self._tallies, {}
        for tally in tallies.values():
            PREDICTIONS.labels(tally.model.name, tally.model.version).inc(tally.rows)
            for status, counts in (("missing", tally.missing), ("stale", tally.stale)):
                for position in np.flatnonzero(counts):
                    feature = tally.model.contract.stored[position].name
                    FEATURE_CELLS.labels(tally.model.name, feature, status).inc(int(counts[position]))

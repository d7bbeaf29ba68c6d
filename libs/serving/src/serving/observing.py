"""Counts of what was scored: rows, missing and stale values, age, time by stage, and drift by reference bin."""

import time

import numpy as np
from numpy.typing import NDArray

from inference import CellStatus, ModelVersion, ScoredRows
from inference.drift import DriftBuffer, main_column
from serving import metrics
from serving.measures import Measures

__all__ = ["ScoredCounts"]


class _VersionCounts:
    """The series of one model version; they show zeros as soon as it is loaded."""

    def __init__(self, version: ModelVersion, measures: Measures) -> None:
        contract, labels = version.contract, (version.name, version.version)
        self.rows = measures.cells(metrics.PREDICTIONS, *labels)
        self.degraded = measures.cells(metrics.DEGRADED, *labels)
        self.unknown = measures.cells(metrics.NOT_FOUND, *labels)
        stored = tuple(feature.name for feature in contract.stored)
        self.missing = np.asarray(measures.spread(metrics.FEATURE_CELLS, (*labels, "missing"), stored))
        self.stale = np.asarray(measures.spread(metrics.FEATURE_CELLS, (*labels, "stale"), stored))
        self.age = measures.distribution(metrics.FEATURE_AGE, *labels)
        self.drift = DriftBuffer(contract)
        self.output_name = contract.output.name
        self.bins: list[NDArray[np.float64]] = []
        last = len(self.drift.columns) - 1 if self.drift.has_output else -1
        for position, column in enumerate(self.drift.columns):
            if position == last:
                counted, reference = metrics.PREDICTION_BINS, metrics.PREDICTION_REFERENCE
                sample = metrics.PREDICTION_REFERENCE_ROWS
                series: tuple[str, ...] = labels
            else:
                counted, reference = metrics.FEATURE_BINS, metrics.FEATURE_REFERENCE
                sample, series = metrics.FEATURE_REFERENCE_ROWS, (*labels, column.name)
            self.bins.append(np.asarray(measures.spread(counted, series, column.names)))
            np.asarray(measures.spread(reference, series, column.names))[:] = column.bins.shares
            measures.cells(sample, *series)[0] = float(column.bins.rows)

    def count(self, batch: ScoredRows) -> None:
        status, features, degraded, as_of_us = batch.status, batch.features, batch.degraded, batch.as_of_us
        output = main_column(self.output_name, batch.columns, batch.raw)
        known = int(np.count_nonzero(batch.found))
        if known < batch.n:
            self.unknown[0] += batch.n - known
            if not known:
                return
            found = batch.found
            status, features, output = status[found], features[found], output[found]
            degraded, as_of_us = degraded[found], as_of_us[found]
        self.rows[0] += known
        self.degraded[0] += int(np.count_nonzero(degraded))
        if status.any():
            self.missing += np.count_nonzero(status == CellStatus.MISSING, axis=0)
            self.stale += np.count_nonzero(status == CellStatus.STALE, axis=0)
        now_us = time.time_ns() // 1000
        # Rows of a batch share few times of materialisation.
        for as_of, times in _counted(as_of_us):
            if as_of:
                self.age.observe(max(now_us - as_of, 0) / 1e6, times)
        self.drift.add(features, output)

    def flush(self) -> None:
        self.drift.flush()
        for cells, counted in zip(self.bins, self.drift.totals, strict=True):
            np.add(cells, counted, out=cells)
            counted[:] = 0


class ScoredCounts:
    """An observer of the predictor. Drift reaches the counters by `flush`; the rest is counted at once."""

    def __init__(self, service: str, measures: Measures) -> None:
        self._measures = measures
        self._versions: dict[str, _VersionCounts] = {}
        stages = ("parse", "features", "model", "postprocess", "serialise")
        self.parse, self._features, self._model, self._postprocess, self.serialise = (
            measures.distribution(metrics.STAGE_SECONDS, service, stage) for stage in stages
        )
        self._batch_rows = measures.distribution(metrics.BATCH_ROWS, service)

    def expect(self, version: ModelVersion) -> None:
        """Show a version's series before its first row; those of versions long gone are kept too."""
        self._of(version)

    def observe(self, batch: ScoredRows) -> None:
        """Count a batch."""
        self._of(batch.model).count(batch)
        self._batch_rows.observe(batch.timings.rows)
        self._features.observe(batch.timings.features_seconds)
        self._model.observe(batch.timings.model_seconds)
        self._postprocess.observe(batch.timings.postprocess_seconds)

    def flush(self) -> None:
        """Count what drift's buffers hold."""
        for version in self._versions.values():
            version.flush()

    def _of(self, version: ModelVersion) -> _VersionCounts:
        counts = self._versions.get(version.digest)
        if counts is None:
            counts = self._versions[version.digest] = _VersionCounts(version, self._measures)
        return counts


def _counted(times_us: NDArray[np.int64]) -> list[tuple[int, int]]:
    if len(times_us) == 1:
        return [(int(times_us[0]), 1)]
    values, counts = np.unique(times_us, return_counts=True)
    return list(zip(values.tolist(), counts.tolist(), strict=True))

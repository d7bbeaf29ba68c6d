"""Counts of what was scored: rows, missing and stale values, age, time by stage, and drift by reference bin."""

import time
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference import CellStatus, ModelVersion, ScoredRows
from inference.drift import BinCounts
from serving import metrics
from serving.measures import LateTimes, Measures, Times

__all__ = ["ScoredCounts"]

_Scalar = TypeVar("_Scalar", bound=np.generic)

_BLOCK_ROWS = 1024


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
        self.drift = BinCounts(contract)
        self._waiting: list[ScoredRows] = []
        self._rows_waiting = 0
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
        """Count rows at once, so that a killed process has told them; what is in them waits for a block."""
        known = int(np.count_nonzero(batch.found))
        self.rows[0] += known
        if known < batch.n:
            self.unknown[0] += batch.n - known
        self._waiting.append(batch)
        self._rows_waiting += batch.n
        if self._rows_waiting >= _BLOCK_ROWS:
            self.flush()

    def flush(self) -> None:
        batches = self._waiting
        if not batches:
            return
        self._waiting, self._rows_waiting = [], 0
        found = _joined([batch.found for batch in batches])
        status = _joined([batch.status for batch in batches])
        as_of_us = _joined([batch.as_of_us for batch in batches])
        features = _joined([batch.features for batch in batches])
        output = _joined([batch.main_output for batch in batches])
        # A row that is not found is not degraded.
        self.degraded[0] += sum(int(np.count_nonzero(batch.degraded)) for batch in batches)
        if not found.all():
            status, as_of_us, features, output = status[found], as_of_us[found], features[found], output[found]
        np.add(self.missing, np.count_nonzero(status == CellStatus.MISSING, axis=0), out=self.missing)
        np.add(self.stale, np.count_nonzero(status == CellStatus.STALE, axis=0), out=self.stale)
        now_us = time.time_ns() // 1000
        # Rows share few times of materialisation.
        values, counts = np.unique(as_of_us, return_counts=True)
        for as_of, times in zip(values.tolist(), counts.tolist(), strict=True):
            if as_of:
                self.age.observe(max(now_us - as_of, 0) / 1e6, times)
        for cells, counted in zip(self.bins, self.drift.count(features, output), strict=True):
            np.add(cells, counted, out=cells)


def _joined(parts: list[NDArray[_Scalar]]) -> NDArray[_Scalar]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class ScoredCounts:
    """An observer of the predictor. What is in the rows reaches the counters by `flush`, or with 1,024 rows."""

    def __init__(self, service: str, measures: Measures) -> None:
        self._measures = measures
        self._versions: dict[str, _VersionCounts] = {}
        stages = ("parse", "features", "model", "postprocess", "serialise")
        parse, self._features, self._model, self._postprocess, serialise = (
            measures.distribution(metrics.STAGE_SECONDS, service, stage) for stage in stages
        )
        self._late = LateTimes(parse), LateTimes(serialise)
        self.parse: Times = self._late[0]
        self.serialise: Times = self._late[1]
        self._batch_rows = measures.distribution(metrics.BATCH_ROWS, service)

    def expect(self, version: ModelVersion) -> None:
        """Show a version's series before its first row; those of versions long gone are kept too."""
        self._of(version)

    def observe(self, batch: ScoredRows) -> None:
        """Count a batch; of a ranking the rows that its caller gets, as the log has them."""
        self._of(batch.model).count(batch.answered or batch)
        self._batch_rows.observe(batch.timings.rows)
        self._features.observe(batch.timings.features_seconds)
        self._model.observe(batch.timings.model_seconds)
        self._postprocess.observe(batch.timings.postprocess_seconds)

    def flush(self) -> None:
        """Count what waits."""
        for times in self._late:
            times.flush()
        for version in self._versions.values():
            version.flush()

    def _of(self, version: ModelVersion) -> _VersionCounts:
        counts = self._versions.get(version.digest)
        if counts is None:
            counts = self._versions[version.digest] = _VersionCounts(version, self._measures)
        return counts

"""Metric families over a ledger: counters, gauges and histograms that add up over the workers of a service."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Protocol

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.ledger import Cells, Ledger, SeriesKey

__all__ = ["Distribution", "Family", "LateTimes", "Measures", "Times"]

_LATE_MAX = 1024

Merge = Literal["sum", "max"]


@dataclass(frozen=True, slots=True)
class Family:
    """Declares a metric. The name of a counter stands without `_total`."""

    name: str
    help: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    merge: Merge = "sum"
    """How workers' numbers become one; `max` where each worker sees the same event."""


class Times(Protocol):
    """Takes times in seconds."""

    def observe(self, value: float, times: int = 1) -> None:
        """Take one."""
        ...


class Distribution:
    """One series of a histogram. `Histogram.observe` takes 3 µs and a lock, this a tenth; it wants one thread."""

    __slots__ = ("_buckets", "_cells")

    def __init__(self, cells: Cells, buckets: tuple[float, ...]) -> None:
        self._cells = cells
        self._buckets = buckets

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value."""
        cells = self._cells
        cells[bisect_left(self._buckets, value)] += times
        cells[-1] += value * times

    def observe_all(self, values: Sequence[float]) -> None:
        """Count many values, at a tenth of the cost of each."""
        found = np.asarray(values)
        cells = np.asarray(self._cells)
        counted = np.bincount(np.searchsorted(self._buckets, found), minlength=len(self._buckets) + 1)
        cells[: len(counted)] += counted
        cells[-1] += found.sum()


class LateTimes:
    """Times that reach their distribution by `flush`, or with 1,024 of them."""

    __slots__ = ("_distribution", "_waiting")

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution
        self._waiting: list[float] = []

    def observe(self, value: float, times: int = 1) -> None:
        """Take note of a value."""
        self._waiting += (value,) * times
        if len(self._waiting) >= _LATE_MAX:
            self.flush()

    def flush(self) -> None:
        """Count what waits."""
        if self._waiting:
            values, self._waiting = self._waiting, []
            self._distribution.observe_all(values)


class Measures(Collector):
    """Hands out the numbers of families, and gives Prometheus the sums over all workers."""

    def __init__(self, ledger: Ledger, families: Iterable[Family]) -> None:
        self._ledger = ledger
        self._families = {family.name: family for family in families}
        for key, cells in ledger.own():
            # What a dead worker in this place held is no longer so; what it counted stays.
            if self._families[key.family].kind == "gauge":
                cells[:] = memoryview(bytes(cells.nbytes)).cast("d")

    @property
    def worker(self) -> str:
        """Place of this process among the workers, as a label."""
        return str(self._ledger.worker)

    @property
    def dropped(self) -> int:
        """Series that found no room in the ledger."""
        return self._ledger.dropped

    def cells(self, family: Family, *labels: str) -> Cells:
        """Give the one number of a counter's or gauge's series; use index 0."""
        return self._ledger.cells(family.name, labels)

    def spread(self, family: Family, labels: tuple[str, ...], values: tuple[str, ...]) -> Cells:
        """Give a number for each value of the family's last label."""
        return self._ledger.cells(family.name, labels, spread=values)

    def distribution(self, family: Family, *labels: str) -> Distribution:
        """Give a series of a histogram."""
        return Distribution(self._ledger.cells(family.name, labels, width=len(family.buckets) + 2), family.buckets)

    def collect(self) -> Iterable[Metric]:
        """Add up the workers' numbers."""
        merged: dict[str, dict[SeriesKey, list[float]]] = {name: {} for name in self._families}
        for key, cells in self._ledger.all():
            series = merged[key.family]
            known = series.get(key)
            if known is None:
                series[key] = [*map(float, cells)]
            elif self._families[key.family].merge == "max":
                series[key] = [max(pair) for pair in zip(known, cells, strict=True)]
            else:
                series[key] = [one + other for one, other in zip(known, cells, strict=True)]
        return [_metric(self._families[name], series) for name, series in merged.items()]


def _metric(family: Family, series: dict[SeriesKey, list[float]]) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        bounds = [*(str(bound) for bound in family.buckets), "+Inf"]
        for key, values in series.items():
            buckets = list(zip(bounds, accumulate(values[:-1]), strict=True))
            histogram.add_metric(key.labels, buckets, values[-1])
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=family.labels)
    for key, values in series.items():
        if key.spread:
            for label, value in zip(key.spread, values, strict=True):
                metric.add_metric((*key.labels, label), value)
        else:
            metric.add_metric(key.labels, values[0])
    return metric

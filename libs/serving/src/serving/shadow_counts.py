"""Counts of what a challenger scored in shadow."""

from inference import Comparison
from serving import metrics
from serving.measures import Distribution, Measures

__all__ = ["ShadowCounts"]


class ShadowCounts:
    """Is told of each shadow batch."""

    def __init__(self, model: str, measures: Measures) -> None:
        self._model = model
        self._measures = measures
        self._seconds: dict[str, Distribution] = {}
        self._dropped = measures.cells(metrics.SHADOW_DROPPED, model)
        self._sums: dict[tuple[str, str], float] = {}

    def scored(self, comparison: Comparison, rows: int, agreeing: int, seconds: float) -> None:
        """Count a batch that both scored; `comparison` holds it already."""
        pair = (comparison.champion, comparison.challenger)
        cells = self._measures.cells
        cells(metrics.SHADOW_ROWS, self._model, *pair)[0] += rows
        cells(metrics.SHADOW_AGREEING, self._model, *pair)[0] += agreeing
        total = comparison.mean_difference * comparison.rows
        cells(metrics.SHADOW_SHIFT, self._model, *pair)[0] += total - self._sums.get(pair, 0.0)
        self._sums[pair] = total
        series = self._seconds.get(comparison.challenger)
        if series is None:
            series = self._measures.distribution(metrics.SHADOW_SECONDS, self._model, comparison.challenger)
            self._seconds[comparison.challenger] = series
        series.observe(seconds)

    def dropped(self, rows: int) -> None:
        """Count rows that found no room in the queue."""
        self._dropped[0] += rows

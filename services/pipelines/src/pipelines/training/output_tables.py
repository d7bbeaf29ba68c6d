"""Tables of the contract: calibration, scores with percentiles, conformal intervals.

Each record builds its tables from held-out rows and says its main output column, as the services compute it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.training.declaration import Array, HeldOut, LabelTransform, Scored

__all__ = ["CalibratedProbability", "ConformalInterval", "ScoreWithPercentile", "conformal_offset", "isotonic_table"]

Tables = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class CalibratedProbability:
    """Probabilities made honest by isotonic regression, and the band between which a person decides.

    `calibration_x`, `calibration_y`: monotone, piecewise linear. With error rates given also `review_low` and
    `review_high`: below the first the share of ones is at most `low_error`, above the second the share of zeros at
    most `high_error`, as counted on the calibration rows.
    """

    low_error: float | None = None
    high_error: float | None = None

    def build(self, held_out: HeldOut) -> dict[str, tuple[float, ...]]:
        """Return the tables."""
        rows = held_out.known
        x, y = isotonic_table(rows.raw, rows.label)
        tables = {"calibration_x": x, "calibration_y": y}
        if self.low_error is not None and self.high_error is not None:
            low, high = _review_band(np.interp(rows.raw, x, y), rows.label, self.low_error, self.high_error)
            tables |= {"review_low": (low,), "review_high": (high,)}
        return tables

    def main(self, raw: Array, tables: Tables) -> Array:
        """Return the calibrated probability."""
        return np.interp(raw, tables["calibration_x"], tables["calibration_y"])

    def metrics(self, test: HeldOut, tables: Tables) -> dict[str, float]:
        """Return the expected calibration error over ten bins of equal size, and the share that goes to review."""
        probability = self.main(test.known.raw, tables)
        parts = np.array_split(np.argsort(probability, kind="stable"), 10)
        error = sum(
            abs(float(probability[part].mean() - test.known.label[part].mean())) * len(part)
            for part in parts
            if len(part)
        )
        figures = {"calibration_error": error / len(probability)}
        if "review_low" in tables:
            inside = (probability >= tables["review_low"][0]) & (probability <= tables["review_high"][0])
            figures["review_share"] = float(inside.mean())
        return figures


@dataclass(frozen=True, slots=True)
class ScoreWithPercentile:
    """A rating as a score of 0 to 100, and its place among the population.

    `score_x`, `score_y`: `low` to 0 and `high` to 100, straight between. `percentile_x`: 101 quantiles of the
    population's ratings as predicted, strictly rising.
    """

    low: float = 1.0
    high: float = 5.0

    def build(self, held_out: HeldOut) -> dict[str, tuple[float, ...]]:
        """Return the tables."""
        quantiles = np.quantile(held_out.population, np.linspace(0.0, 1.0, 101))
        for i in range(1, len(quantiles)):
            quantiles[i] = max(quantiles[i], np.nextafter(quantiles[i - 1], np.inf))
        return {
            "score_x": (self.low, self.high),
            "score_y": (0.0, 100.0),
            "percentile_x": tuple(quantiles.tolist()),
        }

    def main(self, raw: Array, tables: Tables) -> Array:
        """Return the score."""
        return np.interp(raw, tables["score_x"], tables["score_y"])

    def metrics(self, test: HeldOut, tables: Tables) -> dict[str, float]:
        """Return the Spearman correlation of score and rating."""
        from scipy.stats import spearmanr

        return {"spearman": float(spearmanr(self.main(test.known.raw, tables), test.known.label).statistic)}


@dataclass(frozen=True, slots=True)
class ConformalInterval:
    """Split-conformal intervals, one pair of offsets a group of predicted value.

    Offsets are in the scale of the transformed label: lower = raw + low, upper = raw + high. Split conformal
    prediction with a Mondrian taxonomy over the predicted value (Vovk, Gammerman, Shafer 2005, ch. 4.5) and one
    quantile of signed residuals a side (Romano, Patterson, Candès 2019, theorem 2): each side errs for at most
    (1 − coverage) / 2 of the rows, whatever their distribution. `interval_edges` cut the raw value: group i holds
    edges[i-1] <= raw < edges[i].
    """

    coverage: float = 0.8
    round_to: float = 100.0
    groups: int = 5
    transform: LabelTransform = "log"

    def build(self, held_out: HeldOut) -> dict[str, tuple[float, ...]]:
        """Return `interval_edges`, `interval_low_*` and `interval_high_*` (known, anonymous), coverage, round_to."""
        both = np.concatenate([held_out.known.raw, held_out.anonymous.raw])
        edges = np.unique(np.quantile(both, np.linspace(0.0, 1.0, self.groups + 1)[1:-1]))
        tables = {"interval_edges": tuple(edges.tolist()), "coverage": (self.coverage,), "round_to": (self.round_to,)}
        for name, rows in (("known", held_out.known), ("anonymous", held_out.anonymous)):
            low, high = self._offsets(rows, edges)
            tables |= {f"interval_low_{name}": low, f"interval_high_{name}": high}
        return tables

    def _offsets(self, rows: Scored, edges: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
        residual = rows.label - rows.raw
        group = np.searchsorted(edges, rows.raw, side="right")
        miss = (1.0 - self.coverage) / 2.0
        # A group too small for its own quantile takes that of all rows.
        fewest = math.ceil(1.0 / miss)
        members = [residual[group == i] for i in range(len(edges) + 1)]
        members = [values if len(values) >= fewest else residual for values in members]
        low = tuple(-conformal_offset(-values, miss) for values in members)
        high = tuple(conformal_offset(values, miss) for values in members)
        return low, high

    def main(self, raw: Array, tables: Tables) -> Array:
        """Return the estimate in the label's unit, rounded as the service rounds it."""
        step = tables["round_to"][0]
        return np.round((np.exp(raw) if self.transform == "log" else raw) / step) * step

    def metrics(self, test: HeldOut, tables: Tables) -> dict[str, float]:
        """Return coverage and relative or absolute width on the test rows, known and anonymous."""
        figures: dict[str, float] = {}
        for name, rows in (("known", test.known), ("anonymous", test.anonymous)):
            group = np.searchsorted(tables["interval_edges"], rows.raw, side="right")
            low = rows.raw + np.asarray(tables[f"interval_low_{name}"])[group]
            high = rows.raw + np.asarray(tables[f"interval_high_{name}"])[group]
            figures[f"coverage_{name}"] = float(np.mean((rows.label >= low) & (rows.label <= high)))
            figures[f"interval_width_{name}"] = float(np.mean(high - low))
        return figures


def conformal_offset(scores: Array, miss: float) -> float:
    """Return the ⌈(n + 1)(1 − miss)⌉-th smallest score: exceeded by a new one with probability at most `miss`.

    The largest score where n is too small for that rank (the bound would be infinite).
    """
    rank = math.ceil((len(scores) + 1) * (1.0 - miss) - 1e-9)
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def isotonic_table(raw: Array, label: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return a monotone piecewise linear map from raw to calibrated probability, x strictly rising.

    The steps of isotonic regression (Zadrozny and Elkan 2002) are joined at the mean raw value of each step, and the
    ends run on to (0, 0) and (1, 1), so that the order within a step survives: a ranking needs it. A step's level is
    pulled to the base rate by one row, which keeps certainty out.
    """
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(raw, kind="stable")
    levels = IsotonicRegression(out_of_bounds="clip").fit_transform(raw[order], label[order])
    starts = np.r_[0, np.flatnonzero(np.diff(levels) > 0) + 1]
    sizes = np.diff(np.r_[starts, len(levels)])
    x = np.add.reduceat(raw[order], starts) / sizes
    y = (np.add.reduceat(label[order], starts) + label.mean()) / (sizes + 1.0)
    y = np.maximum.accumulate(y)
    x, y = np.r_[0.0, x, 1.0], np.r_[0.0, y, 1.0]
    keep = np.r_[True, np.diff(x) > 0]
    return tuple(x[keep].tolist()), tuple(y[keep].tolist())


def _review_band(probability: Array, label: Array, low_error: float, high_error: float) -> tuple[float, float]:
    """Return thresholds: the widest decided ends whose error rates hold."""
    order = np.argsort(probability, kind="stable")
    p, ones = probability[order], label[order]
    count = np.arange(1, len(p) + 1)
    wrong_below = np.cumsum(ones) / count
    wrong_above = (np.cumsum(1.0 - ones[::-1]) / count)[::-1]
    below = np.flatnonzero(wrong_below <= low_error)
    above = np.flatnonzero(wrong_above <= high_error)
    low = float(p[below[-1]]) if len(below) else 0.0
    high = float(p[above[0]]) if len(above) else 1.0
    return (low, high) if low <= high else ((low + high) / 2.0,) * 2

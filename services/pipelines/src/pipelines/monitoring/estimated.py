"""Figures to expect while outcomes are still to come.

Each rests on the link from features to outcome being what it was: when that moves (concept drift), the estimate stays
where it was while the realised figure leaves it, and the distance of the two is the sign. A shift of the features alone
(covariate shift) is followed as far as the model is calibrated where the new rows lie.

probability: confidence-based performance estimation, CBPE (Białek, Kuberski, Perrakis and Bifet 2024, arXiv:2401.08348,
    section 3), here by drawing outcomes from the calibrated probabilities and measuring each draw as a realised one.
    The paper's M-CBPE, which recalibrates for each window, is left out: the contract's isotonic table calibrates.
interval: the conformal interval as a law of the outcome: normal in the label's scale with the interval's ends as its
    quantiles (1 ± coverage) / 2, for each row its own.
score: direct loss estimation: the mean loss of labelled rows scored before the window, by tenths of the score, weighted
    as the window's scores fall; before there are enough of them, the loss on the test slice.
"""

import math
from collections.abc import Mapping

import numpy as np
from scipy.stats import norm, rankdata

from pipelines.monitoring.figures import Figure, finite
from pipelines.monitoring.prediction_rows import WindowRows
from pipelines.monitoring.realised import CALIBRATION_BINS, FEWEST_LABELS
from pipelines.monitoring.uncertainty import Z, equal_bins
from pipelines.monitoring.watched import WatchedService
from pipelines.training.declaration import Array
from pipelines.training.metrics import ndcg_of_groups

__all__ = ["estimated_figures"]

_MOST_ROWS = 10_000
_DRAWS = 60
_RANKING_DRAWS = 20
_QUANTILES = 64
_FEWEST_FOR_LOSS = 200
_SURE = 1e-6


def estimated_figures(
    service: WatchedService, window: WindowRows, earlier: WindowRows | None, test: Mapping[str, float]
) -> tuple[Figure, ...]:
    """Return the figures that can be estimated for a window's rows, labelled or not; none for fewer than 30 rows.

    `earlier` holds labelled rows of the same version from before the window, `test` the contract's figures on the test
    slice. `error` and the interval say how far a realised figure on as many rows may lie from the estimate by chance.
    """
    rows = _thinned(window)
    if len(rows.prediction) < FEWEST_LABELS:
        return ()
    if service.kind == "probability":
        return _of_probabilities(rows, ranked=service.rank_by is not None)
    if service.kind == "interval":
        return _of_intervals(rows, log=service.declaration.label_transform == "log")
    return _of_scores(service, rows, earlier, test)


def _thinned(window: WindowRows) -> WindowRows:
    """At most about so many rows: whole jobs, or every k-th in the order of ids, which say nothing of values."""
    every = -(-len(window.group) // _MOST_ROWS) or 1
    place = window.group if window.group.any() else np.arange(len(window.group))
    return window.take(place % every == 0)


def _of_probabilities(rows: WindowRows, *, ranked: bool) -> tuple[Figure, ...]:
    p = np.clip(rows.prediction, 0.0, 1.0)
    n = len(p)
    drawn = (np.random.default_rng(0).random((n, _DRAWS)) < p[:, None]).astype(np.float64)
    found = {
        "roc_auc": _roc_auc(p, drawn),
        "pr_auc": _average_precision(p, drawn),
        "log_loss": _log_loss(p, drawn),
        "brier": np.mean((drawn - p[:, None]) ** 2, axis=0),
    }
    if ranked:
        groups = [ndcg_of_groups(10, rows.group, drawn[:, draw], p) for draw in range(_RANKING_DRAWS)]
        found["ndcg_at_10"] = np.array([np.mean(one) if len(one) else math.nan for one in groups])
    return tuple(_figure(metric, values, n) for metric, values in found.items())


def _roc_auc(p: Array, drawn: Array) -> Array:
    """One a draw, from rank sums (Mann and Whitney 1947), ties by midranks."""
    ones = drawn.sum(axis=0)
    above = rankdata(p) @ drawn - ones * (ones + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        areas: Array = above / (ones * (len(p) - ones))
    return areas


def _average_precision(p: Array, drawn: Array) -> Array:
    """One a draw: precision at each distinct score, weighted by the recall that it adds."""
    order = np.argsort(-p, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(p[order]) != 0, True])
    hits = np.cumsum(drawn[order], axis=0)[last]
    gained = np.diff(hits, axis=0, prepend=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        areas: Array = np.sum(gained * hits / (last + 1)[:, None], axis=0) / hits[-1]
    return areas


def _log_loss(p: Array, drawn: Array) -> Array:
    sure = np.clip(p, _SURE, 1 - _SURE)
    zero = -np.log1p(-sure)
    return np.asarray(np.mean(zero) + (-np.log(sure) - zero) @ drawn / len(p))


def _figure(metric: str, values: Array, n: int) -> Figure:
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Figure(metric, "estimated", None, n)
    return _expected(metric, float(np.mean(values)), float(np.std(values, ddof=1)), n)


def _expected(metric: str, value: float, error: float, n: int) -> Figure:
    return Figure(
        metric, "estimated", finite(value), n, finite(error), finite(value - Z * error), finite(value + Z * error)
    )


def _of_intervals(rows: WindowRows, *, log: bool) -> tuple[Figure, ...]:
    given = np.isfinite(rows.lower) & np.isfinite(rows.upper) & (rows.coverage > 0) & (rows.coverage < 1)
    if log:
        given &= (rows.lower > 0) & (rows.prediction > 0)
    n = int(np.sum(given))
    if n < FEWEST_LABELS:
        return ()
    low, high, answer = rows.lower[given], rows.upper[given], rows.prediction[given]
    if log:
        low, high = np.log(low), np.log(high)
    reach = norm.ppf((1 + rows.coverage[given]) / 2)
    middle, deviation = (low + high) / 2, (high - low) / (2 * reach)
    quantiles = norm.ppf((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    outcome = middle[:, None] + deviation[:, None] * quantiles
    if log:
        outcome = np.exp(outcome)
    error = np.abs(answer[:, None] - outcome)
    found = [_expected("mae", float(np.mean(error)), float(np.std(error)) / math.sqrt(n), n)]
    if log:
        relative = (error / outcome).ravel()
        found.append(_median("mdape", relative, n))
    return tuple(found)


def _median(metric: str, values: Array, n: int) -> Figure:
    """The spread of a median of n values: that of its order statistics, as quantiles 1/2 ± Z / (2√n)."""
    half = min(Z / (2 * math.sqrt(n)), 0.5)
    low, value, high = np.quantile(values, [0.5 - half, 0.5, 0.5 + half])
    return Figure(metric, "estimated", float(value), n, float(high - low) / (2 * Z), float(low), float(high))


def _of_scores(
    service: WatchedService, rows: WindowRows, earlier: WindowRows | None, test: Mapping[str, float]
) -> tuple[Figure, ...]:
    n = len(rows.prediction)
    known = None if earlier is None else earlier.labelled
    if known is None or len(known.outcome) < _FEWEST_FOR_LOSS:
        return tuple(
            Figure(metric, "estimated", test[metric] * service.scale, n) for metric in ("rmse", "mae") if metric in test
        )
    bins = equal_bins(known.prediction, CALIBRATION_BINS)
    edges = np.array([known.prediction[part[0]] for part in bins[1:]])
    shares = np.bincount(np.searchsorted(edges, rows.prediction, side="right"), minlength=len(bins)) / n
    error = known.prediction - known.outcome
    square = np.array([np.mean(error[part] ** 2) for part in bins])
    spread = math.sqrt(float(shares @ np.array([np.var(error[part] ** 2) for part in bins])) / n)
    root = math.sqrt(float(shares @ square))
    absolute = np.array([np.mean(np.abs(error[part])) for part in bins])
    around = math.sqrt(float(shares @ np.array([np.var(np.abs(error[part])) for part in bins])) / n)
    return (
        _expected("rmse", root, spread / (2 * root) if root > 0 else 0.0, n),
        _expected("mae", float(shares @ absolute), around, n),
    )

"""Figures of predictions against what happened later."""

from collections.abc import Callable, Mapping

import numpy as np

from pipelines.monitoring.figures import Figure, finite
from pipelines.monitoring.prediction_rows import WindowRows
from pipelines.monitoring.uncertainty import (
    Spread,
    auc_spread,
    average_precision_spread,
    calibration_spread,
    equal_bins,
    mean_spread,
    median_spread,
    rmse_spread,
    share_spread,
    spearman_spread,
)
from pipelines.monitoring.watched import AnswerKind, WatchedService
from pipelines.training.declaration import Array
from pipelines.training.metrics import binary_figures, ndcg_of_groups

__all__ = ["CALIBRATION_BINS", "FEWEST_LABELS", "realised_figures"]

FEWEST_LABELS = 30
"""Fewer give a count and no figure; for ROC and PR curves also so many of the rarer outcome are asked as a third."""
_FEWEST_OF_A_CLASS = 10
CALIBRATION_BINS = 10
_TOP = 10
_SURE = 1e-6


def realised_figures(service: WatchedService, window: WindowRows) -> tuple[Figure, ...]:
    """Return one figure a metric of the service; None as the value where the labels are too few.

    calibration_error: ECE, Σ nᵢ/n |mean outcome - mean probability| over ten bins of equal size by probability.
    ndcg_at_10: mean over jobs with both outcomes; the error is that of a mean over jobs.
    coverage: share of outcomes in [lower, upper]. mdape: median of |prediction - outcome| / outcome.
    """
    rows = window.labelled
    n = len(rows.outcome)
    found = _KINDS[service.kind](rows) if n >= FEWEST_LABELS else {}
    if n >= FEWEST_LABELS and service.rank_by is not None:
        groups = ndcg_of_groups(_TOP, rows.group, _label(rows), rows.prediction)
        if len(groups) >= _FEWEST_OF_A_CLASS:
            found["ndcg_at_10"] = _figure("ndcg_at_10", float(np.mean(groups)), n, mean_spread(groups))
    return tuple(found.get(metric, Figure(metric, "realised", None, n)) for metric in service.metrics)


def _of_probabilities(rows: WindowRows) -> dict[str, Figure]:
    label, p = _label(rows), rows.prediction
    n, ones = len(label), int(np.sum(label))
    figures = binary_figures(label, p)
    sure = np.clip(p, _SURE, 1 - _SURE)
    losses = -(label * np.log(sure) + (1 - label) * np.log1p(-sure))
    found = {
        "log_loss": _figure("log_loss", figures["log_loss"], n, mean_spread(losses)),
        "brier": _figure("brier", figures["brier"], n, mean_spread((label - p) ** 2)),
        "calibration_error": _calibration_error(rows),
    }
    if min(ones, n - ones) >= _FEWEST_OF_A_CLASS:
        found["roc_auc"] = _figure("roc_auc", figures["roc_auc"], n, auc_spread(label, p))
        spread = average_precision_spread(figures["pr_auc"], ones)
        found["pr_auc"] = _figure("pr_auc", figures["pr_auc"], n, spread)
    return found


def _label(rows: WindowRows) -> Array:
    """1 or 0: an outcome of another scale counts as one from a half on."""
    return (rows.outcome > 0.5).astype(np.float64)


def _calibration_error(rows: WindowRows) -> Figure:
    label = _label(rows)
    bins = equal_bins(rows.prediction, CALIBRATION_BINS)
    n = len(rows.prediction)
    gaps = np.array([np.mean(label[part]) - np.mean(rows.prediction[part]) for part in bins])
    variances = np.array([np.mean(rows.prediction[part] * (1 - rows.prediction[part])) / len(part) for part in bins])
    weights = np.array([len(part) / n for part in bins])
    spread, noise = calibration_spread(gaps, variances, weights)
    return _figure("calibration_error", float(weights @ np.abs(gaps)), n, spread, noise)


def _of_scores(rows: WindowRows) -> dict[str, Figure]:
    from scipy.stats import spearmanr

    error, n = rows.prediction - rows.outcome, len(rows.outcome)
    found = {
        "rmse": _figure("rmse", float(np.sqrt(np.mean(error**2))), n, rmse_spread(error)),
        "mae": _figure("mae", float(np.mean(np.abs(error))), n, mean_spread(np.abs(error))),
    }
    if np.ptp(rows.prediction) > 0 and np.ptp(rows.outcome) > 0:
        spearman = float(spearmanr(rows.prediction, rows.outcome).statistic)
        found["spearman"] = _figure("spearman", spearman, n, spearman_spread(spearman, n))
    return found


def _of_intervals(rows: WindowRows) -> dict[str, Figure]:
    error, n = np.abs(rows.prediction - rows.outcome), len(rows.outcome)
    found = {"mae": _figure("mae", float(np.mean(error)), n, mean_spread(error))}
    paid = rows.outcome > 0
    if np.sum(paid) >= FEWEST_LABELS:
        relative = error[paid] / rows.outcome[paid]
        found["mdape"] = _figure("mdape", float(np.median(relative)), len(relative), median_spread(relative))
    given = np.isfinite(rows.lower) & np.isfinite(rows.upper)
    if np.sum(given) >= FEWEST_LABELS:
        inside = (rows.outcome[given] >= rows.lower[given]) & (rows.outcome[given] <= rows.upper[given])
        hits, of = int(np.sum(inside)), len(inside)
        found["coverage"] = _figure("coverage", hits / of, of, share_spread(hits, of))
        width = rows.upper[given] - rows.lower[given]
        found["interval_width"] = _figure("interval_width", float(np.mean(width)), of, mean_spread(width))
    return found


def _figure(metric: str, value: float, rows: int, spread: Spread, noise: float | None = None) -> Figure:
    error, lower, upper = (finite(one) for one in spread)
    return Figure(metric, "realised", finite(value), rows, error, lower, upper, noise)


_KINDS: Mapping[AnswerKind, Callable[[WindowRows], dict[str, Figure]]] = {
    "probability": _of_probabilities,
    "score": _of_scores,
    "interval": _of_intervals,
}

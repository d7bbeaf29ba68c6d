"""How far a figure on n rows may be from the truth: standard errors and 95 % intervals, each with its source."""

import math

import numpy as np
from numpy.typing import NDArray

from pipelines.training.declaration import Array

__all__ = [
    "Spread",
    "Z",
    "auc_spread",
    "average_precision_spread",
    "calibration_spread",
    "mean_spread",
    "median_spread",
    "rmse_spread",
    "share_spread",
    "spearman_spread",
]

Z = 1.959963984540054
"""Standard normal quantile of 0.975: all intervals here hold 95 %."""
Spread = tuple[float, float, float]
"""Standard error, lower end, upper end."""
_UNKNOWN: Spread = (math.nan, math.nan, math.nan)


def mean_spread(values: Array) -> Spread:
    """A mean: s / √n, by the central limit theorem."""
    if len(values) < 2:
        return _UNKNOWN
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return error, mean - Z * error, mean + Z * error


def rmse_spread(errors: Array) -> Spread:
    """A root mean square: that of the mean square by the delta method, d√m = dm / (2√m)."""
    squares = errors**2
    error, low, high = mean_spread(squares)
    root = math.sqrt(float(np.mean(squares)))
    if not root > 0:
        return _UNKNOWN
    return error / (2 * root), math.sqrt(max(low, 0.0)), math.sqrt(high)


def median_spread(values: Array) -> Spread:
    """A median: order statistics n/2 ± Z√n/2 (David and Nagaraja, Order Statistics, 2003, section 7.1)."""
    n = len(values)
    half = Z * math.sqrt(n) / 2
    if n < 2 or half >= n / 2:
        return _UNKNOWN
    ranked = np.sort(values)
    low = float(ranked[max(math.floor(n / 2 - half) - 1, 0)])
    high = float(ranked[min(math.ceil(n / 2 + half), n - 1)])
    return (high - low) / (2 * Z), low, high


def share_spread(hits: int, n: int) -> Spread:
    """A share: Wilson's score interval (Wilson 1927), sound at 0 and 1 too."""
    if n == 0:
        return _UNKNOWN
    p, bound = hits / n, Z**2 / n
    centre = (p + bound / 2) / (1 + bound)
    half = Z * math.sqrt(p * (1 - p) / n + bound / (4 * n)) / (1 + bound)
    return math.sqrt(p * (1 - p) / n), centre - half, centre + half


def auc_spread(label: Array, score: Array) -> Spread:
    """An area under the ROC curve: DeLong, DeLong and Clarke-Pearson 1988, by the midranks of Sun and Xu 2014.

    The interval is taken on the logit scale, where it cannot leave (0, 1). Rows count as independent.
    """
    from scipy.stats import rankdata

    ones, zeros = score[label > 0.5], score[label <= 0.5]
    m, n = len(ones), len(zeros)
    if m < 2 or n < 2:
        return _UNKNOWN
    ranks = rankdata(np.concatenate([ones, zeros]))
    above = (ranks[:m] - rankdata(ones)) / n
    below = 1.0 - (ranks[m:] - rankdata(zeros)) / m
    variance = float(np.var(above, ddof=1)) / m + float(np.var(below, ddof=1)) / n
    return _on_logit_scale(float(np.mean(above)), math.sqrt(variance))


def average_precision_spread(figure: float, positives: int) -> Spread:
    """An area under the precision-recall curve: binomial variance on the logit scale (Boyd, Eng and Page 2013)."""
    if positives < 2 or not 0 < figure < 1:
        return _UNKNOWN
    return _on_logit_scale(figure, math.sqrt(figure * (1 - figure) / positives))


def spearman_spread(figure: float, n: int) -> Spread:
    """A rank correlation: variance (1 + r²/2) / (n - 3) of Fisher's z (Bonett and Wright 2000)."""
    if n < 4 or not abs(figure) < 1:
        return _UNKNOWN
    error = math.sqrt((1 + figure**2 / 2) / (n - 3))
    z = math.atanh(figure)
    return error * (1 - figure**2), math.tanh(z - Z * error), math.tanh(z + Z * error)


def calibration_spread(gaps: Array, variances: Array, weights: Array) -> tuple[Spread, float]:
    """An expected calibration error Σ w|gap| over bins, and the error that perfect calibration would show.

    `variances` are those of each bin's mean label if its probabilities are true. Delta method for the first; the mean
    of a half normal a bin, w σ √(2/π), for the second, since |gap| is never negative, however good the model.
    """
    figure = float(weights @ np.abs(gaps))
    error = math.sqrt(float(weights**2 @ variances))
    noise = float(weights @ np.sqrt(variances)) * math.sqrt(2 / math.pi)
    return (error, max(figure - Z * error, 0.0), figure + Z * error), noise


def _on_logit_scale(figure: float, error: float) -> Spread:
    if not 0 < figure < 1:
        return error, figure, figure
    logit, width = math.log(figure / (1 - figure)), Z * error / (figure * (1 - figure))
    return error, 1 / (1 + math.exp(width - logit)), 1 / (1 + math.exp(-width - logit))


def equal_bins(values: Array, bins: int) -> list[NDArray[np.intp]]:
    """Cut rows into bins of equal size by value, as training's calibration error does."""
    return [part for part in np.array_split(np.argsort(values, kind="stable"), bins) if len(part)]

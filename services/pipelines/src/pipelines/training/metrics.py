"""Figures of predictions against labels; the same for model, naive baseline and irreducible error."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.training.declaration import Array, ModelDeclaration

__all__ = ["HIGHER_IS_BETTER", "binary_figures", "evaluate", "ndcg_at", "ndcg_of_groups"]

HIGHER_IS_BETTER = frozenset({"roc_auc", "pr_auc", "ndcg_at_10", "r2"})
_TINY = 1e-6


def evaluate(declaration: ModelDeclaration, rows: pa.Table, label: Array, predicted: Array) -> dict[str, float]:
    """Return the task's metrics.

    Args:
        declaration: says the task, the label's transform and the group of a ranking.
        rows: ids of the n rows, for the ranking's groups.
        label: (n,) as observed.
        predicted: (n,) in the scale of the transformed label; probabilities for binary and ranking.

    Returns:
        binary: log_loss, brier, roc_auc, pr_auc; ranking: ndcg_at_10 too; regression: mae, rmse, r2 in the label's
        unit, and under log also mdape (median absolute percentage error, a fraction) and rmse_log.
    """
    if declaration.task == "regression":
        return _regression(label, predicted, log=declaration.label_transform == "log")
    figures = binary_figures(label, predicted)
    if declaration.rank_by is not None:
        groups = np.unique(rows[declaration.rank_by].to_numpy(zero_copy_only=False), return_inverse=True)[1]
        figures["ndcg_at_10"] = ndcg_at(10, groups, label, predicted)
    return figures


def binary_figures(label: Array, predicted: Array) -> dict[str, float]:
    """Return log_loss, brier, roc_auc and pr_auc of probabilities (n,); the last two NaN where one label is absent."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    sure = np.clip(predicted, _TINY, 1 - _TINY)
    both = 0 < label.sum() < len(label)
    return {
        "log_loss": float(-np.mean(label * np.log(sure) + (1 - label) * np.log1p(-sure))),
        "brier": float(np.mean((label - predicted) ** 2)),
        "roc_auc": float(roc_auc_score(label, predicted)) if both else float("nan"),
        "pr_auc": float(average_precision_score(label, predicted)) if both else float("nan"),
    }


def _regression(label: Array, predicted: Array, *, log: bool) -> dict[str, float]:
    answer = np.exp(predicted) if log else predicted
    error = answer - label
    spread = float(np.mean((label - label.mean()) ** 2))
    figures = {
        "mae": float(np.mean(np.abs(error))),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "r2": 1.0 - float(np.mean(error**2)) / spread if spread > 0 else float("nan"),
    }
    if log:
        figures["mdape"] = float(np.median(np.abs(error) / label))
        figures["rmse_log"] = float(np.sqrt(np.mean((predicted - np.log(label)) ** 2)))
    return figures


def ndcg_at(k: int, groups: NDArray[np.intp], label: Array, predicted: Array) -> float:
    """Return the mean of `ndcg_of_groups`; NaN where no group holds both labels."""
    figures = ndcg_of_groups(k, groups, label, predicted)
    return float(np.mean(figures)) if len(figures) else float("nan")


def ndcg_of_groups(k: int, groups: NDArray[np.intp], label: Array, predicted: Array) -> Array:
    """Return NDCG@k of each group that holds both labels (Järvelin and Kekäläinen 2002, gain = label).

    Rows of equal score share their mean gain, so that a constant score is worth what chance is worth.
    """
    figures = list[float]()
    for rows in _rows_of_groups(groups):
        gains = label[rows]
        if len(rows) < 2 or not 0 < gains.sum() < len(rows):
            continue
        discount = np.where(np.arange(len(rows)) < k, 1.0 / np.log2(np.arange(len(rows)) + 2.0), 0.0)
        _, tie = np.unique(-predicted[rows], return_inverse=True)
        mean_gain = np.bincount(tie, weights=gains) / np.bincount(tie)
        figures.append(float(discount @ mean_gain[np.sort(tie)]) / float(discount @ np.sort(gains)[::-1]))
    return np.array(figures, dtype=np.float64)


def _rows_of_groups(groups: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)

"""The evaluation's figures and their table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from real_data.dataset import Dataset
from real_data.drift import QUIET_WINDOWS, DriftReplay
from real_data.flow import Predictions

__all__ = ["Figure", "figures", "markdown"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    metric: str
    model: float
    naive: float | None
    lower_is_better: bool = True

    @property
    def gain(self) -> float | None:
        """Share by which the model's error is below the baseline's, or its score above it."""
        if self.naive is None or self.naive == 0:
            return None
        change = self.model / self.naive - 1.0
        return -change if self.lower_is_better else change


def figures(dataset: Dataset, answered: Predictions) -> tuple[Figure, ...]:
    """Return the data set's figures over the held-out rows."""
    label, model, naive = (np.asarray(values) for values in (answered.label, answered.model, answered.naive))
    if dataset.measure == "probability":
        return (
            Figure("ROC AUC", roc_auc_score(label, model), 0.5, lower_is_better=False),
            Figure("PR AUC", average_precision_score(label, model), float(label.mean()), lower_is_better=False),
            Figure("Brier score", brier_score_loss(label, model), brier_score_loss(label, naive)),
        )
    rows = [
        Figure("MAE (USD/month)", float(np.abs(model - label).mean()), float(np.abs(naive - label).mean())),
        Figure("median APE", float(np.median(np.abs(model / label - 1))), float(np.median(np.abs(naive / label - 1)))),
    ]
    if answered.lower is not None and answered.upper is not None:
        inside = (label >= np.asarray(answered.lower)) & (label <= np.asarray(answered.upper))
        rows.append(Figure("coverage of the 80 % interval", float(inside.mean()), None, lower_is_better=False))
    return tuple(rows)


def markdown(results: Sequence[tuple[Dataset, Predictions, Sequence[Figure]]]) -> str:
    """Return the table with the rule of each data set below it."""
    lines = [
        "| data | learnt from | scored over HTTP | metric | model | baseline | better by |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    for dataset, answered, rows in results:
        for row in rows:
            naive = "" if row.naive is None else f"{row.naive:.4g}"
            gain = "" if row.gain is None else f"{row.gain:+.1%}"
            lines.append(
                f"| {dataset.title} | {answered.known_rows:,} | {len(answered.label):,} | {row.metric} "
                f"| {row.model:.4g} | {naive} | {gain} |"
            )
    lines.append("")
    lines += [
        f"- {dataset.name}: {dataset.rule}. Baseline: {dataset.baseline}. Source: {dataset.credit}."
        for dataset, _, _ in results
    ]
    lines += [_drift(dataset, answered.drift) for dataset, answered, _ in results if answered.drift is not None]
    return "\n".join(lines) + "\n"


def _drift(dataset: Dataset, drift: DriftReplay) -> str:
    alarmed = ", ".join(f"{name} (PSI {value:.2f})" for name, value in drift.features.items()) or "nothing"
    checked = "as promtool ran the rules" if drift.checked else "by our own computation, as promtool is missing"
    return (
        f"- Drift on {dataset.name}: {QUIET_WINDOWS} windows of known rows, no alarm; one of {drift.rows:,} held-out "
        f"rows, alarms for {alarmed}; {checked}."
    )

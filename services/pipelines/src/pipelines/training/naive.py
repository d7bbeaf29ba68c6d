"""What one would say without a model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.training.declaration import Array

__all__ = ["GroupMedian", "MeanLabel"]


@dataclass(frozen=True, slots=True)
class MeanLabel:
    """The mean label of the training rows, for every row: the base rate of a binary label."""

    def predict(self, train: Mapping[str, Array], label: Array, rows: Mapping[str, Array]) -> Array:  # noqa: ARG002
        """Answer for `rows`, (n,); the columns of `train` do not matter."""
        return np.full(len(next(iter(rows.values()))), float(label.mean()))


@dataclass(frozen=True, slots=True)
class GroupMedian:
    """The median label by groups of features; the overall median where a group has too few training rows.

    `by` names features; a feature with edges is cut there, others are taken as codes.
    """

    by: Mapping[str, tuple[float, ...]]
    fewest_rows: int = 10

    def predict(self, train: Mapping[str, Array], label: Array, rows: Mapping[str, Array]) -> Array:
        """Answer for `rows`, (n,)."""
        known, asked = self._groups(train), self._groups(rows)
        groups, place = np.unique(known, axis=0, return_inverse=True)
        order = np.argsort(place, kind="stable")
        members = np.split(label[order], np.flatnonzero(np.diff(place[order])) + 1)
        medians = {
            tuple(group): float(np.median(values))
            for group, values in zip(groups.tolist(), members, strict=True)
            if len(values) >= self.fewest_rows
        }
        overall = float(np.median(label))
        return np.array([medians.get(tuple(group), overall) for group in asked.tolist()])

    def _groups(self, columns: Mapping[str, Array]) -> Array:
        cut = [
            np.where(np.isnan(columns[name]), -1.0, np.digitize(columns[name], edges) if edges else columns[name])
            for name, edges in self.by.items()
        ]
        return np.column_stack(cut)

"""PSI of counts against reference bins, with what chance alone makes of it.

The definition, the noise and the threshold are those of the recording rules, see
`deploy/prometheus/generate_drift_rules.py`; a test holds the two together.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.contract import ReferenceBins

__all__ = ["FEWEST_ROWS_A_BIN", "Drift", "drift_of"]

_FLOOR_SHARE = 1e-4
_FLOOR_PSI = 0.1
_DEVIATIONS = 5.0
FEWEST_ROWS_A_BIN = 20


@dataclass(frozen=True, slots=True)
class Drift:
    """PSI of one column in one window."""

    psi: float
    noise: float
    """PSI to expect of so many rows when nothing moved: (1/n + 1/m)(k - 1)."""
    threshold: float
    """Quantile of that PSI's law five standard deviations out, never below 0.1."""
    rows: int
    enough: bool
    """At least 20 rows a bin; fewer say nothing."""

    @property
    def excess(self) -> float:
        """PSI in units of its threshold."""
        return self.psi / self.threshold

    @property
    def drifted(self) -> bool:
        """PSI is above its threshold, on rows enough to say so."""
        return self.enough and self.psi > self.threshold


def drift_of(counts: NDArray[np.int64], reference: ReferenceBins) -> Drift | None:
    """Compare counts a bin with the reference; None without rows or bins to compare."""
    rows, bins = int(counts.sum()), len(reference.shares)
    if rows == 0 or reference.rows == 0 or bins < 2:
        return None
    p = np.maximum(counts / rows, _FLOOR_SHARE)
    q = np.maximum(np.asarray(reference.shares), _FLOOR_SHARE)
    unit, freedom = 1 / rows + 1 / reference.rows, bins - 1
    # Wilson and Hilferty: the cube root of a chi-square is about normal.
    spread = 2 / (9 * freedom)
    quantile = (1 - spread + _DEVIATIONS * math.sqrt(spread)) ** 3
    return Drift(
        psi=float(np.sum((p - q) * np.log(p / q))),
        noise=unit * freedom,
        threshold=max(unit * freedom * quantile, _FLOOR_PSI),
        rows=rows,
        enough=rows >= FEWEST_ROWS_A_BIN * bins,
    )

"""Post-processing that more than one service uses: curves from the contract's tables."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference import OutputSpec

__all__ = ["ExperiencePrediction", "calibrated", "experience"]

_PERCENTILES = np.arange(101, dtype=np.float64)


def calibrated(raw: NDArray[np.float64], output: OutputSpec) -> NDArray[np.float64]:
    """Map the booster's probability (n,) along the monotone curve of `calibration_x` and `calibration_y`."""
    tables = output.arrays
    return np.clip(np.interp(raw, tables["calibration_x"], tables["calibration_y"]), 0.0, 1.0)


class ExperiencePrediction(msgspec.Struct, frozen=True):
    """A score of experience, and where it stands among all candidates."""

    score: float
    """0 to 100."""
    percentile: float
    """Share of candidates with a lower expected rating, in percent."""


def experience(raw: NDArray[np.float64], output: OutputSpec) -> dict[str, NDArray[Any]]:
    """Turn expected ratings (n,) into a score and a percentile.

    The score runs along the monotone curve of `score_x` and `score_y`; the percentile comes from `percentile_x`, the
    101 quantiles of the model's ratings over the candidates.
    """
    tables = output.arrays
    return {
        "score": np.clip(np.interp(raw, tables["score_x"], tables["score_y"]), 0.0, 100.0).round(2),
        "percentile": np.interp(raw, tables["percentile_x"], _PERCENTILES).round(1),
    }

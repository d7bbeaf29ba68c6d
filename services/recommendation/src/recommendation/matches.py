"""Post-processing: how well a person and a job fit."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference import OutputSpec
from serving.curves import calibrated

__all__ = ["MatchPrediction", "postprocess"]


class MatchPrediction(msgspec.Struct, frozen=True):
    """How well a person and a job fit."""

    score: float
    """0 to 1: the probability that they match well enough for a hire."""


def postprocess(raw: NDArray[np.float64], output: OutputSpec) -> dict[str, NDArray[Any]]:
    """Calibrate the booster's probability."""
    return {"score": calibrated(raw, output)}

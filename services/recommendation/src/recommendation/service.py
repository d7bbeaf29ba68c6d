"""The declaration."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference import OutputSpec
from serving import Service
from serving.curves import calibrated

__all__ = ["SERVICE", "MatchPrediction", "postprocess"]


class MatchPrediction(msgspec.Struct, frozen=True):
    """How well a person and a job fit."""

    score: float
    """0 to 1: the probability that they match well enough for a hire."""


def postprocess(raw: NDArray[np.float64], output: OutputSpec) -> dict[str, NDArray[Any]]:
    """Calibrate the booster's probability."""
    return {"score": calibrated(raw, output)}


SERVICE = Service(
    name="recommendation",
    title="推薦評価値・自動リストアップ",
    summary="How well do a person and a job fit, and who fits a job best?",
    port=8005,
    entities=("job_id", "candidate_id"),
    bulk_key="pairs",
    prediction=MatchPrediction,
    postprocess=postprocess,
)

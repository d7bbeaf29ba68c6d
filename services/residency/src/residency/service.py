"""The declaration."""

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference import OutputSpec
from serving import Service
from serving.curves import calibrated

__all__ = ["SERVICE", "ResidencyPrediction", "postprocess"]

_DECISIONS = np.array(["domestic", "review", "abroad"], dtype=object)


class ResidencyPrediction(msgspec.Struct, frozen=True):
    """How likely a person lives abroad, and what to do with that."""

    probability: float
    decision: Literal["domestic", "abroad", "review"]
    """`review` where neither is sure enough."""


def postprocess(raw: NDArray[np.float64], output: OutputSpec) -> dict[str, NDArray[Any]]:
    """Calibrate the probability and decide.

    Below `review_low` domestic, above `review_high` abroad, between them, ends included, review.
    """
    probability = calibrated(raw, output)
    low, high = output.arrays["review_low"], output.arrays["review_high"]
    decision = _DECISIONS[1 - (probability < low).astype(np.intp) + (probability > high)]
    return {"probability": probability, "decision": decision}


SERVICE = Service(
    name="residency",
    title="海外居住判定",
    summary="Does this person live abroad?",
    port=8001,
    entities=("candidate_id",),
    bulk_key="candidate_ids",
    prediction=ResidencyPrediction,
    postprocess=postprocess,
)

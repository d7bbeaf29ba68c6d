"""The service under test: a scoring service like the five, declared over the benchmark's feature views."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.contract import OutputSpec
from serving import Service, run

__all__ = ["SERVICE"]


class BenchPrediction(msgspec.Struct):
    """The booster's number as it is."""

    score: float


def postprocess(raw: NDArray[np.float64], output: OutputSpec) -> dict[str, NDArray[np.float64]]:
    """Scores (n,) from the booster's numbers (n,)."""
    return {"score": np.clip(raw, output.tables["score_x"][0], output.tables["score_x"][1])}


SERVICE = Service(
    name="bench",
    title="Bench",
    summary="The platform's own score over the benchmark's features.",
    port=0,
    entities=("candidate_id",),
    prediction=BenchPrediction,
    postprocess=postprocess,
    bulk_key="candidate_ids",
)

if __name__ == "__main__":
    run(SERVICE)

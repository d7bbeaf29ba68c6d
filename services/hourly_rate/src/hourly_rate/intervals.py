"""Post-processing: from the booster's logarithm of a rate to an estimate with a conformal interval."""

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference import OutputSpec

__all__ = ["RatePrediction", "postprocess", "rate_columns"]

Group = Literal["known", "anonymous"]


class RatePrediction(msgspec.Struct, frozen=True):
    """What the work is worth."""

    estimate: float
    lower: float
    upper: float
    coverage: float
    """Share of true rates between `lower` and `upper`, as the interval was calibrated."""
    unit: str


def postprocess(raw: NDArray[np.float64], output: OutputSpec) -> dict[str, NDArray[Any]]:
    """Columns for people whom the feature store knows."""
    return rate_columns(raw, output, "known")


def rate_columns(raw: NDArray[np.float64], output: OutputSpec, group: Group) -> dict[str, NDArray[Any]]:
    """Turn log rates (n,) into rates of `output.unit`, rounded to `round_to`.

    The interval adds the log offsets of `interval_low_<group>` and `interval_high_<group>`, which stand by bin of the
    predicted value between `interval_edges` (Mondrian conformal prediction: Vovk, Gammerman, Shafer 2005, section 4.5).
    """
    tables = output.arrays
    bins = np.searchsorted(tables["interval_edges"], raw, side="right")
    low = np.minimum(tables[f"interval_low_{group}"][bins], 0.0)
    high = np.maximum(tables[f"interval_high_{group}"][bins], 0.0)
    step = float(tables["round_to"][0])
    return {
        "estimate": _rounded(np.exp(raw), step),
        "lower": _rounded(np.exp(raw + low), step),
        "upper": _rounded(np.exp(raw + high), step),
        "coverage": np.full(len(raw), tables["coverage"][0]),
        "unit": np.full(len(raw), output.unit, dtype=object),
    }


def _rounded(values: NDArray[np.float64], step: float) -> NDArray[Any]:
    multiples = np.rint(values / step)
    if step.is_integer():
        # Whole yen go over the wire as whole numbers; a rate that no one has is capped where int64 ends.
        return np.minimum(multiples, 9e18 / step).astype(np.int64) * int(step)
    return multiples * step

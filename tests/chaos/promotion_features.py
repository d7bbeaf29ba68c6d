"""An on-demand feature with a bug that no check at load can find."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["brittle"]


def brittle(values: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Work for nobody, who has no features, and fail for everybody else."""
    if not np.isnan(values["years_experience"]).all():
        raise ZeroDivisionError
    return {"rate_per_year": values["years_experience"]}

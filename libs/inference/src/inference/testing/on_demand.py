"""An on-demand function for tests."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["rate_per_year"]


def rate_per_year(values: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Give `rate_per_year` = desired_rate_yen / (years_experience + 1)."""
    return {"rate_per_year": values["desired_rate_yen"] / (values["years_experience"] + 1.0)}

"""On-demand features with faults that no check at load can find: at load there is one row of nobody."""

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from inference.testing import rate_per_year

__all__ = ["brittle", "crowded", "sluggish"]

Columns = Mapping[str, NDArray[np.float64]]


def brittle(values: Columns) -> dict[str, NDArray[np.float64]]:
    """Fail for everybody who has features."""
    if not np.isnan(values["years_experience"]).all():
        raise ZeroDivisionError
    return rate_per_year(values)


def crowded(values: Columns) -> dict[str, NDArray[np.float64]]:
    """Fail for as many as only a shortlist has."""
    if len(values["years_experience"]) > 100:
        raise ZeroDivisionError
    return rate_per_year(values)


def sluggish(values: Columns) -> dict[str, NDArray[np.float64]]:
    """Take long for everybody who has features."""
    if not np.isnan(values["years_experience"]).all():
        time.sleep(0.02)
    return rate_per_year(values)

"""What the data plane needs from a booster."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Booster", "check_matrix"]


class Booster(Protocol):
    """A loaded model. Calls are safe from several threads and release the GIL; memory goes when the object does."""

    @property
    def num_features(self) -> int:
        """Columns of the matrix."""
        ...

    @property
    def is_compiled(self) -> bool:
        """Whether `forest.c` walks the trees, rather than the library."""
        ...

    def predict(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, m) float64 to (n,): what the library's own `predict` returns, bit by bit. Raises `BoosterError`."""
        ...

    def contributions(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, m) float64 to (n, m + 1) SHAP values of the raw margin, the expected value last."""
        ...


def check_matrix(matrix: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    """Give the matrix in the layout that the C APIs read; raises `ValueError` on a wrong number of columns."""
    if matrix.ndim != 2 or matrix.shape[1] != columns:
        raise ValueError(f"a matrix of shape {matrix.shape} for a booster of {columns} features")
    return np.ascontiguousarray(matrix, dtype=np.float64)

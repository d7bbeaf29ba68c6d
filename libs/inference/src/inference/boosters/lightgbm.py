"""LightGBM through its C API (`LightGBM/c_api.h`)."""

import ctypes
import threading
import weakref
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.boosters.forest import Forest, Tree, compile_forest
from inference.boosters.lightgbm_trees import read_lightgbm_trees
from inference.boosters.protocol import check_matrix
from inference.boosters.shared_library import open_shared_library
from inference.errors import ArtifactError, BoosterError

__all__ = ["LightGBMBooster"]

_FLOAT64 = 1
_ROW_MAJOR = 1
_NORMAL, _CONTRIBUTIONS = 0, 3
_ALL_TREES = -1

_ZERO = float(np.float32(1e-35))
"""`kZeroThreshold`: LightGBM takes a row for sparse, and what is no larger for absent, that is 0."""
_SINGLE_ROWS = 8
"""Up to so many rows are predicted one by one: `PredictForMat` parses its parameters and builds a predictor at each
call, about 15 µs, which the fast single-row handle does once."""


class LightGBMBooster:
    """A LightGBM model file. `predict` is bit-equal to `lightgbm.Booster.predict`."""

    def __init__(self, path: Path, *, bulk_rows: int = 4096, bulk_threads: int = 1, compiled: bool = True) -> None:
        """Load the file.

        Where trees are not `compiled`, calls of at least `bulk_rows` rows use `bulk_threads` OpenMP threads.
        """
        library = _library()
        self._library = library
        handle, trees = ctypes.c_void_p(), ctypes.c_int()
        created = library.LGBM_BoosterCreateFromModelfile(str(path).encode(), _ref(trees), _ref(handle))
        if created != 0:
            raise ArtifactError(f"LightGBM cannot read {path.name}: {_last_error(library)}")
        self._handle = handle
        self._bulk_rows = bulk_rows
        self._bulk_parameter = f"num_threads={bulk_threads}".encode()
        self._columns = self._count("LGBM_BoosterGetNumFeature")
        fast = ctypes.c_void_p()
        weakref.finalize(self, _release, library, handle, fast)
        if self._count("LGBM_BoosterGetNumClasses") != 1:
            raise ArtifactError(f"{path.name} has several classes; a service serves one output")
        self._call(
            "LGBM_BoosterPredictForMatSingleRowFastInit",
            handle,
            _NORMAL,
            0,
            _ALL_TREES,
            _FLOAT64,
            ctypes.c_int32(self._columns),
            b"num_threads=1",
            _ref(fast),
        )
        # The fast handle keeps its input, output and scratch between calls: one row at a time, under the lock.
        self._lock = threading.Lock()
        self._row = np.empty(self._columns, dtype=np.float64)
        self._result = np.empty(1, dtype=np.float64)
        self._length = ctypes.c_int64()
        self._predict_row = library.LGBM_BoosterPredictForMatSingleRowFast
        self._row_arguments = (
            fast,
            ctypes.c_void_p(self._row.ctypes.data),
            _ref(self._length),
            ctypes.c_void_p(self._result.ctypes.data),
        )
        self._forest = self._compile(path) if compiled else None

    @property
    def is_compiled(self) -> bool:
        """Whether `forest.c` walks the trees, rather than the library."""
        return self._forest is not None

    @property
    def num_features(self) -> int:
        """Columns of the matrix."""
        return self._columns

    def predict(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, m) float64 to (n,), objective's transform applied. Raises `BoosterError`."""
        if matrix.ndim != 2 or matrix.shape[1] != self._columns:
            check_matrix(matrix, self._columns)
        if self._forest is not None:
            return self._forest.predict(check_matrix(matrix, self._columns))
        return self._predict_by_library(matrix)

    def _predict_by_library(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        n = len(matrix)
        out = np.empty(n, dtype=np.float64)
        if n <= _SINGLE_ROWS:
            self._predict_rows(matrix, out)
        else:
            threads = self._bulk_parameter if n >= self._bulk_rows else b"num_threads=1"
            self._predict_matrix(check_matrix(matrix, self._columns), _NORMAL, threads, out)
        return out

    def contributions(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, m) float64 to (n, m + 1) SHAP values of the raw margin, the expected value last."""
        matrix = check_matrix(matrix, self._columns)
        out = np.empty((len(matrix), self._columns + 1), dtype=np.float64)
        if len(matrix):
            self._predict_matrix(matrix, _CONTRIBUTIONS, b"num_threads=1", out)
        return out

    def _compile(self, path: Path) -> Forest | None:
        def build(library: ctypes.CDLL) -> tuple[Forest, Sequence[Tree]]:
            trees, transform, scale = read_lightgbm_trees(path.read_text(encoding="utf-8"))
            forest = Forest(library, trees, self._columns, transform=transform, scale=scale, zero=_ZERO)
            return forest, trees

        return compile_forest(build, self._predict_by_library, self._columns, path.name)

    def _predict_rows(self, matrix: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        row, result, call, arguments = self._row, self._result, self._predict_row, self._row_arguments
        with self._lock:
            for i in range(len(out)):
                row[:] = matrix[i]
                if call(*arguments) != 0:
                    raise BoosterError(_last_error(self._library))
                out[i] = result[0]

    def _predict_matrix(self, matrix: NDArray[np.float64], kind: int, threads: bytes, out: NDArray[np.float64]) -> None:
        length = ctypes.c_int64()
        self._call(
            "LGBM_BoosterPredictForMat",
            self._handle,
            ctypes.c_void_p(matrix.ctypes.data),
            _FLOAT64,
            ctypes.c_int32(matrix.shape[0]),
            ctypes.c_int32(matrix.shape[1]),
            _ROW_MAJOR,
            kind,
            0,
            _ALL_TREES,
            threads,
            _ref(length),
            ctypes.c_void_p(out.ctypes.data),
        )
        if length.value != out.size:
            raise BoosterError(f"LightGBM returned {length.value} values for {out.size}")

    def _count(self, function: str) -> int:
        count = ctypes.c_int()
        self._call(function, self._handle, _ref(count))
        return count.value

    def _call(self, function: str, *arguments: object) -> None:
        if getattr(self._library, function)(*arguments) != 0:
            raise BoosterError(_last_error(self._library))


_ref = ctypes.byref


@cache
def _library() -> ctypes.CDLL:
    library = open_shared_library("lightgbm", "lib_lightgbm")
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    # Without this the library prints warnings of its own on standard output.
    library.LGBM_RegisterLogCallback(_discard_log)
    return library


_discard_log = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(lambda _message: None)


def _last_error(library: ctypes.CDLL) -> str:
    return str(library.LGBM_GetLastError().decode(errors="replace"))


def _release(library: ctypes.CDLL, handle: ctypes.c_void_p, fast: ctypes.c_void_p) -> None:
    if fast.value:
        library.LGBM_FastConfigFree(fast)
    library.LGBM_BoosterFree(handle)

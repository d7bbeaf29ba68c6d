"""XGBoost through its C API (`xgboost/c_api.h`).

XGBoost computes in float32: values are rounded to it on the way in, and results widened on the way out.
"""

import ctypes
import json
import weakref
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.boosters.forest import Forest, Tree, compile_forest
from inference.boosters.protocol import check_matrix
from inference.boosters.shared_library import open_shared_library
from inference.boosters.xgboost_trees import read_xgboost_trees
from inference.errors import ArtifactError, BoosterError

__all__ = ["XGBoostBooster"]

_PREDICT = json.dumps(
    {"type": 0, "training": False, "iteration_begin": 0, "iteration_end": 0, "missing": float("nan"),
     "strict_shape": False, "cache_id": 0}
).encode()  # fmt: skip
_CONTRIBUTIONS = json.dumps(
    {"type": 2, "training": False, "iteration_begin": 0, "iteration_end": 0, "strict_shape": False}
).encode()


class XGBoostBooster:
    """An XGBoost model file (JSON or UBJSON). `predict` is bit-equal to `xgboost.Booster.inplace_predict`."""

    def __init__(self, path: Path, *, compiled: bool = True) -> None:
        library = _library()
        self._library = library
        handle = ctypes.c_void_p()
        self._handle = handle
        self._call("XGBoosterCreate", None, ctypes.c_uint64(0), _ref(handle))
        weakref.finalize(self, library.XGBoosterFree, handle)
        try:
            self._call("XGBoosterLoadModel", handle, str(path).encode())
            # One thread a call: an OpenMP team costs a single row more than the trees do.
            self._call("XGBoosterSetParam", handle, b"nthread", b"1")
        except BoosterError as error:
            raise ArtifactError(f"XGBoost cannot read {path.name}: {error}") from error
        columns = ctypes.c_uint64()
        self._call("XGBoosterGetNumFeature", handle, _ref(columns))
        self._columns = columns.value
        self._forest = (
            compile_forest(self._build, self._predict_by_library, self._columns, path.name) if compiled else None
        )

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
        matrix = check_matrix(matrix, self._columns)
        return self._predict_by_library(matrix) if self._forest is None else self._forest.predict(matrix)

    def _build(self, library: ctypes.CDLL) -> tuple[Forest, Sequence[Tree]]:
        length, content = ctypes.c_uint64(), ctypes.c_char_p()
        self._call("XGBoosterSaveModelToBuffer", self._handle, b'{"format": "json"}', _ref(length), _ref(content))
        model = read_xgboost_trees(ctypes.string_at(content, length.value))
        forest = Forest(library, model.trees, self._columns, base=model.base, transform=model.transform, float32=True)
        return forest, model.trees

    def _predict_by_library(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        if not len(matrix):
            return np.empty(0, dtype=np.float64)
        result, shape, dimensions = ctypes.POINTER(ctypes.c_float)(), _Shape(), ctypes.c_uint64()
        self._call(
            "XGBoosterPredictFromDense",
            self._handle,
            _array_interface(matrix),
            _PREDICT,
            None,
            _ref(shape),
            _ref(dimensions),
            _ref(result),
        )
        return _copy(result, (len(matrix),), shape, dimensions)

    def contributions(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, m) float64 to (n, m + 1) SHAP values of the margin, the expected value last."""
        matrix = check_matrix(matrix, self._columns)
        expected = (len(matrix), self._columns + 1)
        if not len(matrix):
            return np.empty(expected, dtype=np.float64)
        rows = ctypes.c_void_p()
        config = b'{"missing": NaN, "nthread": 1}'
        self._call("XGDMatrixCreateFromDense", _array_interface(matrix), config, _ref(rows))
        try:
            self._copy_feature_types(rows)
            result, shape, dimensions = ctypes.POINTER(ctypes.c_float)(), _Shape(), ctypes.c_uint64()
            self._call(
                "XGBoosterPredictFromDMatrix",
                self._handle,
                rows,
                _CONTRIBUTIONS,
                _ref(shape),
                _ref(dimensions),
                _ref(result),
            )
            return _copy(result, expected, shape, dimensions)
        finally:
            self._library.XGDMatrixFree(rows)

    def _copy_feature_types(self, rows: ctypes.c_void_p) -> None:
        """A DMatrix knows of categories only what it is told; the model remembers what it was trained with."""
        count, types = ctypes.c_uint64(), ctypes.POINTER(ctypes.c_char_p)()
        self._call("XGBoosterGetStrFeatureInfo", self._handle, b"feature_type", _ref(count), _ref(types))
        if count.value:
            self._call("XGDMatrixSetStrFeatureInfo", rows, b"feature_type", types, count)

    def _call(self, function: str, *arguments: object) -> None:
        if getattr(self._library, function)(*arguments) != 0:
            raise BoosterError(_reason(self._library))


_ref = ctypes.byref
_Shape = ctypes.POINTER(ctypes.c_uint64)


@cache
def _library() -> ctypes.CDLL:
    library = open_shared_library("xgboost", "libxgboost")
    library.XGBGetLastError.restype = ctypes.c_char_p
    return library


def _reason(library: ctypes.CDLL) -> str:
    """The first line: what follows is a C++ stack."""
    message = str(library.XGBGetLastError().decode(errors="replace")).strip()
    return next((line for line in message.splitlines() if line.strip()), "unknown error")


def _array_interface(matrix: NDArray[np.float64]) -> bytes:
    """The array interface protocol, version 3, as XGBoost reads it."""
    return b'{"data":[%d,true],"shape":[%d,%d],"typestr":"<f8","version":3,"strides":null}' % (
        matrix.ctypes.data,
        *matrix.shape,
    )


def _copy(
    result: "ctypes._Pointer[ctypes.c_float]",
    expected: tuple[int, ...],
    shape: "ctypes._Pointer[ctypes.c_uint64]",
    dimensions: ctypes.c_uint64,
) -> NDArray[np.float64]:
    """Copy at once: the buffer is the booster's, one a thread, and the next call of this thread writes over it."""
    got = tuple(shape[axis] for axis in range(dimensions.value))
    if got != expected:
        raise BoosterError(f"XGBoost returned shape {got} for {expected}; a service serves one output")
    return np.ctypeslib.as_array(result, shape=expected).astype(np.float64)

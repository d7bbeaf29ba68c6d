"""Compiled trees: what `forest.c` walks, a multiple faster than the boosters' own predict, and bit-equal to it.

A booster hands its trees over as arrays, and `compile_forest` compares the forest with the library's own predict; where
they differ, or the shared library was not built, the library goes on predicting.
"""

import ctypes
import functools
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["CATEGORIES_MAX", "Forest", "Transform", "Tree", "UnsupportedModelError", "compile_forest", "forest_library"]

_log = logging.getLogger(__name__)

CATEGORIES_MAX = 64
"""A set of categories is the bits of one machine word."""
_FEW = 8
_PROBES = 2048
_NODE = np.dtype([("test", np.uint64), ("child", np.uint32), ("column", np.uint32)])
_IN_SET = np.uint32(1 << 31)
_UNUSED, _MISSING_LEFT, _MISSING_RIGHT, _CATEGORY_BIT = range(4)

Matrix = NDArray[np.float64]


class UnsupportedModelError(Exception):
    """The model has something that a `Forest` does not know."""


class Transform(IntEnum):
    """What becomes of a sum; the numbers are those of `forest.c`."""

    IDENTITY = 0
    SIGMOID = 1
    EXPONENTIAL = 2
    FLOAT32_SIGMOID = 3


@dataclass(frozen=True, slots=True)
class Tree:
    """k inner nodes, the root first, and k + 1 leaves."""

    columns: NDArray[np.int64]
    """(k,) of the matrix."""
    thresholds: Matrix
    """(k,): a row goes left where its value is at most so much."""
    sets: NDArray[np.uint64]
    """(k,): bits of the categories that go left."""
    tests_set: NDArray[np.bool_]
    """(k,): whether the node tests a category."""
    missing_left: NDArray[np.bool_]
    """(k,): whether a missing number goes left; a missing category always goes right."""
    left: NDArray[np.int64]
    """(k,): an inner node above the node's own number, or ~leaf."""
    right: NDArray[np.int64]
    values: Matrix
    """(k + 1,)"""


class _Forest(ctypes.Structure):
    _fields_ = (
        ("nodes", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("roots", ctypes.c_void_p),
        ("depths", ctypes.c_void_p),
        ("with_sets", ctypes.c_void_p),
        ("columns", ctypes.c_void_p),
        ("trees", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("base", ctypes.c_double),
        ("scale", ctypes.c_double),
        ("zero", ctypes.c_double),
        ("transform", ctypes.c_int32),
        ("narrow", ctypes.c_int32),
    )


class Forest:
    """Trees laid out for `forest.c`. Safe for use from several threads; releases the GIL."""

    def __init__(
        self,
        library: ctypes.CDLL,
        trees: Sequence[Tree],
        width: int,
        *,
        base: float = 0.0,
        transform: Transform = Transform.IDENTITY,
        scale: float = 1.0,
        zero: float = 0.0,
        float32: bool = False,
    ) -> None:
        """`width` columns a row; sums start at `base`; with `float32`, inputs and sums are rounded to it.

        A value no further from 0 than `zero` counts as 0.
        """
        sizes = [2 * len(tree.columns) + 1 for tree in trees]
        roots = np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint32)
        nodes = np.empty(int(roots[-1]), dtype=_NODE)
        values = np.zeros(len(nodes))
        for tree, root, size in zip(trees, roots.tolist(), sizes, strict=False):
            _lay_out(tree, width, root, nodes[root : root + size], values[root : root + size])
        self._arrays = (
            nodes,
            values,
            roots[:-1].copy(),
            np.array([_depth(tree) for tree in trees], dtype=np.int32),
            np.array([tree.tests_set.any() for tree in trees], dtype=np.uint8),
            _column_kinds(trees, width),
        )
        addresses = [array.ctypes.data for array in self._arrays]
        self._width = width
        self._forest = _Forest(*addresses, len(trees), width, base, scale, zero, transform, float32)
        self._reference = ctypes.byref(self._forest)
        self._predict = library.forest_predict
        # An array's address takes 1 µs to ask for: a few rows go through arrays whose addresses are known.
        self._lock = threading.Lock()
        self._few = np.empty((_FEW, width), dtype=np.float64)
        self._few_out = np.empty(_FEW, dtype=np.float64)
        self._few_addresses = self._few.ctypes.data, self._few_out.ctypes.data

    def predict(self, matrix: Matrix) -> Matrix:
        """(n, width) C-contiguous float64 to (n,). Raises MemoryError."""
        n = len(matrix)
        if n <= _FEW:
            given, result = self._few_addresses
            with self._lock:
                self._few[:n] = matrix
                self._call(given, n, result)
                return self._few_out[:n].copy()
        out = np.empty(n, dtype=np.float64)
        self._call(matrix.ctypes.data, n, out.ctypes.data)
        return out

    def _call(self, given: int, n: int, out: int) -> None:
        if self._predict(self._reference, given, n, out) != 0:
            raise MemoryError


def compile_forest(
    build: Callable[[ctypes.CDLL], tuple[Forest, Sequence[Tree]]],
    predict: Callable[[Matrix], Matrix],
    width: int,
    file: str,
) -> Forest | None:
    """Give the forest that `build` makes of a booster's trees, if it answers as the booster's own `predict` does."""
    library = forest_library()
    if library is None:
        return None
    try:
        forest, trees = build(library)
    except UnsupportedModelError as error:
        _log.info("trees_not_compiled", extra={"file": file, "reason": str(error)})
        return None
    if not _agrees(forest, predict, trees, width):
        _log.warning("trees_not_compiled", extra={"file": file, "reason": "answers differ from the library's"})
        return None
    return forest


def _agrees(forest: Forest, predict: Callable[[Matrix], Matrix], trees: Sequence[Tree], width: int) -> bool:
    """Whether both give the same bits for rows that stand on, beside and far from the trees' own thresholds."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(_PROBES, width)) * 10.0 ** random.integers(-3, 6, size=(_PROBES, 1))
    for column in range(width):
        known = [tree.thresholds[(tree.columns == column) & ~tree.tests_set] for tree in trees]
        thresholds = np.concatenate(known) if known else np.empty(0)
        if thresholds.size:
            chosen = random.choice(thresholds, _PROBES)
            beside = np.nextafter(chosen, random.choice([-np.inf, np.inf], _PROBES))
            rows[:, column] = np.where(random.random(_PROBES) < 0.5, chosen, beside)
        if any((tree.tests_set & (tree.columns == column)).any() for tree in trees):
            rows[:, column] = random.integers(-2, CATEGORIES_MAX + 2, _PROBES)
    rows[random.random(rows.shape) < 0.1] = np.nan
    rows[random.random(rows.shape) < 0.02] = 0.0
    rows[random.random(rows.shape) < 0.01] = 1e300
    return all(forest.predict(part).tobytes() == predict(part).tobytes() for part in (rows, rows[:1], rows[:13]))


@functools.cache
def forest_library() -> ctypes.CDLL | None:
    """The shared library that was built when the package was installed; None where there was no C compiler."""
    for path in sorted(Path(__file__).parent.glob("_forest*")):
        if path.suffix not in {".so", ".dylib", ".pyd", ".dll"}:
            continue
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            # Built for another machine.
            continue
        library.forest_predict.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
        library.forest_predict.restype = ctypes.c_int
        return library
    return None


def _lay_out(tree: Tree, width: int, root: int, nodes: NDArray[np.void], values: Matrix) -> None:
    """Children of inner node i stand at 2 i + 1 and 2 i + 2, so that one number names both."""
    inner = len(tree.columns)
    children = np.empty(2 * inner, dtype=np.int64)
    children[0::2], children[1::2] = tree.left, tree.right
    place_of_inner = np.zeros(inner, dtype=np.int64)
    is_inner = children >= 0
    place_of_inner[children[is_inner]] = np.flatnonzero(is_inner) + 1
    place_of_leaf = np.zeros(inner + 1, dtype=np.int64)
    place_of_leaf[~children[~is_inner]] = np.flatnonzero(~is_inner) + 1
    # A leaf leads to itself, so that a walk may go on to the depth of its neighbours.
    nodes["test"] = np.array(np.inf).view(np.uint64)
    nodes["child"] = root + np.arange(len(nodes))
    nodes["column"] = 0
    values[place_of_leaf] = tree.values
    nodes["test"][place_of_inner] = np.where(tree.tests_set, tree.sets, tree.thresholds.view(np.uint64))
    nodes["child"][place_of_inner] = root + 2 * np.arange(inner) + 1
    column = np.where(tree.missing_left | tree.tests_set, tree.columns, tree.columns + width).astype(np.uint32)
    # The bit of a category stands in the second half, so that a leaf of any tree may read a number in column 0.
    column[tree.tests_set] = (tree.columns[tree.tests_set] + width).astype(np.uint32) | _IN_SET
    nodes["column"][place_of_inner] = column


def _column_kinds(trees: Sequence[Tree], width: int) -> NDArray[np.uint8]:
    """(2 width,): how `forest.c` makes each column of a prepared row."""
    kinds = np.full(2 * width, _UNUSED, dtype=np.uint8)
    for tree in trees:
        numbers = ~tree.tests_set
        kinds[tree.columns[numbers & tree.missing_left]] = _MISSING_LEFT
        kinds[tree.columns[numbers & ~tree.missing_left] + width] = _MISSING_RIGHT
    for tree in trees:
        if (kinds[tree.columns[tree.tests_set] + width] == _MISSING_RIGHT).any():
            raise UnsupportedModelError("a column is tested both as a number and as a category")
        kinds[tree.columns[tree.tests_set] + width] = _CATEGORY_BIT
    return kinds


def _depth(tree: Tree) -> int:
    depths = [0] * len(tree.columns)
    deepest = 0
    for node, children in enumerate(zip(tree.left.tolist(), tree.right.tolist(), strict=True)):
        below = depths[node] + 1
        deepest = max(deepest, below)
        for child in children:
            if child >= 0:
                depths[child] = below
    return deepest

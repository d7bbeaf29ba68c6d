"""How many connections each worker of a service holds, in memory that the workers share."""

import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["ConnectionCounts"]


class ConnectionCounts:
    """A row a worker: connections that it gave to each worker, itself too, and then those that ended in its hands.

    Each number has one writer, so that nothing is locked; numbers only rise.
    """

    def __init__(self, path: Path, worker: int, workers: int) -> None:
        """Share the file `path`, as the worker in place `worker` of so many."""
        size = 8 * workers * (workers + 1)
        with path.open("a+b") as file:
            file.truncate(size)
            self._shared = np.frombuffer(mmap.mmap(file.fileno(), size), np.int64).reshape(workers, workers + 1)
        self._worker = worker
        self._row = self._shared[worker]

    def begin(self) -> None:
        """Hold nothing: the connections of the process that was in this place before have ended with it."""
        self._row[-1] = self._shared[:, self._worker].sum()

    def held(self) -> NDArray[np.int64]:
        """Connections by worker, those included that are on their way to it; shape (workers,)."""
        held: NDArray[np.int64] = self._shared[:, :-1].sum(axis=0) - self._shared[:, -1]
        return held

    def give(self, worker: int, connections: int = 1) -> None:
        """Count connections that this worker accepted, or held, and that `worker` holds from now on."""
        self._row[worker] += connections

    def end(self, connections: int = 1) -> None:
        """Count connections that this worker holds no more."""
        self._row[-1] += connections

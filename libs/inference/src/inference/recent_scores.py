"""What one model version did lately: errors, times and outputs, of rows that were asked for and of rankings apart."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference.scored import ScoredRows

__all__ = ["KindOfScores", "LatestOutputs", "OutputSample", "RankingOutputs", "RecentScores"]

_TIMES = 256
_TIMED_ROWS = 1024
"""A longer batch is a chunk of a stream: its time says how many streams there are, and nothing of the version."""
_VALUES = 4096
_RANKINGS = 256
_VALUES_A_RANKING = _VALUES // _RANKINGS


class OutputSample(Protocol):
    """Main outputs, and how many of them are independent of each other."""

    def keep(self, values: NDArray[np.float64], keys: Mapping[str, Sequence[str]]) -> None:
        """Add the finite outputs of one batch."""
        ...

    @property
    def values(self) -> NDArray[np.float64]:
        """The latest ones, at most 4,096."""
        ...

    @property
    def size(self) -> int:
        """Size of the sample, for its noise."""
        ...


class LatestOutputs:
    """An `OutputSample` of the latest rows, each for itself."""

    __slots__ = ("_filled", "_values")

    def __init__(self) -> None:
        self._values = np.empty(_VALUES)
        self._filled = 0

    def keep(self, values: NDArray[np.float64], keys: Mapping[str, Sequence[str]]) -> None:  # noqa: ARG002  # each row is for itself
        """Add the finite outputs of one batch."""
        values = values[-_VALUES:]
        start = self._filled % _VALUES
        head = values[: _VALUES - start]
        self._values[start : start + len(head)] = head
        self._values[: len(values) - len(head)] = values[len(head) :]
        self._filled += len(values)
        if self._filled >= 2 * _VALUES:
            self._filled -= _VALUES

    @property
    def values(self) -> NDArray[np.float64]:
        """The latest ones, at most 4,096."""
        return self._values[: self.size]

    @property
    def size(self) -> int:
        """Size of the sample, for its noise."""
        return min(self._filled, _VALUES)


class RankingOutputs:
    """An `OutputSample` of the latest 256 things that were ranked for, 16 outputs of each.

    Thousands of rows for one job say no more of the others than a few: the sample is as large as there are jobs.
    """

    __slots__ = ("_rankings",)

    def __init__(self) -> None:
        self._rankings: dict[tuple[str, ...], NDArray[np.float64]] = {}

    def keep(self, values: NDArray[np.float64], keys: Mapping[str, Sequence[str]]) -> None:
        """Add the finite outputs of one ranking, in the place of an earlier one for the same thing."""
        if not len(values):
            return
        # What the rows are ranked for is the same in all, and who is ranked is not.
        ranked_for = tuple(ids[0] for ids in keys.values() if ids[0] == ids[-1])
        self._rankings.pop(ranked_for, None)
        places = np.linspace(0, len(values) - 1, min(len(values), _VALUES_A_RANKING)).astype(np.intp)
        self._rankings[ranked_for] = values[places]
        if len(self._rankings) > _RANKINGS:
            del self._rankings[next(iter(self._rankings))]

    @property
    def values(self) -> NDArray[np.float64]:
        """The latest ones, at most 4,096."""
        return np.concatenate([*self._rankings.values()]) if self._rankings else np.empty(0)

    @property
    def size(self) -> int:
        """Size of the sample, for its noise."""
        return len(self._rankings)


class KindOfScores:
    """Scores that compare with each other. Times are kept by the bit length of the batch's rows."""

    __slots__ = ("_timed_rows", "errors", "failures", "name", "outputs", "rows", "seconds")

    def __init__(self, name: str, outputs: OutputSample, timed_rows: int | None = None) -> None:
        """Keep outputs in `outputs`, and times of batches up to `timed_rows`; `name` says what the rows are."""
        self.name = name
        self.outputs = outputs
        self.rows = 0
        self.errors = 0
        """Rows without a finite answer."""
        self.failures = 0
        """Batches that could not be scored."""
        self.seconds: dict[int, deque[float]] = {}
        self._timed_rows = timed_rows

    def add(self, batch: ScoredRows) -> None:
        """Count a batch."""
        timings = batch.timings
        if self._timed_rows is None or timings.rows <= self._timed_rows:
            size = timings.rows.bit_length()
            times = self.seconds.get(size)
            if times is None:
                times = self.seconds[size] = deque(maxlen=_TIMES)
            times.append(timings.features_seconds + timings.model_seconds + timings.postprocess_seconds)
        values = batch.main_output[batch.found]
        finite = np.isfinite(values)
        self.rows += len(values)
        self.errors += len(values) - int(np.count_nonzero(finite))
        self.outputs.keep(values[finite], batch.keys)

    def fail(self, rows: int) -> None:
        """Count rows that could not be scored."""
        self.rows += rows
        self.errors += rows
        self.failures += 1


class RecentScores:
    """What one version did lately.

    Rankings stand apart: they have so many rows that errors elsewhere would drown in them, so few independent ones,
    and another way to their features.
    """

    __slots__ = ("asked", "ranked")

    def __init__(self) -> None:
        self.asked = KindOfScores("rows", LatestOutputs(), _TIMED_ROWS)
        self.ranked = KindOfScores("ranked rows", RankingOutputs())

    def add(self, batch: ScoredRows) -> None:
        """Count a batch."""
        self._kind(ranked=batch.answered is not None).add(batch)

    def fail(self, rows: int, *, ranked: bool = False) -> None:
        """Count rows that could not be scored."""
        self._kind(ranked=ranked).fail(rows)

    @property
    def rows(self) -> int:
        """Rows of both kinds."""
        return self.asked.rows + self.ranked.rows

    @property
    def errors(self) -> int:
        """Rows of both kinds without a finite answer."""
        return self.asked.errors + self.ranked.errors

    def _kind(self, *, ranked: bool) -> KindOfScores:
        return self.ranked if ranked else self.asked

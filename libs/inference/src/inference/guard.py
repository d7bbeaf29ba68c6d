"""Watches a version after its swap against the one before: errors, latency, prediction shift."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.contract import ReferenceBins
from inference.errors import RefusalCode
from inference.model import ModelVersion
from inference.scored import ScoredRows

__all__ = ["Breach", "GuardLimits", "RecentScores", "Trial", "TrialState", "population_stability"]

_SAMPLES = 256
_TIMED_ROWS = 1024
"""A longer batch is a chunk of a stream: its time says how many streams there are, and nothing of the version."""
_VALUES = 4096
_BINS = 10
_LEAST_SAMPLES = 50
_LEAST_FAILURES = 3
_FLOOR_SHARE = 1e-4
_ALIKE = 0.01


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """What a new version may do worse than the one before, and for how long it is looked at."""

    window_seconds: float = 120.0
    min_rows: int = 500
    """The window goes on, up to ten times as long, until so many rows were scored; shift is judged from so many on."""
    error_share: float = 0.02
    """Added share of rows without a finite answer."""
    slowdown: float = 3.0
    """Median time of a batch, features read included, against batches of like size before."""
    slowdown_floor_seconds: float = 1e-3
    """A batch must take this much longer too: a tenth of a millisecond doubled is noise."""
    shift: float = 0.5
    """PSI of the main output, above its noise floor."""


@dataclass(frozen=True, slots=True)
class Breach:
    """What the guard found."""

    code: RefusalCode
    reason: str


@dataclass(frozen=True, slots=True)
class TrialState:
    """How the guard's window stands."""

    version: str
    against: str
    seconds_left: float
    rows: int
    errors: int
    shift: float | None
    """PSI of the main output; None while there are too few rows."""


class RecentScores:
    """What one version did lately. Times are kept by the bit length of the batch's rows: like is compared with like."""

    __slots__ = ("_filled", "_values", "errors", "rows", "seconds")

    def __init__(self) -> None:
        self.rows = 0
        self.errors = 0
        self.seconds: dict[int, deque[float]] = {}
        self._values = np.empty(_VALUES)
        self._filled = 0

    def add(self, batch: ScoredRows) -> None:
        """Count a batch."""
        timings = batch.timings
        if timings.rows <= _TIMED_ROWS:
            size = timings.rows.bit_length()
            times = self.seconds.get(size)
            if times is None:
                times = self.seconds[size] = deque(maxlen=_SAMPLES)
            times.append(timings.features_seconds + timings.model_seconds + timings.postprocess_seconds)
        values = batch.main_output[batch.found]
        finite = np.isfinite(values)
        self.rows += len(values)
        self.errors += len(values) - int(np.count_nonzero(finite))
        self._keep(values[finite][-_VALUES:])

    def fail(self, rows: int) -> None:
        """Count rows that could not be scored."""
        self.rows += rows
        self.errors += rows

    @property
    def values(self) -> NDArray[np.float64]:
        """The latest main outputs, at most 4,096."""
        return self._values[: min(self._filled, _VALUES)]

    def _keep(self, values: NDArray[np.float64]) -> None:
        start = self._filled % _VALUES
        head = values[: _VALUES - start]
        self._values[start : start + len(head)] = head
        self._values[: len(values) - len(head)] = values[len(head) :]
        self._filled += len(values)
        if self._filled >= 2 * _VALUES:
            self._filled -= _VALUES


class Trial:
    """The window after a swap."""

    def __init__(
        self,
        version: ModelVersion,
        against: ModelVersion,
        before: RecentScores,
        limits: GuardLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.version = version
        self.against = against
        self.before = before
        self.now = RecentScores()
        self._limits = limits
        self._clock = clock
        self._started = clock()
        self._failures = 0
        self._shift: float | None = None

    def observe(self, batch: ScoredRows) -> None:
        """Count a batch of the version on trial."""
        self.now.add(batch)

    def fail(self, rows: int) -> None:
        """Count a batch that the version on trial could not score."""
        self._failures += 1
        self.now.fail(rows)

    @property
    def is_over(self) -> bool:
        """The window has passed, and enough rows with it."""
        seconds, limits = self._clock() - self._started, self._limits
        return seconds >= limits.window_seconds * (1 if self.now.rows >= limits.min_rows else 10)

    @property
    def state(self) -> TrialState:
        """How it stands."""
        left = max(self._limits.window_seconds - (self._clock() - self._started), 0.0)
        now = self.now
        return TrialState(self.version.version, self.against.version, left, now.rows, now.errors, self._shift)

    def breach(self) -> Breach | None:
        """Judge by what was seen so far."""
        return self._errors() or self._latency() or self._prediction_shift()

    def _errors(self) -> Breach | None:
        now, before = self.now, self.before
        share = now.errors / max(now.rows, 1)
        allowed = before.errors / max(before.rows, 1) + self._limits.error_share
        enough = self._failures >= _LEAST_FAILURES or now.rows >= _LEAST_SAMPLES
        if not enough or share <= allowed:
            return None
        reason = f"{now.errors} of {now.rows} rows had no finite answer; version {self.against.version}"
        return Breach(RefusalCode.GUARD_ERRORS, f"{reason}: {before.errors} of {before.rows}")

    def _latency(self) -> Breach | None:
        for size, times in self.now.seconds.items():
            old = self._expected_seconds(size)
            if len(times) < _LEAST_SAMPLES or old is None:
                continue
            new = float(np.median(times))
            if new > old * self._limits.slowdown and new - old > self._limits.slowdown_floor_seconds:
                reason = f"a batch takes {new * 1e3:.2f} ms, {new / old:.1f} times as long as by version"
                return Breach(RefusalCode.GUARD_LATENCY, f"{reason} {self.against.version}")
        return None

    def _expected_seconds(self, size: int) -> float | None:
        """Give the median time before of batches of this size, or what it may be at most by that of smaller ones.

        A slow version meets more callers that wait, and so larger batches than there were.
        """
        for smaller in range(size, 0, -1):
            times = self.before.seconds.get(smaller, ())
            if len(times) >= _LEAST_SAMPLES:
                return float(np.median(times)) * 2.0 ** (size - smaller)
        return None

    def _prediction_shift(self) -> Breach | None:
        """Judge by the lesser of two: against the version before, and against what this version gave in training.

        A version that differs from the one before as its evaluation said, or that differs from its training as the one
        before does because people have changed, is not at fault.
        """
        now, before, limits = self.now.values, self.before.values, self._limits
        if len(now) < limits.min_rows:
            return None
        found: list[float] = []
        if len(before) >= limits.min_rows:
            found.append(_shift_between(before, now))
        bins = self.version.contract.output.bins
        if bins is not None:
            found.append(_shift_from(bins, now))
        if not found:
            return None
        self._shift = min(found)
        if self._shift <= limits.shift:
            return None
        reason = f"the predictions' PSI is {self._shift:.2f} above noise over {len(now)} rows"
        return Breach(RefusalCode.GUARD_SHIFT, f"{reason}, against version {self.against.version} and training")


def population_stability(expected: NDArray[np.float64], observed: NDArray[np.float64]) -> float:
    """PSI = Σ (o - e) · ln(o / e) over shares by bin; a share below 1e-4 counts as that."""
    expected, observed = np.maximum(expected, _FLOOR_SHARE), np.maximum(observed, _FLOOR_SHARE)
    return float(np.sum((observed - expected) * np.log(observed / expected)))


def _shift_between(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    cuts, times = np.unique(np.quantile(before, np.linspace(0, 1, _BINS + 1)[1:-1]), return_counts=True)
    # A value that many rows share gets a bin of its own, so wide that a version which gives almost the same stays in.
    shared = cuts[times > 1]
    width = _ALIKE * np.maximum(np.abs(shared), np.ptp(before))
    edges = np.unique(np.concatenate([cuts[times == 1], shared - width, np.nextafter(shared + width, np.inf)]))
    shares = [np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1) / len(values)
              for values in (before, now)]  # fmt: skip
    return population_stability(*shares) - _noise(len(edges) + 1, len(before), len(now))


def _shift_from(bins: ReferenceBins, now: NDArray[np.float64]) -> float:
    # The last share is of missing values: those count as errors here.
    counts = np.bincount(np.searchsorted(np.array(bins.edges), now, side="right"), minlength=len(bins.shares))
    return population_stability(np.array(bins.shares), counts / len(now)) - _noise(
        len(bins.shares), bins.rows, len(now)
    )


def _noise(bins: int, expected_rows: int, observed_rows: int) -> float:
    """Give about the 99 % quantile of the PSI of two samples of one distribution.

    It is chi-square distributed with bins - 1 degrees of freedom, times 1/n + 1/m (Yurdakul and Naranjo, 2020).
    """
    freedom = max(bins - 1, 1)
    # Wilson and Hilferty's approximation of the quantile.
    quantile = freedom * (1 - 2 / (9 * freedom) + 2.326 * (2 / (9 * freedom)) ** 0.5) ** 3
    return float(quantile * (1 / expected_rows + 1 / observed_rows))

"""Watches a version after its swap against the one before: errors, latency, prediction shift."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.contract import ReferenceBins
from inference.errors import RefusalCode
from inference.model import ModelVersion
from inference.recent_scores import KindOfScores, OutputSample, RecentScores
from inference.scored import ScoredRows

__all__ = ["Breach", "GuardLimits", "RecentScores", "Trial", "TrialState", "population_stability"]

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
    """The window goes on, up to ten times as long, until so many rows were asked for, or fifty rankings; shift is
    judged from so many on."""
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
        self._shift: float | None = None

    def observe(self, batch: ScoredRows) -> None:
        """Count a batch of the version on trial."""
        self.now.add(batch)

    def fail(self, rows: int, *, ranked: bool = False) -> None:
        """Count a batch that the version on trial could not score."""
        self.now.fail(rows, ranked=ranked)

    @property
    def is_over(self) -> bool:
        """The window has passed, and enough rows with it."""
        seconds, limits, now = self._clock() - self._started, self._limits, self.now
        enough = now.asked.rows >= limits.min_rows or now.ranked.outputs.size >= _LEAST_SAMPLES
        return seconds >= limits.window_seconds * (1 if enough else 10)

    @property
    def state(self) -> TrialState:
        """How it stands."""
        left = max(self._limits.window_seconds - (self._clock() - self._started), 0.0)
        now = self.now
        return TrialState(self.version.version, self.against.version, left, now.rows, now.errors, self._shift)

    def breach(self) -> Breach | None:
        """Judge by what was seen so far, rows that were asked for and rankings each for themselves."""
        kinds = ((self.now.asked, self.before.asked), (self.now.ranked, self.before.ranked))
        for judge in (self._errors, self._latency):
            for now, before in kinds:
                breach = judge(now, before)
                if breach is not None:
                    return breach
        return self._prediction_shift()

    def _errors(self, now: KindOfScores, before: KindOfScores) -> Breach | None:
        share = now.errors / max(now.rows, 1)
        allowed = before.errors / max(before.rows, 1) + self._limits.error_share
        enough = now.failures >= _LEAST_FAILURES or now.rows >= _LEAST_SAMPLES
        if not enough or share <= allowed:
            return None
        reason = f"{now.errors} of {now.rows} {now.name} had no finite answer; version {self.against.version}"
        return Breach(RefusalCode.GUARD_ERRORS, f"{reason}: {before.errors} of {before.rows}")

    def _latency(self, now: KindOfScores, before: KindOfScores) -> Breach | None:
        for size, times in now.seconds.items():
            old = _expected_seconds(before, size)
            if len(times) < _LEAST_SAMPLES or old is None:
                continue
            new = float(np.median(times))
            if new > old * self._limits.slowdown and new - old > self._limits.slowdown_floor_seconds:
                reason = f"a batch of {now.name} takes {new * 1e3:.2f} ms, {new / old:.1f} times as long as by version"
                return Breach(RefusalCode.GUARD_LATENCY, f"{reason} {self.against.version}")
        return None

    def _prediction_shift(self) -> Breach | None:
        now, before = self.now, self.before
        asked = self._shift_of(now.asked.outputs, before.asked.outputs, self._limits.min_rows)
        # Who is ranked is chosen, and so unlike training in any version: without rankings before, nothing is known.
        ranked = None
        if before.ranked.outputs.size >= _LEAST_SAMPLES:
            ranked = self._shift_of(now.ranked.outputs, before.ranked.outputs, _LEAST_SAMPLES)
        found = [(shift, kind) for shift, kind in ((asked, now.asked), (ranked, now.ranked)) if shift is not None]
        if not found:
            return None
        self._shift, kind = max(found, key=lambda one: one[0])
        if self._shift <= self._limits.shift:
            return None
        reason = f"the predictions' PSI is {self._shift:.2f} above noise over {len(kind.outputs.values)} {kind.name}"
        return Breach(RefusalCode.GUARD_SHIFT, f"{reason}, against version {self.against.version} and training")

    def _shift_of(self, now: OutputSample, before: OutputSample, least: int) -> float | None:
        """Take the lesser of two: against the version before, and against what this version gave in training.

        A version that differs from the one before as its evaluation said, or that differs from its training as the one
        before does because people have changed, is not at fault.
        """
        if now.size < least:
            return None
        found: list[float] = []
        if before.size >= least:
            found.append(_shift_between(before, now))
        bins = self.version.contract.output.bins
        if bins is not None:
            found.append(_shift_from(bins, now))
        return min(found, default=None)


def _expected_seconds(before: KindOfScores, size: int) -> float | None:
    """Give the median time before of batches of this size, or what it may be at most by that of smaller ones.

    A slow version meets more callers that wait, and so larger batches than there were.
    """
    for smaller in range(size, 0, -1):
        times = before.seconds.get(smaller, ())
        if len(times) >= _LEAST_SAMPLES:
            return float(np.median(times)) * 2.0 ** (size - smaller)
    return None


def population_stability(expected: NDArray[np.float64], observed: NDArray[np.float64]) -> float:
    """PSI = Σ (o - e) · ln(o / e) over shares by bin; a share below 1e-4 counts as that."""
    expected, observed = np.maximum(expected, _FLOOR_SHARE), np.maximum(observed, _FLOOR_SHARE)
    return float(np.sum((observed - expected) * np.log(observed / expected)))


def _shift_between(old: OutputSample, new: OutputSample) -> float:
    before, now = old.values, new.values
    cuts, times = np.unique(np.quantile(before, np.linspace(0, 1, _BINS + 1)[1:-1]), return_counts=True)
    # A value that many rows share gets a bin of its own, so wide that a version which gives almost the same stays in.
    shared = cuts[times > 1]
    width = _ALIKE * np.maximum(np.abs(shared), np.ptp(before))
    edges = np.unique(np.concatenate([cuts[times == 1], shared - width, np.nextafter(shared + width, np.inf)]))
    shares = [np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1) / len(values)
              for values in (before, now)]  # fmt: skip
    return population_stability(*shares) - _noise(len(edges) + 1, old.size, new.size)


def _shift_from(bins: ReferenceBins, new: OutputSample) -> float:
    now = new.values
    # The last share is of missing values: those count as errors here.
    counts = np.bincount(np.searchsorted(np.array(bins.edges), now, side="right"), minlength=len(bins.shares))
    return population_stability(np.array(bins.shares), counts / len(now)) - _noise(
        len(bins.shares), bins.rows, new.size
    )


def _noise(bins: int, expected_rows: int, observed_rows: int) -> float:
    """Give about the 99 % quantile of the PSI of two samples of one distribution.

    It is chi-square distributed with bins - 1 degrees of freedom, times 1/n + 1/m (Yurdakul and Naranjo, 2020).
    """
    freedom = max(bins - 1, 1)
    # Wilson and Hilferty's approximation of the quantile.
    quantile = freedom * (1 - 2 / (9 * freedom) + 2.326 * (2 / (9 * freedom)) ** 0.5) ** 3
    return float(quantile * (1 / expected_rows + 1 / observed_rows))

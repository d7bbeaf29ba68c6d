"""The version that serves, and the one before, which stays loaded while the new one is on trial."""

import logging
import time
from typing import NamedTuple

from inference.errors import FeatureStoreError, NoModelError
from inference.guard import Breach, GuardLimits, RecentScores, Trial, TrialState
from inference.model import LiveModel, ModelVersion
from inference.registry import RegisteredVersion
from inference.scored import ScoredRows
from inference.watch.background import Background
from inference.watch.version_tags import is_forced

__all__ = ["LiveVersions", "Standby"]

_log = logging.getLogger(__name__)
_JUDGED_SECONDS = 0.25
_SAMPLED_SECONDS = 0.002
"""Outside of a trial, a batch that follows another more closely is not noted: noting takes 9 µs."""


class Standby(NamedTuple):
    """A proven version that could serve again at once."""

    registered: RegisteredVersion
    live: LiveModel


class LiveVersions:
    """Swaps versions and judges the one on trial. What is let go closes its reader after its last request."""

    def __init__(self, guard: GuardLimits | None, background: Background) -> None:
        """Without a `guard`, nothing is on trial."""
        self.live: LiveModel | None = None
        self.registered: RegisteredVersion | None = None
        """What `live` is in the registry; still known after `close`."""
        self.standby: Standby | None = None
        """The version before; there is one exactly while there is a trial."""
        self._guard = guard
        self._background = background
        self._recent = RecentScores()
        self._trial: Trial | None = None
        self._judged_at = 0.0
        self._sampled_at = 0.0

    @property
    def trial(self) -> TrialState | None:
        """How the guard's window stands; None outside one."""
        return None if self._trial is None else self._trial.state

    def spare(self, failed: LiveModel) -> LiveModel | None:
        """Give the version that may score what `failed` could not: the one before, while `failed` is on trial."""
        if self.live is not failed:
            return self.live
        return None if self.standby is None else self.standby.live

    def observe(self, batch: ScoredRows) -> Breach | None:
        """Take note of what was scored; gives the limit that the version on trial is seen to break."""
        if self._guard is None:
            return None
        if self._trial is None:
            now = time.monotonic()
            if now - self._sampled_at < _SAMPLED_SECONDS:
                return None
            self._sampled_at = now
            if self.live is not None and batch.model is self.live.version:
                self._recent.add(batch)
        elif batch.model is self._trial.version:
            self._trial.observe(batch)
            if time.monotonic() - self._judged_at >= _JUDGED_SECONDS:
                return self._judge(self._trial)
        return None

    def observe_failure(
        self, version: ModelVersion, rows: int, error: Exception, *, ranked: bool = False
    ) -> Breach | None:
        """Take note of a batch that could not be scored. The store being away is no fault of a version."""
        if isinstance(error, FeatureStoreError | NoModelError):
            return None
        trial = self._trial
        if trial is not None and version is trial.version:
            trial.fail(rows, ranked=ranked)
            return self._judge(trial)
        if self.live is not None and version is self.live.version:
            self._recent.fail(rows, ranked=ranked)
        return None

    def swap(self, registered: RegisteredVersion, live: LiveModel) -> None:
        """Serve a version; where another served, it begins a trial against the last proven one."""
        before, old = self.registered, self.live
        self.live, self.registered = live, registered
        if old is None or before is None:
            return
        if self._guard is None or is_forced(registered):
            self.end_trial()
            self._let_go(old)
            return
        if self.standby is None or self._trial is None:
            self.standby = Standby(before, old)
            scores, self._recent = self._recent, RecentScores()
        else:
            # The one that was still on trial itself has proven nothing.
            self._let_go(old)
            scores = self._trial.before
        self._trial = Trial(live.version, self.standby.live.version, scores, self._guard)

    def return_to_standby(self, registered: RegisteredVersion) -> None:
        """Serve the version before again, which is still loaded and proven; `registered` is how it is described now."""
        standby, trial, left = self.standby, self._trial, self.live
        if standby is None or trial is None:
            return
        self.standby = self._trial = None
        self._recent = trial.before
        self.live, self.registered = standby.live, registered
        if left is not None:
            self._let_go(left)

    def end_passed_trial(self) -> None:
        """End the trial if its window has passed."""
        trial = self._trial
        if trial is not None and trial.is_over:
            _log.info("model_proven", extra={"model": trial.version.name, "version": trial.version.version})
            self.end_trial()

    def end_trial(self) -> None:
        """Let the version before go; the one that serves is proven."""
        standby, self.standby = self.standby, None
        trial, self._trial = self._trial, None
        if trial is not None:
            self._recent = trial.now
        if standby is not None:
            self._let_go(standby.live)

    def stop(self) -> None:
        """Serve nothing."""
        self.close()
        self.registered = None

    def close(self) -> None:
        """Let all versions go."""
        self.end_trial()
        live, self.live = self.live, None
        if live is not None:
            self._let_go(live)

    def _judge(self, trial: Trial) -> Breach | None:
        self._judged_at = time.monotonic()
        return trial.breach()

    def _let_go(self, live: LiveModel) -> None:
        self._background.spawn(live.retire())

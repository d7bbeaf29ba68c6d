"""Shows observers what was scored and what could not be."""

import asyncio
import logging
from collections.abc import Sequence

from inference.model import ModelVersion
from inference.scored import FailureObserver, Observer, ScoredRows

__all__ = ["Observers"]

_log = logging.getLogger(__name__)


class Observers:
    """All observers of a predictor. What one raises is logged, and fails neither a caller nor another observer."""

    __slots__ = ("of_batches", "of_failures")

    def __init__(self, of_batches: Sequence[Observer], of_failures: Sequence[FailureObserver]) -> None:
        self.of_batches = tuple(of_batches)
        self.of_failures = tuple(of_failures)

    def notify(self, batch: ScoredRows) -> None:
        """Show a batch in a later turn of the loop, when the callers have taken their answers."""
        if self.of_batches:
            asyncio.get_running_loop().call_soon(self._show, batch)

    def notify_failure(self, version: ModelVersion, rows: int, error: Exception, *, ranked: bool = False) -> None:
        """Tell at once that a version could not score so many rows."""
        for observer in self.of_failures:
            try:
                observer.observe_failure(version, rows, error, ranked=ranked)
            except Exception:  # noqa: BLE001  # an observer never fails a caller
                _log.exception("observer_failed", extra={"observer": type(observer).__name__})

    def _show(self, batch: ScoredRows) -> None:
        for observer in self.of_batches:
            try:
                observer.observe(batch)
            except Exception:  # noqa: BLE001  # as above
                _log.exception("observer_failed", extra={"observer": type(observer).__name__})

"""What is measured by the clock and not by request: the model, dependencies, the process."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from resource import getpagesize

import structlog

from inference import ArtifactCache
from inference.errors import FeatureStoreError, NoModelError, RefusalCode
from inference.watch import WatchState
from serving import metrics
from serving.admission import Admission
from serving.cache_measures import CacheMeasures
from serving.logs import bind_process
from serving.measures import Measures
from serving.observing import ScoredCounts

__all__ = ["Upkeep"]

_PAUSE_SECONDS = 1.0
_PROBE_EVERY = 5
_CACHE_EVERY = 60
_log = structlog.stdlib.get_logger()


class Upkeep:
    """Brings measures up to date: each second, and at a scrape."""

    def __init__(
        self,
        service: str,
        measures: Measures,
        admission: Admission,
        counts: ScoredCounts,
        state: Callable[[], WatchState],
        *,
        cache: ArtifactCache | None,
    ) -> None:
        """Measure; `cache` is None where models come from nowhere else than the process."""
        self._cache = CacheMeasures(service, measures, cache)
        self._admission = admission
        self._counts = counts
        self._state = state
        self._measures = measures
        worker = measures.worker
        self._in_flight = measures.cells(metrics.IN_FLIGHT, service)
        self._ready = measures.cells(metrics.MODEL_READY, service, worker)
        self._memory = measures.cells(metrics.PROCESS_MEMORY, service, worker)
        self._store = measures.cells(metrics.DEPENDENCY_UP, service, worker, "feature_store")
        self._registry = measures.cells(metrics.DEPENDENCY_UP, service, worker, "registry")
        measures.cells(metrics.PROCESS_START, service, worker)[0] = time.time()
        self._dropped = measures.cells(metrics.SERIES_DROPPED, service, worker)
        self._swaps = measures.cells(metrics.MODEL_SWAPS, service)
        self._rollbacks = measures.cells(metrics.MODEL_ROLLBACKS, service)
        self._rollbacks_seen = 0
        for code in RefusalCode:
            measures.cells(metrics.MODEL_REFUSALS, service, code)
        self._service = service
        self._serving: tuple[str, ...] | None = None
        self._swaps_seen = 0
        self._refusals_seen: set[tuple[str, object]] = set()

    def refresh(self) -> None:
        """Bring everything up to date that needs no question to others."""
        self._in_flight[0] = self._admission.in_flight
        state = self._state()
        self._follow(state)
        self._counts.flush()
        self._ready[0] = state.ready
        self._registry[0] = state.checked_at is not None and state.registry_error is None
        self._memory[0] = _resident_bytes()
        self._dropped[0] = self._measures.dropped
        self._cache.refresh()

    async def run(self, can_score: Callable[[], Awaitable[None]]) -> None:
        """Refresh each second, and ask the feature store each fifth; until cancelled."""
        turn = 0
        while True:
            try:
                self.refresh()
                if turn % _PROBE_EVERY == 0:
                    await self._probe(can_score)
                if turn % _CACHE_EVERY == 0:
                    await asyncio.to_thread(self._cache.measure)
            except Exception as error:  # noqa: BLE001  # measuring must not end for a bug in one measure
                _log.error("upkeep_failed", exc_info=error)
            turn += 1
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _probe(self, can_score: Callable[[], Awaitable[None]]) -> None:
        try:
            await can_score()
        except NoModelError:
            return
        except (FeatureStoreError, TimeoutError):
            self._store[0] = 0.0
        else:
            self._store[0] = 1.0

    def _follow(self, state: WatchState) -> None:
        version = state.champion
        serving = None
        if version is not None:
            serving = (version.name, version.version, version.alias, version.source)
            self._counts.expect(version)
        if serving != self._serving:
            if self._serving is not None:
                self._measures.cells(metrics.MODEL_INFO, *self._serving)[0] = 0.0
            if serving is not None:
                self._measures.cells(metrics.MODEL_INFO, *serving)[0] = 1.0
            bind_process(model_version=None if version is None else version.version)
            self._serving = serving
        self._swaps[0] += max(state.swaps - self._swaps_seen, 0)
        self._swaps_seen = state.swaps
        self._rollbacks[0] += max(state.rollbacks - self._rollbacks_seen, 0)
        self._rollbacks_seen = state.rollbacks
        refusals = {(one.version, one.refused_at): one for one in state.refused}
        for key, refused in refusals.items():
            if key not in self._refusals_seen:
                code: str = getattr(refused, "code", None) or RefusalCode.CONTRACT_INVALID
                self._measures.cells(metrics.MODEL_REFUSALS, self._service, code)[0] += 1
        self._refusals_seen = set(refusals)


def _resident_bytes() -> float:
    with suppress(OSError, IndexError, ValueError):
        return float(Path("/proc/self/statm").read_bytes().split()[1]) * getpagesize()
    return 0.0

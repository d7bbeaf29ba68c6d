"""Calls of more rows than a batch: cut into chunks, of which few are under way at once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from inference.assembly import Override
from inference.errors import ContractViolationError, FeatureStoreError
from inference.model import LiveModel, ModelSource
from inference.predictor.calls import check_keys
from inference.predictor.limits import PredictorLimits
from inference.predictor.observers import Observers
from inference.predictor.steps import Steps
from inference.scored import ScoredRows, concatenate
from inference.values import encode_overrides

__all__ = ["LargeCalls"]


class LargeCalls:
    """Scores large calls, a few at a time; each is of one model version."""

    def __init__(
        self,
        models: ModelSource,
        spare: Callable[[LiveModel], LiveModel | None],
        steps: Steps,
        observers: Observers,
        limits: PredictorLimits,
    ) -> None:
        self._models = models
        self._spare = spare
        self._steps = steps
        self._observers = observers
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.large_calls)

    async def score(
        self, keys: Mapping[str, Sequence[str]], rows: int, overrides: Mapping[str, object] | None
    ) -> ScoredRows:
        """Score by the version that is live when the call's turn comes; by its spare where it fails."""
        async with self._turns:
            live = self._models.current()
            try:
                return await self._score_chunks(live, keys, rows, overrides)
            except (ContractViolationError, FeatureStoreError):
                raise
            except Exception:
                spare = self._spare(live)
                if spare is None or spare is live:
                    raise
            return await self._score_chunks(spare, keys, rows, overrides)

    async def _score_chunks(
        self, live: LiveModel, keys: Mapping[str, Sequence[str]], rows: int, overrides: Mapping[str, object] | None
    ) -> ScoredRows:
        live.acquire()
        try:
            check_keys(live.version, keys)
            values = encode_overrides(live.version.contract, overrides) if overrides else {}
            turns = asyncio.Semaphore(self._limits.chunks_in_flight)

            async def score_chunk(start: int) -> ScoredRows:
                stop = min(start + self._limits.batch_rows, rows)
                chunk = {key: ids[start:stop] for key, ids in keys.items()}
                override = [Override(0, stop - start, values)] if values else []
                async with turns:
                    part = await self._steps.score(live, chunk, override, large=True)
                self._observers.notify(part)
                return part

            async with asyncio.TaskGroup() as group:
                starts = range(0, rows, self._limits.batch_rows)
                parts = [group.create_task(score_chunk(start)) for start in starts]
            return concatenate([part.result() for part in parts])
        except BaseExceptionGroup as failed:
            # One reason is enough; the other chunks failed for the same one or were cancelled for it.
            reason = failed.exceptions[0]
            if isinstance(reason, Exception):
                self._observers.notify_failure(live.version, rows, reason)
            raise reason from None
        finally:
            live.release()

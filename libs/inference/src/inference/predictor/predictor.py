"""Gathers the calls that wait at this moment into one batch, and answers them."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference.errors import ContractViolationError, FeatureStoreError
from inference.model import LiveModel, ModelSource, ModelVersion
from inference.predictor.calls import Call, count_rows, fail, merge
from inference.predictor.large_calls import LargeCalls
from inference.predictor.limits import PredictorLimits
from inference.predictor.observers import Observers
from inference.predictor.steps import Steps
from inference.scored import FailureObserver, Observer, PostProcess, ScoredRows

__all__ = ["Canary", "Predictor"]


class Canary(Protocol):
    """Another version that scores a share of the single rows."""

    def takes(self, keys: Mapping[str, Sequence[str]]) -> bool:
        """Whether the one row that these keys name belongs to the share."""
        ...

    async def score(
        self, keys: Mapping[str, Sequence[str]], overrides: Mapping[str, object] | None
    ) -> ScoredRows | None:
        """Score it; None where it cannot, and the champion must."""
        ...


class Predictor:
    """Scores rows by key. Belongs to one event loop.

    It never waits for a batch: the first call starts one at once, and takes along whoever calls in the same turn of
    the loop. A batch is of one model version. A caller that is cancelled is left out and harms nobody; a read that
    fails fails only the calls that were in it.
    """

    def __init__(
        self,
        models: ModelSource,
        postprocess: PostProcess,
        *,
        observers: Sequence[Observer] = (),
        failure_observers: Sequence[FailureObserver] = (),
        spare: Callable[[LiveModel], LiveModel | None] | None = None,
        canary: Canary | None = None,
        limits: PredictorLimits | None = None,
    ) -> None:
        """Score by `models`.

        `spare` gives the version that tries once more what a version could not score; `canary` takes single rows that
        are its own.
        """
        self._models = models
        self._canary = canary
        self._spare = spare or _no_spare
        self._limits = limits or PredictorLimits()
        self._observers = Observers(observers, failure_observers)
        self._steps = Steps(postprocess, self._limits)
        self._large_calls = LargeCalls(models, self._spare, self._steps, self._observers, self._limits)
        self._waiting: deque[Call] = deque()
        self._starting = False
        self._batches: set[asyncio.Task[None]] = set()

    async def score(
        self, keys: Mapping[str, Sequence[str]], overrides: Mapping[str, object] | None = None
    ) -> ScoredRows:
        """Score the rows that `keys` names: each join key of the contract to n ids.

        `overrides` holds stored feature values that replace the store's in every row of this call. Raises
        `NoModelError`, `FeatureStoreError`, `ContractViolationError`.
        """
        rows = count_rows(keys)
        if self._canary is not None and rows == 1 and self._canary.takes(keys):
            answer_of_canary = await self._canary.score(keys, overrides)
            if answer_of_canary is not None:
                return answer_of_canary
        if rows > self._limits.batch_rows:
            return await self._large_calls.score(keys, rows, overrides)
        answer: asyncio.Future[ScoredRows] = asyncio.get_running_loop().create_future()
        self._waiting.append(Call(keys, rows, overrides, answer))
        self._schedule_start()
        return await answer

    async def score_values(self, values: Mapping[str, Sequence[object] | NDArray[np.generic]]) -> ScoredRows:
        """Score n rows whose features the caller gives: feature name to n values, what is absent is missing.

        Raises `NoModelError`, `ContractViolationError`.
        """
        live = self._models.current()
        spare: LiveModel | None = None
        try:
            batch = await self._steps.score_values(live.version, values)
        except ContractViolationError:
            raise
        except Exception as error:
            rows = max(map(len, values.values()), default=0)
            self._observers.notify_failure(live.version, rows, error)
            spare = self.spare_of(live)
            if spare is None or spare is live:
                raise
        if spare is not None:
            batch = await self._steps.score_values(spare.version, values)
        self._observers.notify(batch)
        return batch

    async def explain(self, rows: ScoredRows, indices: Sequence[int] | None = None) -> NDArray[np.float64]:
        """(k, m + 1) SHAP values of the booster's margin for the chosen rows, the expected value last."""
        return await self._steps.explain(rows, indices)

    def beside(
        self,
        models: ModelSource,
        *,
        spare: Callable[[LiveModel], LiveModel | None] | None = None,
        limits: PredictorLimits | None = None,
    ) -> "Predictor":
        """Make a predictor over other models, whose rows and failures the same observers see."""
        return Predictor(
            models,
            self._steps.postprocess,
            observers=self._observers.of_batches,
            failure_observers=self._observers.of_failures,
            spare=spare,
            limits=limits,
        )

    def spare_of(self, live: LiveModel) -> LiveModel | None:
        """Give the version that tries once more what `live` cannot score; None where there is none."""
        return self._spare(live)

    def observe(self, batch: ScoredRows) -> None:
        """Show the observers rows that were scored past this predictor, in a later turn of the loop."""
        self._observers.notify(batch)

    def observe_failure(self, version: ModelVersion, rows: int, error: Exception, *, ranked: bool = False) -> None:
        """Tell the observers of rows that `version` could not score, past this predictor."""
        self._observers.notify_failure(version, rows, error, ranked=ranked)

    async def close(self) -> None:
        """Let running batches end, then stop the threads. Nothing may be scored afterwards."""
        while self._batches:
            await asyncio.wait(self._batches)
        self._steps.close()

    def _schedule_start(self) -> None:
        if not self._starting and len(self._batches) < self._limits.batches_in_flight:
            # The task's first step is in the next turn of the loop: until then, calls gather for it.
            self._starting = True
            task = asyncio.get_running_loop().create_task(self._run_batch())
            self._batches.add(task)
            task.add_done_callback(self._end_batch)

    def _end_batch(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        if self._waiting:
            self._schedule_start()

    def _take_waiting(self) -> list[Call]:
        waiting, calls, room = self._waiting, list[Call](), self._limits.batch_rows
        while waiting and waiting[0].rows <= room:
            call = waiting.popleft()
            # A cancelled caller is done before its batch starts.
            if not call.answer.done():
                calls.append(call)
                room -= call.rows
        return calls

    async def _run_batch(self) -> None:
        self._starting = False
        calls = self._take_waiting()
        if self._waiting:
            self._schedule_start()
        try:
            live = self._models.current()
        except Exception as error:  # noqa: BLE001  # whatever it is, the callers get it
            fail(calls, error)
            return
        failure = await self._answer(live, calls)
        # Not for a store that is away: that is no fault of a version, and would read it twice.
        if failure is not None and not isinstance(failure, FeatureStoreError):
            spare = self.spare_of(live)
            if spare is not None and spare is not live:
                failure = await self._answer(spare, calls)
        if failure is not None:
            fail(calls, failure)

    async def _answer(self, live: LiveModel, calls: Sequence[Call]) -> Exception | None:
        """Score the calls by one version and answer them; gives the error if it could not, and leaves them waiting."""
        live.acquire()
        try:
            calls, keys, overrides = merge(live.version, [call for call in calls if not call.answer.done()])
            if not calls:
                return None
            batch = await self._steps.score(live, keys, overrides, large=False)
            start = 0
            for call in calls:
                stop = start + call.rows
                if not call.answer.done():
                    call.answer.set_result(batch.slice(start, stop))
                start = stop
            self._observers.notify(batch)
        except Exception as error:  # noqa: BLE001  # whatever it is, the callers get it
            self._observers.notify_failure(live.version, sum(call.rows for call in calls), error)
            return error
        except BaseException as error:
            fail(calls, error)
            raise
        finally:
            live.release()
        return None


def _no_spare(_: LiveModel) -> LiveModel | None:
    return None

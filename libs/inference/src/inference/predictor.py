"""The one data plane: everything that waits at this moment is one read, one matrix, one predict."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference.assembly import AssembledRows, Override
from inference.errors import ContractViolationError, FeatureStoreError
from inference.features import FeatureRows
from inference.model import LiveModel, ModelSource, ModelVersion
from inference.scored import FailureObserver, Observer, PostProcess, ScoredRows, StageTimings, concatenate
from inference.values import encode_columns, encode_overrides

__all__ = ["Canary", "Predictor", "PredictorLimits"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PredictorLimits:
    """How work is cut and where it runs."""

    batch_rows: int = 512
    """A batch takes waiting calls up to so many rows; a call with more is large, and is scored in chunks of so many."""
    batches_in_flight: int = 4
    """Batches that may wait for the store at once; while all do, calls gather for the next."""
    large_calls: int = 2
    """Large calls that run at once; the others queue, and small calls pass them by."""
    chunks_in_flight: int = 2
    """Chunks of one large call: while one is predicted, the next is read."""
    inline_seconds: float = 200e-6
    """A predict that is estimated to take longer leaves the event loop for a thread."""
    threads: int = 2
    """Threads for small batches, and again as many for large calls."""


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


class _Call:
    """A caller that waits for its rows."""

    __slots__ = ("answer", "keys", "overrides", "rows")

    def __init__(
        self,
        keys: Mapping[str, Sequence[str]],
        rows: int,
        overrides: Mapping[str, object] | None,
        answer: asyncio.Future[ScoredRows],
    ) -> None:
        self.keys = keys
        self.rows = rows
        self.overrides = overrides
        self.answer = answer


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
        self._canary = canary
        self._models = models
        self._postprocess = postprocess
        self._observers = tuple(observers)
        self._failure_observers = tuple(failure_observers)
        self._spare = spare
        self._limits = limits or PredictorLimits()
        self._waiting: deque[_Call] = deque()
        self._starting = False
        self._batches: set[asyncio.Task[None]] = set()
        self._large_calls = asyncio.Semaphore(self._limits.large_calls)
        # Two pools: a small batch must not queue behind the chunks of a large call.
        self._small_pool = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="predict")
        self._large_pool = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="predict-large")
        self.timings = StageTimings(0, 0.0, 0.0, 0.0)
        """Of the last batch."""

    async def score(
        self, keys: Mapping[str, Sequence[str]], overrides: Mapping[str, object] | None = None
    ) -> ScoredRows:
        """Score the rows that `keys` names: each join key of the contract to n ids.

        `overrides` holds stored feature values that replace the store's in every row of this call. Raises
        `NoModelError`, `FeatureStoreError`, `ContractViolationError`.
        """
        rows = _count_rows(keys)
        if self._canary is not None and rows == 1 and self._canary.takes(keys):
            answer_of_canary = await self._canary.score(keys, overrides)
            if answer_of_canary is not None:
                return answer_of_canary
        if rows > self._limits.batch_rows:
            return await self._score_large(keys, rows, overrides)
        answer: asyncio.Future[ScoredRows] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(keys, rows, overrides, answer))
        self._schedule_start()
        return await answer

    async def score_values(self, values: Mapping[str, Sequence[object] | NDArray[np.generic]]) -> ScoredRows:
        """Score n rows whose features the caller gives: feature name to n values, what is absent is missing.

        Raises `NoModelError`, `ContractViolationError`.
        """
        live = self._models.current()
        try:
            return await self._score_given(live.version, values)
        except ContractViolationError:
            raise
        except Exception as error:
            rows = max(map(len, values.values()), default=0)
            self._notify_failure(live.version, rows, error)
            spare = self.spare_of(live)
            if spare is None or spare is live:
                raise
        return await self._score_given(spare.version, values)

    async def _score_given(
        self, version: ModelVersion, values: Mapping[str, Sequence[object] | NDArray[np.generic]]
    ) -> ScoredRows:
        started = time.perf_counter()
        n, columns = encode_columns(version.contract, values)
        assembled = version.assembly.assemble_values(n, columns)
        features_seconds = time.perf_counter() - started
        pool = self._large_pool if n > self._limits.batch_rows else self._small_pool
        given = FeatureRows(
            matrix=assembled.features,
            status=assembled.status,
            found=np.ones(n, dtype=np.bool_),
            as_of_us=np.zeros(n, dtype=np.int64),
        )
        batch = await self._finish(version, {}, given, assembled, features_seconds=features_seconds, pool=pool)
        self._notify(batch)
        return batch

    async def explain(self, rows: ScoredRows, indices: Sequence[int] | None = None) -> NDArray[np.float64]:
        """(k, m + 1) SHAP values of the booster's margin for the chosen rows, the expected value last."""
        matrix = rows.matrix if indices is None else rows.matrix[list(indices)]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._small_pool, rows.model.booster.contributions, matrix)

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
            self._postprocess,
            observers=self._observers,
            failure_observers=self._failure_observers,
            spare=spare,
            limits=limits,
        )

    def spare_of(self, live: LiveModel) -> LiveModel | None:
        """Give the version that tries once more what `live` cannot score; None where there is none."""
        return None if self._spare is None else self._spare(live)

    async def close(self) -> None:
        """Let running batches end, then stop the threads. Nothing may be scored afterwards."""
        while self._batches:
            await asyncio.wait(self._batches)
        self._small_pool.shutdown(wait=False)
        self._large_pool.shutdown(wait=False)

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

    def _take_waiting(self) -> list[_Call]:
        waiting, calls, room = self._waiting, list[_Call](), self._limits.batch_rows
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
            _fail(calls, error)
            return
        failure = await self._answer(live, calls)
        # Not for a store that is away: that is no fault of a version, and would read it twice.
        if failure is not None and not isinstance(failure, FeatureStoreError):
            spare = self.spare_of(live)
            if spare is not None and spare is not live:
                failure = await self._answer(spare, calls)
        if failure is not None:
            _fail(calls, failure)

    async def _answer(self, live: LiveModel, calls: Sequence[_Call]) -> Exception | None:
        """Score the calls by one version and answer them; gives the error if it could not, and leaves them waiting."""
        live.acquire()
        try:
            calls, keys, overrides = _merge(live.version, [call for call in calls if not call.answer.done()])
            if not calls:
                return None
            batch = await self._score_rows(live, keys, overrides, self._small_pool)
            start = 0
            for call in calls:
                stop = start + call.rows
                if not call.answer.done():
                    call.answer.set_result(batch.slice(start, stop))
                start = stop
            self._notify(batch)
        except Exception as error:  # noqa: BLE001  # whatever it is, the callers get it
            self._notify_failure(live.version, sum(call.rows for call in calls), error)
            return error
        except BaseException as error:
            _fail(calls, error)
            raise
        finally:
            live.release()
        return None

    async def _score_large(
        self, keys: Mapping[str, Sequence[str]], rows: int, overrides: Mapping[str, object] | None
    ) -> ScoredRows:
        """Chunk by chunk, all by the version that was live at the start; by its spare where it fails."""
        async with self._large_calls:
            live = self._models.current()
            try:
                return await self._score_chunks(live, keys, rows, overrides)
            except (ContractViolationError, FeatureStoreError):
                raise
            except Exception:
                spare = self.spare_of(live)
                if spare is None or spare is live:
                    raise
            return await self._score_chunks(spare, keys, rows, overrides)

    async def _score_chunks(
        self, live: LiveModel, keys: Mapping[str, Sequence[str]], rows: int, overrides: Mapping[str, object] | None
    ) -> ScoredRows:
        live.acquire()
        try:
            _check_keys(live.version, keys)
            values = encode_overrides(live.version.contract, overrides) if overrides else {}
            turns = asyncio.Semaphore(self._limits.chunks_in_flight)

            async def score_chunk(start: int) -> ScoredRows:
                stop = min(start + self._limits.batch_rows, rows)
                chunk = {key: ids[start:stop] for key, ids in keys.items()}
                override = [Override(0, stop - start, values)] if values else []
                async with turns:
                    part = await self._score_rows(live, chunk, override, self._large_pool)
                self._notify(part)
                return part

            async with asyncio.TaskGroup() as group:
                starts = range(0, rows, self._limits.batch_rows)
                parts = [group.create_task(score_chunk(start)) for start in starts]
            return concatenate([part.result() for part in parts])
        except BaseExceptionGroup as failed:
            # One reason is enough; the other chunks failed for the same one or were cancelled for it.
            reason = failed.exceptions[0]
            if isinstance(reason, Exception):
                self._notify_failure(live.version, rows, reason)
            raise reason from None
        finally:
            live.release()

    async def _score_rows(
        self,
        live: LiveModel,
        keys: Mapping[str, Sequence[str]],
        overrides: Sequence[Override],
        pool: ThreadPoolExecutor,
    ) -> ScoredRows:
        version = live.version
        started = time.perf_counter()
        stored = await live.reader.read(keys)
        n = len(next(iter(keys.values())))
        if stored.matrix.shape != (n, len(version.contract.stored)):
            raise FeatureStoreError(f"the reader gave {stored.matrix.shape} values for {n} rows")
        assembled = version.assembly.assemble(stored, overrides)
        return await self._finish(
            version, keys, stored, assembled, features_seconds=time.perf_counter() - started, pool=pool
        )

    async def _finish(
        self,
        version: ModelVersion,
        keys: Mapping[str, Sequence[str]],
        stored: FeatureRows,
        assembled: AssembledRows,
        *,
        features_seconds: float,
        pool: ThreadPoolExecutor,
    ) -> ScoredRows:
        n = len(stored.found)
        started = time.perf_counter()
        if version.cost.estimate(n) <= self._limits.inline_seconds:
            raw = version.booster.predict(assembled.matrix)
        else:
            loop = asyncio.get_running_loop()
            raw = await loop.run_in_executor(pool, version.booster.predict, assembled.matrix)
        predicted = time.perf_counter()
        columns = self._postprocess(raw, version.contract.output)
        ended = time.perf_counter()
        self.timings = StageTimings(n, features_seconds, predicted - started, ended - predicted)
        return ScoredRows(
            n=n,
            raw=raw,
            columns=columns,
            found=stored.found,
            degraded=assembled.degraded,
            status=assembled.status,
            as_of_us=stored.as_of_us,
            keys=keys,
            features=assembled.features,
            matrix=assembled.matrix,
            model=version,
            timings=self.timings,
        )

    def _notify(self, batch: ScoredRows) -> None:
        if self._observers:
            # In a later turn of the loop, when the callers have taken their answers.
            asyncio.get_running_loop().call_soon(self._observe, batch)

    def _notify_failure(self, version: ModelVersion, rows: int, error: Exception) -> None:
        for observer in self._failure_observers:
            try:
                observer.observe_failure(version, rows, error)
            except Exception:  # noqa: BLE001  # as below
                _log.exception("observer_failed", extra={"observer": type(observer).__name__})

    def _observe(self, batch: ScoredRows) -> None:
        for observer in self._observers:
            try:
                observer.observe(batch)
            except Exception:  # noqa: BLE001  # an observer never fails a caller
                _log.exception("observer_failed", extra={"observer": type(observer).__name__})


def _count_rows(keys: Mapping[str, Sequence[str]]) -> int:
    counts = {len(ids) for ids in keys.values()}
    if len(counts) != 1:
        raise ValueError("keys must map each join key to the same number of ids")
    return counts.pop()


def _merge(
    version: ModelVersion, calls: Sequence[_Call]
) -> tuple[list[_Call], Mapping[str, Sequence[str]], list[Override]]:
    """Join calls into one batch; a call that the contract forbids is answered so, and left out."""
    accepted: list[_Call] = []
    overrides: list[Override] = []
    start = 0
    for call in calls:
        try:
            _check_keys(version, call.keys)
            if call.overrides:
                values = encode_overrides(version.contract, call.overrides)
                overrides.append(Override(start, start + call.rows, values))
        except ContractViolationError as error:
            _fail([call], error)
            continue
        accepted.append(call)
        start += call.rows
    if len(accepted) == 1:
        return accepted, accepted[0].keys, overrides
    keys = {key: [identity for call in accepted for identity in call.keys[key]] for key in version.contract.entities}
    return accepted, keys, overrides


def _check_keys(version: ModelVersion, keys: Mapping[str, Sequence[str]]) -> None:
    for entity in version.contract.entities:
        if entity not in keys:
            raise ContractViolationError(entity, "is a join key of this model, and must be given")
    if len(keys) != len(version.contract.entities):
        raise ContractViolationError("keys", "hold more than the join keys of this model")


def _fail(calls: Sequence[_Call], error: BaseException) -> None:
    for call in calls:
        if not call.answer.done():
            if isinstance(error, Exception):
                call.answer.set_exception(error)
            else:
                call.answer.cancel()

"""The way of a batch through one model version: read, assembly, predict, post-processing."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from inference.assembly import AssembledRows, Override
from inference.errors import FeatureStoreError
from inference.features import FeatureRows
from inference.model import LiveModel, ModelVersion
from inference.predictor.limits import PredictorLimits
from inference.scored import PostProcess, ScoredRows, StageTimings
from inference.values import encode_columns

__all__ = ["Steps"]


class Steps:
    """Scores a batch as it is, on the event loop where the predict is short and else in a thread."""

    def __init__(self, postprocess: PostProcess, limits: PredictorLimits) -> None:
        self.postprocess = postprocess
        self._limits = limits
        # Two pools: a small batch must not queue behind the chunks of a large call.
        self._small_pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="predict")
        self._large_pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="predict-large")

    async def score(
        self, live: LiveModel, keys: Mapping[str, Sequence[str]], overrides: Sequence[Override], *, large: bool
    ) -> ScoredRows:
        """Score the rows that `keys` names; `large` says whether they are of a large call."""
        version = live.version
        started = time.perf_counter()
        stored = await live.reader.read(keys)
        n = len(next(iter(keys.values())))
        if stored.matrix.shape != (n, len(version.contract.stored)):
            raise FeatureStoreError(f"the reader gave {stored.matrix.shape} values for {n} rows")
        assembled = version.assembly.assemble(stored, overrides)
        return await self._finish(
            version, keys, stored, assembled, features_seconds=time.perf_counter() - started, large=large
        )

    async def score_values(
        self, version: ModelVersion, values: Mapping[str, Sequence[object] | NDArray[np.generic]]
    ) -> ScoredRows:
        """Score n rows of given values, without the store."""
        started = time.perf_counter()
        n, columns = encode_columns(version.contract, values)
        assembled = version.assembly.assemble_values(n, columns)
        features_seconds = time.perf_counter() - started
        given = FeatureRows(
            matrix=assembled.features,
            status=assembled.status,
            found=np.ones(n, dtype=np.bool_),
            as_of_us=np.zeros(n, dtype=np.int64),
        )
        large = n > self._limits.batch_rows
        return await self._finish(version, {}, given, assembled, features_seconds=features_seconds, large=large)

    async def explain(self, rows: ScoredRows, indices: Sequence[int] | None) -> NDArray[np.float64]:
        """(k, m + 1) SHAP values of the booster's margin for the chosen rows, the expected value last."""
        matrix = rows.matrix if indices is None else rows.matrix[list(indices)]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._small_pool, rows.model.booster.contributions, matrix)

    def close(self) -> None:
        """Stop the threads when they have nothing to do."""
        self._small_pool.shutdown(wait=False)
        self._large_pool.shutdown(wait=False)

    async def _finish(
        self,
        version: ModelVersion,
        keys: Mapping[str, Sequence[str]],
        stored: FeatureRows,
        assembled: AssembledRows,
        *,
        features_seconds: float,
        large: bool,
    ) -> ScoredRows:
        n = len(stored.found)
        started = time.perf_counter()
        if version.cost.estimate(n) <= self._limits.inline_seconds:
            raw = version.booster.predict(assembled.matrix)
        else:
            loop = asyncio.get_running_loop()
            pool = self._large_pool if large else self._small_pool
            raw = await loop.run_in_executor(pool, version.booster.predict, assembled.matrix)
        predicted = time.perf_counter()
        columns = self.postprocess(raw, version.contract.output)
        ended = time.perf_counter()
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
            timings=StageTimings(n, features_seconds, predicted - started, ended - predicted),
        )

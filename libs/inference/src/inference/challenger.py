"""A challenger scored beside the champion: in shadow off the request path, and as a canary for a share of entities."""

import asyncio
import hashlib
import logging
import math
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.errors import InferenceError, NoModelError
from inference.features import FeatureRows
from inference.model import LiveModel, ModelSource, ModelVersion
from inference.predictor import Predictor
from inference.scored import PostProcess, ScoredRows

__all__ = ["ChallengerCanary", "Comparison", "Shadow", "ShadowLimits", "ShadowListener", "is_canary"]

_log = logging.getLogger(__name__)
_KEPT = 20
_RELATIVE = 0.01
_NORMAL_95 = 1.959964
_ROW_ARRAYS = ("raw", "found", "degraded", "status", "as_of_us", "features", "matrix")


@dataclass(slots=True)
class Comparison:
    """A challenger version against a champion version, over the rows that both scored. Differences are new - old.

    Rows are the sample, so an entity that is asked for often weighs more, and so does a job that many are ranked for;
    the interval is then too narrow.
    """

    champion: str
    challenger: str
    rows: int = 0
    agreeing: int = 0
    """Rows whose discrete columns are all equal; without such columns, whose numbers differ by at most 1 %."""
    higher: int = 0
    lower: int = 0
    champion_seconds: float = 0.0
    challenger_seconds: float = 0.0
    failures: int = 0
    """Batches that the challenger could not score."""
    _mean: float = 0.0
    _squares: float = 0.0

    def add(self, champion: ScoredRows, columns: Mapping[str, NDArray[np.generic]], output: NDArray[np.float64]) -> int:
        """Count a batch, of which the challenger gave `columns` and main `output`; gives how many rows agree."""
        before = champion.main_output
        counted = champion.found & np.isfinite(before) & np.isfinite(output)
        difference = (output - before)[counted]
        n = len(difference)
        if n == 0:
            return 0
        mean = float(difference.mean())
        # Chan, Golub and LeVeque's pairwise update of mean and sum of squares.
        total, shift = self.rows + n, mean - self._mean
        self._squares += float(np.sum((difference - mean) ** 2)) + shift**2 * self.rows * n / total
        self._mean += shift * n / total
        self.rows = total
        self.higher += int(np.count_nonzero(difference > 0))
        self.lower += int(np.count_nonzero(difference < 0))
        agreeing = int(np.count_nonzero(_agree(champion, columns, output)[counted]))
        self.agreeing += agreeing
        return agreeing

    @property
    def mean_difference(self) -> float:
        """Mean paired difference of the main output."""
        return self._mean

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % confidence interval of the mean paired difference; None below two rows."""
        error = self._standard_error
        return None if error is None else (self._mean - _NORMAL_95 * error, self._mean + _NORMAL_95 * error)

    @property
    def p_value(self) -> float | None:
        """Two-sided, of no difference in the mean (paired, normal approximation); None below two rows."""
        error = self._standard_error
        if error is None:
            return None
        if error == 0:
            return 1.0 if self._mean == 0 else 0.0
        return math.erfc(abs(self._mean) / error / math.sqrt(2))

    @property
    def sign_p_value(self) -> float | None:
        """Two-sided sign test of as many higher as lower (normal approximation with continuity correction)."""
        n = self.higher + self.lower
        if n == 0:
            return None
        return math.erfc(max(abs(self.higher - self.lower) - 1, 0) / math.sqrt(n) / math.sqrt(2))

    @property
    def _standard_error(self) -> float | None:
        return None if self.rows < 2 else math.sqrt(self._squares / (self.rows - 1) / self.rows)


@dataclass(frozen=True, slots=True)
class ShadowLimits:
    """How much is scored in shadow."""

    share: float = 0.1
    """Of the champion's batches."""
    batch_rows: int = 512
    """Of a longer batch, a stretch of so many rows at a random place is scored."""
    waiting_batches: int = 16
    """Batches that may wait for the challenger; further ones are dropped and counted."""


class ShadowListener(Protocol):
    """Is told what was scored in shadow, on the event loop."""

    def scored(self, comparison: Comparison, rows: int, agreeing: int, seconds: float) -> None:
        """Take note of a batch; `comparison` holds it already."""
        ...

    def dropped(self, rows: int) -> None:
        """Take note of rows that found no room in the queue."""
        ...


@dataclass(slots=True)
class Shadow:
    """An observer of the champion's predictor that lets a challenger score the same rows, one batch at a time.

    The request path pays for a random number and an append. Where the challenger reads no feature that the champion
    does not, it gets the very values that the champion saw, and the store is not asked. Of a ranking all rows that were
    scored are compared, not those that the champion chose: among its highest another version's would look lower.
    """

    challenger: ModelSource
    postprocess: PostProcess
    limits: ShadowLimits = field(default_factory=ShadowLimits)
    listener: ShadowListener | None = None
    comparisons: dict[tuple[str, str], Comparison] = field(default_factory=dict)
    """By digests of champion and challenger; the newest 20."""
    dropped_rows: int = 0
    _waiting: "asyncio.Queue[ScoredRows] | None" = None
    _task: "asyncio.Task[None] | None" = None
    _pool: ThreadPoolExecutor | None = None

    async def start(self) -> None:
        """Begin to score in the background."""
        self._waiting = asyncio.Queue(self.limits.waiting_batches)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._task = asyncio.create_task(self._run(self._waiting, self._pool), name="shadow")

    async def close(self) -> None:
        """Stop; what waits is not scored."""
        task, self._task, self._waiting = self._task, None, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def observe(self, batch: ScoredRows) -> None:
        """Queue a share of the batches; drop where the queue is full."""
        waiting = self._waiting
        if waiting is None or random.random() >= self.limits.share:  # noqa: S311  # a sample, no secret
            return
        try:
            live = self.challenger.current()
        except NoModelError:
            return
        if live.version.digest == batch.model.digest:
            return
        batch = _stretch(batch, self.limits.batch_rows)
        try:
            waiting.put_nowait(batch)
        except asyncio.QueueFull:
            self.dropped_rows += batch.n
            if self.listener is not None:
                self.listener.dropped(batch.n)

    async def _run(self, waiting: "asyncio.Queue[ScoredRows]", pool: ThreadPoolExecutor) -> None:
        while True:
            batch = await waiting.get()
            try:
                await self._score(batch, pool)
            except Exception:  # noqa: BLE001  # shadow scoring must outlive whatever a challenger does
                _log.exception("shadow_failed")

    async def _score(self, batch: ScoredRows, pool: ThreadPoolExecutor) -> None:
        try:
            live = self.challenger.current()
        except NoModelError:
            return
        comparison = self._comparison(batch.model, live.version)
        live.acquire()
        try:
            stored = await _stored_rows(live, batch)
            if stored is None:
                return
            loop = asyncio.get_running_loop()
            columns, output, seconds = await loop.run_in_executor(
                pool, _predict, live.version, stored, self.postprocess, batch
            )
        except InferenceError:
            comparison.failures += 1
            return
        except Exception:
            comparison.failures += 1
            raise
        finally:
            live.release()
        comparison.champion_seconds += batch.timings.model_seconds * batch.n / max(batch.timings.rows, 1)
        comparison.challenger_seconds += seconds
        rows = comparison.rows
        agreeing = comparison.add(batch, columns, output)
        if self.listener is not None:
            self.listener.scored(comparison, comparison.rows - rows, agreeing, seconds)

    def _comparison(self, champion: ModelVersion, challenger: ModelVersion) -> Comparison:
        key = (champion.digest, challenger.digest)
        found = self.comparisons.get(key)
        if found is None:
            found = self.comparisons[key] = Comparison(champion.version, challenger.version)
            while len(self.comparisons) > _KEPT:
                del self.comparisons[next(iter(self.comparisons))]
        return found


class ChallengerCanary:
    """Lets the challenger answer for a share of the entities; an entity always goes the same way."""

    def __init__(self, predictor: Predictor, share: float) -> None:
        """Take a predictor over the challenger."""
        self._predictor = predictor
        self._share = share
        self.failures = 0
        """Rows that went back to the champion."""

    def takes(self, keys: Mapping[str, Sequence[str]]) -> bool:
        """Whether the one row that these keys name belongs to the share."""
        return is_canary(keys, self._share)

    async def score(
        self, keys: Mapping[str, Sequence[str]], overrides: Mapping[str, object] | None
    ) -> ScoredRows | None:
        """Score one row; None where there is no challenger or it fails."""
        try:
            return await self._predictor.score(keys, overrides)
        except NoModelError:
            return None
        except Exception:  # noqa: BLE001  # whatever a challenger does, the champion answers
            # The champion says what is wrong with the request, if anything is.
            self.failures += 1
            return None


def is_canary(keys: Mapping[str, Sequence[str]], share: float) -> bool:
    """Place the first row's ids on [0, 1) by a hash that is the same in each process, and compare with the share."""
    named = "\x1f".join(keys[key][0] for key in sorted(keys)).encode()
    place = int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big")
    return place < share * 2**64


def _stretch(batch: ScoredRows, rows: int) -> ScoredRows:
    if batch.n <= rows:
        return batch
    start = random.randrange(batch.n - rows + 1)  # noqa: S311  # a sample, no secret
    part = batch.slice(start, start + rows)
    # Copies: views would hold the whole batch for as long as it waits.
    arrays = {name: getattr(part, name).copy() for name in _ROW_ARRAYS}
    columns = {name: column.copy() for name, column in part.columns.items()}
    return msgspec.structs.replace(part, columns=columns, batch=None, start=0, **arrays)


async def _stored_rows(live: LiveModel, batch: ScoredRows) -> FeatureRows | None:
    """Give the challenger's stored features for a batch: the champion's values where they do, else from the store."""
    mine, theirs = batch.model.contract, live.version.contract
    known = {(spec.name, spec.reference, spec.dtype, spec.categories): i for i, spec in enumerate(mine.stored)}
    wanted = [known.get((spec.name, spec.reference, spec.dtype, spec.categories)) for spec in theirs.stored]
    if None not in wanted:
        positions = np.array(wanted, dtype=np.intp)
        matrix = np.ascontiguousarray(batch.features[:, positions])
        return FeatureRows(matrix, batch.status[:, positions], batch.found, batch.as_of_us)
    if not batch.keys or set(batch.keys) != set(theirs.entities):
        return None
    return await live.reader.read(batch.keys)


def _predict(
    version: ModelVersion, stored: FeatureRows, postprocess: PostProcess, champion: ScoredRows
) -> tuple[Mapping[str, NDArray[np.generic]], NDArray[np.float64], float]:
    assembled = version.assembly.assemble(stored)
    started = time.perf_counter()
    raw = version.booster.predict(assembled.matrix)
    seconds = time.perf_counter() - started
    columns = postprocess(raw, version.contract.output)
    return columns, _named_output(version, columns, raw, champion), seconds


def _named_output(
    version: ModelVersion,
    columns: Mapping[str, NDArray[np.generic]],
    raw: NDArray[np.float64],
    champion: ScoredRows,
) -> NDArray[np.float64]:
    """Take the column that is the champion's main output, so that like is compared with like."""
    for name in (champion.model.contract.output.name, version.contract.output.name, *columns):
        column = columns.get(name)
        if column is not None and column.dtype.kind in "fiu":
            return column.astype(np.float64, copy=False)
    return raw


def _agree(
    champion: ScoredRows, columns: Mapping[str, NDArray[np.generic]], output: NDArray[np.float64]
) -> NDArray[np.bool_]:
    # The unit is the same for every row, and so no decision.
    discrete = [
        name
        for name, column in champion.columns.items()
        if column.dtype.kind not in "fiu" and name in columns and name != "unit"
    ]
    agree = np.ones(champion.n, dtype=np.bool_)
    for name in discrete:
        agree &= champion.columns[name] == columns[name]
    if discrete:
        return agree
    before = champion.main_output
    return np.abs(output - before) <= _RELATIVE * np.maximum(np.abs(before), np.abs(output))

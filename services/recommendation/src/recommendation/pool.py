"""The pool of candidates in memory: stored features of all of them, read anew in the background."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import structlog
from numpy.typing import NDArray

from inference import CellStatus, FeatureRows, LiveModel, ModelVersion
from inference.errors import FeatureStoreError, NoModelError
from serving import Runtime

__all__ = ["CandidatePool", "PoolTable", "open_pool"]

CANDIDATE, JOB = "candidate_id", "job_id"
POOL = "candidates"
_NOBODY = "-"
_READ_AT_ONCE = 256
"""Candidates read before other requests get their turn: decoding them takes about 2 ms."""
_TICK_SECONDS = 0.5
_log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class PoolTable:
    """Stored features of n candidates, as one model version reads them."""

    live: LiveModel
    """Held open for as long as the table stands."""
    ids: NDArray[np.object_]
    """(n,) candidate ids."""
    rows: FeatureRows
    """(n, f) in the order of the contract's stored features; the job's columns are missing."""
    columns: dict[str, NDArray[np.float64]]
    """The candidate's features by name, (n,) each and contiguous: filters run along columns."""
    job_columns: NDArray[np.intp]
    """Positions of the job's features among the stored ones."""
    refreshed_at: datetime

    @property
    def version(self) -> ModelVersion:
        """The model version that scores this table."""
        return self.live.version

    async def job(self, job_id: str) -> FeatureRows | None:
        """Stored features of a job as one row, the candidate's columns missing; None for an unknown job."""
        rows = await self.live.reader.read({JOB: [job_id], CANDIDATE: [_NOBODY]})
        known = (rows.status[0, self.job_columns] != CellStatus.MISSING).any()
        return rows if known else None


class CandidatePool:
    """Keeps a `PoolTable` fresh. Belongs to one event loop.

    While a version is on trial, there is a table of the version before too: it ranks what the new one cannot.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._tables: dict[LiveModel, PoolTable] = {}

    def table(self) -> PoolTable:
        """Give the table of the version that serves, or of one before until that is read.

        Raises `NoModelError` before the first refresh.
        """
        if not self._tables:
            raise NoModelError("the pool of candidates is not read yet")
        serving = self._tables.get(self._runtime.models.current())
        return serving or next(reversed(self._tables.values()))

    def spare_of(self, table: PoolTable) -> PoolTable | None:
        """Give the table of the version that tries once more what that of `table` cannot score; None without one."""
        spare = self._runtime.predictor.spare_of(table.live)
        return None if spare is None or spare is table.live else self._tables.get(spare)

    async def follow(self) -> None:
        """Refresh at the set interval, and at once when another model version serves; runs until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                if loop.time() >= due:
                    await self.refresh()
                    due = loop.time() + self._runtime.settings.shortlist_refresh_seconds
                else:
                    await self._read(one for one in self._wanted() if one not in self._tables)
            except NoModelError:
                pass
            except FeatureStoreError as error:
                _log.warning("pool_not_refreshed", reason=str(error))
            except Exception:  # noqa: BLE001  # the loop must outlive a bug in one refresh
                _log.exception("pool_not_refreshed")
                due = loop.time() + self._runtime.settings.shortlist_refresh_seconds
            await asyncio.sleep(_TICK_SECONDS)

    async def refresh(self) -> None:
        """Read the pool anew. Raises `NoModelError` or `FeatureStoreError`; the old tables then stay."""
        await self._read(self._wanted())

    def close(self) -> None:
        """Let go of the tables."""
        while self._tables:
            self._tables.popitem()[1].live.release()

    def _wanted(self) -> list[LiveModel]:
        """Versions that may be asked to rank: the one that serves first."""
        live = self._runtime.models.current()
        spare = self._runtime.predictor.spare_of(live)
        return [live] if spare is None or spare is live else [live, spare]

    async def _read(self, versions: Iterable[LiveModel]) -> None:
        """Read the tables of these versions, and let go of those that nobody wants any more."""
        for live in versions:
            live.acquire()
            try:
                ids = await self._runtime.read_pool(self._runtime.settings, POOL)
                table = await _read_table(live, ids)
            except BaseException:
                live.release()
                raise
            old = self._tables.pop(live, None)
            self._tables[live] = table
            if old is not None:
                old.live.release()
        wanted = self._wanted()
        # The last table answers until that of the version that serves is read.
        if wanted[0] in self._tables:
            for live in self._tables.keys() - {*wanted}:
                self._tables.pop(live).live.release()


@asynccontextmanager
async def open_pool(runtime: Runtime) -> AsyncIterator[CandidatePool]:
    """Follow the pool for as long as the service runs; the first reading does not hold its start up."""
    pool = CandidatePool(runtime)
    following = asyncio.create_task(pool.follow(), name="candidate-pool")
    try:
        yield pool
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        pool.close()


async def _read_table(live: LiveModel, ids: list[str]) -> PoolTable:
    contract = live.version.contract
    schemas = await live.reader.schemas()
    job_views = {name for name, schema in schemas.items() if JOB in schema.join_keys}
    of_job = np.array([feature.reference.partition(":")[0] in job_views for feature in contract.stored])
    n, width = len(ids), len(contract.stored)
    rows = FeatureRows(
        matrix=np.full((n, width), np.nan),
        status=np.full((n, width), CellStatus.MISSING, dtype=np.uint8),
        found=np.ones(n, dtype=np.bool_),
        as_of_us=np.zeros(n, dtype=np.int64),
    )
    for start in range(0, n, _READ_AT_ONCE):
        part = ids[start : start + _READ_AT_ONCE]
        read = await live.reader.read({JOB: [_NOBODY] * len(part), CANDIDATE: part})
        span = slice(start, start + len(part))
        rows.matrix[span], rows.status[span], rows.as_of_us[span] = read.matrix, read.status, read.as_of_us
        await asyncio.sleep(0)
    return PoolTable(
        live=live,
        ids=np.array(ids, dtype=object),
        rows=rows,
        columns={
            feature.name: np.ascontiguousarray(rows.matrix[:, position])
            for position, feature in enumerate(contract.stored)
            if not of_job[position]
        },
        job_columns=np.flatnonzero(of_job),
        refreshed_at=datetime.now(UTC),
    )

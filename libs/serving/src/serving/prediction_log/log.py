"""The prediction log: every scored row, gathered off the request path and sent to a Redis stream.

What may be lost, and when:
- killed process (SIGKILL): rows in memory, which are those of the last `gather_seconds` and of one message on its way;
- Redis away, hanging or full: nothing until the spool has reached its bound, then the newest rows, counted;
- no room in memory, as when the disk hangs: the newest rows, counted;
- loss of power: what the disk had not yet been told to keep; Redis' own log is no safer (`appendfsync everysec`).
An answer to the caller is never waited for by the log, nor the log by an answer.
"""

import asyncio
import time
from collections.abc import Sequence

import structlog

from inference import ScoredRows
from inference.prediction_log import Frame, Record, encode_records, record_of
from inference.prediction_log.records import Ids
from serving import metrics
from serving.measures import Measures
from serving.prediction_log.outbox import Outbox
from serving.prediction_log.stream import StreamError

__all__ = ["PredictionLog"]

_GATHER_SECONDS = 0.15
_WAKE_ROWS = 4096
_ROWS_MAX = 32_768
"""About 20 MB of features, matrices and keys."""
_TEND_SECONDS = 5.0
_log = structlog.stdlib.get_logger()


class PredictionLog:
    """Takes rows from endpoints. Belongs to one event loop; without an outbox it takes nothing."""

    def __init__(
        self, service: str, measures: Measures, outbox: Outbox | None = None, *, bulk_share: float = 1.0
    ) -> None:
        self._outbox = outbox
        self._bulk_share = bulk_share
        self._waiting: list[Record] = []
        self._rows_waiting = 0
        self._last: Record | None = None
        """The newest record, where the next row of its batch may join it."""
        self._wake = asyncio.Event()
        self._stopping = False
        self._running: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._forwarding: asyncio.Task[None] | None = None
        self._tended_at = 0.0
        self._logged = measures.cells(metrics.LOG_ROWS, service)
        self._dropped = {
            reason: measures.cells(metrics.LOG_DROPPED, service, reason) for reason in metrics.DROP_REASONS
        }
        self._spool = measures.cells(metrics.LOG_SPOOL_BYTES, service)
        self._stream = measures.cells(metrics.LOG_STREAM_BYTES, service)
        self._damaged = measures.cells(metrics.LOG_DAMAGED_BYTES, service)
        self._damaged_before = self._damaged[0]
        self._up = measures.cells(metrics.DEPENDENCY_UP, service, measures.worker, "prediction_log")

    def record(self, rows: ScoredRows, ids: Ids, caller: str, route: str) -> None:
        """Take rows that were answered, all of them: a third of a microsecond where they are one of a batch."""
        if self._outbox is None:
            return
        last = self._last
        has_room = self._rows_waiting < _WAKE_ROWS
        if isinstance(ids, str) and last is not None and has_room and last.takes(rows, caller, route):
            last.add(rows.start, ids)
            self._rows_waiting += 1
            return
        record = record_of(rows, ids, caller, route, time.time_ns() // 1000)
        self._last = record if self._take(record) and isinstance(ids, str) else None

    def record_bulk(self, rows: ScoredRows, ids: Ids, caller: str, route: str) -> None:
        """Take rows of a bulk request: the share that is set, chosen by their ids."""
        if self._outbox is not None and self._bulk_share > 0:
            self._take(record_of(rows, ids, caller, route, time.time_ns() // 1000, share=self._bulk_share))

    def start(self) -> None:
        """Begin to gather."""
        if self._outbox is not None:
            self._running = asyncio.create_task(self._run(self._outbox), name="prediction-log")

    async def close(self) -> None:
        """Bring what waits to Redis or to the spool."""
        if self._outbox is None or self._running is None:
            return
        # Not cancelled: it may just have taken rows that nobody else has.
        self._stopping = True
        self._wake.set()
        try:
            await self._running
            if self._sending is not None:
                await self._sending
            if self._forwarding is not None:
                self._forwarding.cancel()
                await asyncio.gather(self._forwarding, return_exceptions=True)
            await self._send(self._outbox, await self._encoded(self._outbox))
        finally:
            await self._outbox.close()

    async def _run(self, outbox: Outbox) -> None:
        while not self._stopping:
            # Not `wait_for`: that makes a task each time.
            timer = asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._wake.set)
            await self._wake.wait()
            timer.cancel()
            self._wake.clear()
            try:
                await self._turn(outbox)
            except Exception as error:  # noqa: BLE001  # the log must go on after a bug in it
                _log.error("prediction_log_failed", exc_info=error)

    def _take(self, record: Record) -> bool:
        waiting = self._rows_waiting + record.n
        if waiting > _ROWS_MAX and self._waiting:
            self._dropped["memory"][0] += record.n
            return False
        self._waiting.append(record)
        self._rows_waiting = waiting
        if waiting >= _WAKE_ROWS:
            self._wake.set()
        return True

    async def _turn(self, outbox: Outbox) -> None:
        frames = await self._encoded(outbox)
        if frames:
            # A message that Redis has not answered since the last turn: what comes now is safer on the disk.
            if outbox.stream.may_try and (self._sending is None or self._sending.done()):
                self._sending = asyncio.create_task(self._send(outbox, frames))
            else:
                await self._keep(outbox, frames)
        if outbox.spool_bytes and outbox.stream.may_try and (self._forwarding is None or self._forwarding.done()):
            self._forwarding = asyncio.create_task(outbox.forward())
        if time.monotonic() - self._tended_at >= _TEND_SECONDS:
            self._tended_at = time.monotonic()
            await outbox.tend()
        self._spool[0] = outbox.spool_bytes
        self._stream[0] = outbox.stream.bytes
        self._up[0] = outbox.stream.is_up
        self._damaged[0] = self._damaged_before + outbox.damaged_bytes

    async def _encoded(self, outbox: Outbox) -> list[Frame]:
        records, self._waiting, self._rows_waiting, self._last = self._waiting, [], 0, None
        if not records:
            return []
        frames, lost = await outbox.in_thread(_encoded, records)
        self._logged[0] += sum(frame.rows for frame in frames)
        self._dropped["unencodable"][0] += lost
        return frames

    async def _send(self, outbox: Outbox, frames: Sequence[Frame]) -> None:
        if not frames:
            return
        try:
            await outbox.stream.append(frames)
        except StreamError:
            await self._keep(outbox, frames)

    async def _keep(self, outbox: Outbox, frames: Sequence[Frame]) -> None:
        try:
            kept = await outbox.keep(frames)
        except OSError:
            self._dropped["spool_failed"][0] += sum(frame.rows for frame in frames)
        else:
            self._dropped["spool_full"][0] += sum(frame.rows for frame in frames[kept:])


def _encoded(records: Sequence[Record]) -> tuple[list[Frame], int]:
    """Make messages; rows that cannot be encoded are left out, counted, and hold up no others."""
    try:
        return encode_records(records), 0
    except Exception as error:  # noqa: BLE001  # whatever is wrong with a record, the others are sound
        _log.error("prediction_log_failed", exc_info=error)
    frames: list[Frame] = []
    lost = 0
    for record in records:
        try:
            frames += encode_records([record])
        except Exception:  # noqa: BLE001  # as above, and told there
            lost += record.n
    return frames, lost

"""Where feedback is kept before it is acknowledged: on the disk, many requests by one fsync.

While one group is written the next gathers, so that the time an fsync takes bounds how long a caller waits and not how
many there may be. From the journal feedback goes to a Redis stream; it is removed when Redis has it, and sent again if
that is not known, which does no harm.
"""

import asyncio
import time
from collections.abc import Sequence

import structlog

from inference.prediction_log import Feedback, Frame, encode_feedback
from serving import metrics
from serving.measures import Measures
from serving.prediction_log.outbox import Outbox

__all__ = ["FeedbackJournal", "JournalError"]

_TURN_SECONDS = 0.2
_TEND_SECONDS = 5.0
_ROWS_MAX = 50_000
"""Rows that may wait for the disk at once."""
_log = structlog.stdlib.get_logger()


class JournalError(Exception):
    """The feedback was not kept: the disk is full or read-only, or the journal has reached its bound."""


class FeedbackJournal:
    """Keeps feedback durable. Belongs to one event loop."""

    def __init__(self, service: str, measures: Measures, outbox: Outbox) -> None:
        self._outbox = outbox
        self._waiting: list[tuple[Frame, asyncio.Future[None]]] = []
        self._rows_waiting = 0
        self._committing: asyncio.Task[None] | None = None
        self._forwarding: asyncio.Task[None] | None = None
        self._tended_at = 0.0
        self._rows = measures.cells(metrics.FEEDBACK_ROWS, service)
        self._refused = measures.cells(metrics.FEEDBACK_REFUSED, service)
        self._bytes = measures.cells(metrics.FEEDBACK_JOURNAL_BYTES, service)
        self._since = measures.cells(metrics.FEEDBACK_WAITING_SINCE, service, measures.worker)
        self._stream = measures.cells(metrics.FEEDBACK_STREAM_BYTES, service)

    async def keep(self, rows: Sequence[Feedback]) -> None:
        """Return when the feedback is on the disk. Raises `JournalError`."""
        if self._rows_waiting + len(rows) > _ROWS_MAX:
            self._refused[0] += len(rows)
            raise JournalError
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((Frame(encode_feedback(list(rows)), len(rows)), done))
        self._rows_waiting += len(rows)
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit())
        await done

    def start(self) -> None:
        """Begin to forward."""
        self._forwarding = asyncio.create_task(self._run(), name="feedback-journal")

    async def close(self) -> None:
        """Answer who waits, and forward once more."""
        if self._forwarding is not None:
            # Cancelled between sending and forgetting, it sends once more, which does no harm.
            self._forwarding.cancel()
            await asyncio.gather(self._forwarding, return_exceptions=True)
        if self._committing is not None:
            await self._committing
        try:
            if self._outbox.stream.may_try:
                await self._outbox.forward()
        finally:
            await self._outbox.close()

    async def _run(self) -> None:
        while True:
            try:
                if self._outbox.spool_bytes and self._outbox.stream.may_try:
                    await self._outbox.forward()
                if time.monotonic() - self._tended_at >= _TEND_SECONDS:
                    self._tended_at = time.monotonic()
                    await self._outbox.tend()
                self._measure()
            except Exception as error:  # noqa: BLE001  # forwarding must go on after a bug in it
                _log.error("feedback_journal_failed", exc_info=error)
            await asyncio.sleep(_TURN_SECONDS)

    async def _commit(self) -> None:
        while self._waiting:
            # Callers that came in this turn of the loop go along.
            await asyncio.sleep(0)
            group, self._waiting, self._rows_waiting = self._waiting, [], 0
            try:
                kept = await self._outbox.keep([frame for frame, _ in group], sync=True)
            except Exception:  # noqa: BLE001  # whatever failed, nobody may be told that the feedback is safe
                kept = 0
            for position, (frame, done) in enumerate(group):
                if position < kept:
                    self._rows[0] += frame.rows
                else:
                    self._refused[0] += frame.rows
                if done.done():
                    continue
                if position < kept:
                    done.set_result(None)
                else:
                    done.set_exception(JournalError())
            self._measure()

    def _measure(self) -> None:
        self._bytes[0] = self._outbox.spool_bytes
        self._since[0] = self._outbox.since or 0.0
        self._stream[0] = self._outbox.stream.bytes

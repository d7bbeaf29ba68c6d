"""The prediction log and the feedback journal of a process, from its settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inference.prediction_log import FEEDBACK, PREDICTIONS, stream_key
from serving.measures import Measures
from serving.prediction_log.feedback_journal import FeedbackJournal
from serving.prediction_log.log import PredictionLog
from serving.prediction_log.outbox import Outbox
from serving.prediction_log.stream import LogStream
from serving.settings import Settings

__all__ = ["open_feedback_journal", "open_prediction_log"]


@asynccontextmanager
async def open_prediction_log(service: str, settings: Settings, measures: Measures) -> AsyncIterator[PredictionLog]:
    """Hold a log that gathers; at the end what waits goes to Redis or to the spool."""
    outbox = _outbox(PREDICTIONS, service, settings, settings.spool_bytes_max) if settings.prediction_log else None
    log = PredictionLog(service, measures, outbox, bulk_share=settings.prediction_log_bulk_share)
    log.start()
    try:
        yield log
    finally:
        await log.close()


@asynccontextmanager
async def open_feedback_journal(service: str, settings: Settings, measures: Measures) -> AsyncIterator[FeedbackJournal]:
    """Hold a journal that forwards."""
    journal = FeedbackJournal(
        service, measures, _outbox(FEEDBACK, service, settings, settings.feedback_journal_bytes_max)
    )
    journal.start()
    try:
        yield journal
    finally:
        await journal.close()


def _outbox(kind: str, service: str, settings: Settings, bytes_max: int) -> Outbox:
    key = stream_key(settings.feast_project, kind, service)
    stream = LogStream(settings.log_redis_url or settings.redis_url, key, settings.log_stream_bytes_max)
    return Outbox(stream, settings.spool_path / kind / service, bytes_max, kind)

"""Follows the streams into Parquet files: written and durable first, acknowledged and deleted from Redis then.

A follower that is killed in between has its entries still; when it comes back it takes them in the same order, and
writes files of the same names. What another takes over from it, or a serving process sends twice since it could not
know, is there twice until files are merged: readers count a `prediction_id` once.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import redis
import structlog

from inference.prediction_log import (
    FEEDBACK,
    PREDICTIONS,
    LoggedRows,
    UnreadableError,
    decode_feedback,
    decode_rows,
    stream_key,
    without_rows,
)
from pipelines.prediction_log.compaction import compact_service
from pipelines.prediction_log.follower_metrics import FollowerMetrics
from pipelines.prediction_log.group import Entry, StreamGroup
from pipelines.prediction_log.log_files import DAY, locked, write_file
from pipelines.prediction_log.retention import expire
from pipelines.prediction_log.settings import LogSettings
from pipelines.prediction_log.tables import day_column, feedback_table, predictions_table, without_duplicates
from pipelines.prediction_log.tombstones import read_tombstones

__all__ = ["Follower"]

_ENTRIES = 64
_ROWS_A_FILE = 50_000
_COMPACT_SECONDS = 60.0
_EXPIRE_SECONDS = 3600.0
_log = structlog.stdlib.get_logger()


class Follower:
    """One consumer of all streams."""

    def __init__(self, settings: LogSettings, client: "redis.Redis", metrics: FollowerMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._groups = {
            (kind, service): StreamGroup(client, stream_key(settings.project, kind, service), settings.consumer)
            for kind in (PREDICTIONS, FEEDBACK)
            for service in settings.services
        }
        self._failing: set[tuple[str, str]] = set()
        """Told once, until they work again."""
        self._compacted_at = time.monotonic()
        self._expired_at = float("-inf")

    def run(self, is_stopping: Callable[[], bool]) -> None:
        """Follow until told to stop; what fails is tried again."""
        while not is_stopping():
            self.turn(is_stopping)
            until = time.monotonic() + self._settings.follow_seconds
            while time.monotonic() < until and not is_stopping():
                time.sleep(0.1)

    def turn(self, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Write what waits, and now and then merge small files and delete old ones."""
        for (kind, service), group in self._groups.items():
            try:
                while not is_stopping() and (entries := group.take(_ENTRIES)):
                    for part in _parts(entries):
                        self._write(kind, service, part)
                        group.finish(part)
                length, age = group.backlog()
            except (redis.RedisError, OSError, pa.ArrowException) as error:
                self._tell(kind, service, error)
                if isinstance(error, redis.ConnectionError | redis.TimeoutError):
                    # The other streams lie there too.
                    self._metrics.redis_up.set(0)
                    break
            else:
                self._failing.discard((kind, service))
                self._metrics.redis_up.set(1)
                self._metrics.backlog.labels(kind, service).set(length)
                self._metrics.lag.labels(kind, service).set(age)
        self._tidy()

    def _tell(self, kind: str, service: str, error: Exception) -> None:
        self._metrics.failures.labels(kind, service).inc()
        if (kind, service) not in self._failing:
            self._failing.add((kind, service))
            _log.warning("follow_failed", kind=kind, service=service, reason=f"{type(error).__name__}: {error}")

    def _write(self, kind: str, service: str, entries: Sequence[Entry]) -> None:
        read = self._predictions if kind == PREDICTIONS else self._feedback
        # Whoever is forgotten from here on is found in the files, who was before is left out of them.
        with locked(self._settings.home, "write", shared=True):
            table = read(service, entries)
            if table is None:
                return
            time_column = "scored_at" if kind == PREDICTIONS else "received_at"
            days = day_column(table, time_column)
            for day in np.unique(days):
                directory = self._settings.home / kind / service / f"{DAY}{day}"
                rows = table.filter(pa.array(days == day))
                write_file(directory, f"{entries[0].id}_{entries[-1].id}", rows)
                self._metrics.written.labels(kind, service).inc(len(rows))

    def _predictions(self, service: str, entries: Sequence[Entry]) -> pa.Table | None:
        tombstones = read_tombstones(self._settings.home)
        messages: list[LoggedRows] = []
        for entry in entries:
            try:
                rows = decode_rows(entry.message)
            except UnreadableError:
                self._set_aside(PREDICTIONS, service, entry)
                continue
            unwanted = tombstones.hit(rows)
            if unwanted.any():
                self._metrics.forgotten.labels(service).inc(int(unwanted.sum()))
                rows = without_rows(rows, unwanted)
            if rows.n:
                messages.append(rows)
        return self._unique(predictions_table(messages), ["prediction_id"], PREDICTIONS, service) if messages else None

    def _feedback(self, service: str, entries: Sequence[Entry]) -> pa.Table | None:
        rows = []
        for entry in entries:
            try:
                rows += decode_feedback(entry.message)
            except UnreadableError:
                self._set_aside(FEEDBACK, service, entry)
        by = ["prediction_id", "observed_at", "outcome"]
        return self._unique(feedback_table(rows), by, FEEDBACK, service) if rows else None

    def _unique(self, table: pa.Table, by: Sequence[str], kind: str, service: str) -> pa.Table:
        unique = without_duplicates(table, by)
        self._metrics.duplicates.labels(kind, service).inc(len(table) - len(unique))
        return unique

    def _set_aside(self, kind: str, service: str, entry: Entry) -> None:
        """Keep what cannot be read for a person to look at: it must not hold up the others."""
        directory = self._settings.home / kind / service / "unreadable"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{entry.id}.message").write_bytes(entry.message)
        _log.error("message_unreadable", kind=kind, service=service, entry=entry.id)
        self._metrics.unreadable.labels(kind, service).inc()

    def _tidy(self) -> None:
        now, home = time.monotonic(), self._settings.home
        try:
            if now - self._compacted_at >= _COMPACT_SECONDS:
                self._compacted_at = now
                for kind, service in self._groups:
                    done = compact_service(home, kind, service)
                    self._metrics.files.labels(kind, service).set(done.files)
            if now - self._expired_at >= _EXPIRE_SECONDS:
                self._expired_at = now
                expire(home, self._settings.services, self._settings.retention_days)
        except (OSError, pa.ArrowException) as error:
            _log.error("tidy_failed", reason=f"{type(error).__name__}: {error}")
            self._metrics.tidy_failures.inc()


def _parts(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Cut into files of bounded rows, the same way each time."""
    part: list[Entry] = []
    rows = 0
    for entry in entries:
        if part and rows + entry.rows > _ROWS_A_FILE:
            yield part
            part, rows = [], 0
        part.append(entry)
        rows += entry.rows
    if part:
        yield part

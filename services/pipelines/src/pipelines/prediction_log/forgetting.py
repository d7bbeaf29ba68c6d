"""Deletes what the log holds of one person: from the files, the streams, and the spools that no process holds.

What lies in the memory or the held spool of a process comes later; the follower leaves it out, since the person is on
the list of those forgotten (`tombstones`). Feedback goes with the predictions that it is about.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import redis

from inference.prediction_log import (
    FEEDBACK,
    PREDICTIONS,
    Frame,
    UnreadableError,
    decode_feedback,
    decode_rows,
    encode_feedback,
    rewrite_abandoned,
    stream_key,
    without_rows,
)
from inference.prediction_log.messages import encode_rows
from inference.prediction_log.streams import MESSAGE_FIELD, ROWS_FIELD
from pipelines.prediction_log.log_files import day_directories, files_of, locked, replace_file
from pipelines.prediction_log.settings import LogSettings
from pipelines.prediction_log.tombstones import PERSON, bury

__all__ = ["Forgotten", "forget"]

T = TypeVar("T")
_SCAN_ENTRIES = 64


@dataclass(slots=True)
class Forgotten:
    """What was deleted."""

    predictions: int = 0
    """Rows of the files."""
    feedback: int = 0
    in_transit: int = 0
    """Rows of streams and spools."""
    spools_held: int = 0
    """Spools of running processes: what they hold of the person the follower leaves out."""


def forget(settings: LogSettings, client: "redis.Redis", candidate_id: str) -> Forgotten:
    """Delete one person's rows. Raises OSError and `redis.RedisError`; then run it again."""
    home, done = settings.home, Forgotten()
    with locked(home, "write"):
        bury(home, [candidate_id], keep_seconds=settings.retention_days * 86_400.0)
    for service in settings.services:
        ids: set[str] = set()
        # First what is on its way, then the files: a row that moves meanwhile is met in one of them.
        change = _without_person(candidate_id, ids, done)
        _rewrite_stream(client, stream_key(settings.project, PREDICTIONS, service), change)
        done.spools_held += rewrite_abandoned(home / "spool" / PREDICTIONS / service, change)[1]
        with locked(home, "tidy"):
            for path in _files(home, PREDICTIONS, service):
                done.predictions += _rewrite(path, PERSON, {candidate_id}, ids)
            change = _without_feedback(ids, done)
            _rewrite_stream(client, stream_key(settings.project, FEEDBACK, service), change)
            rewrite_abandoned(home / "spool" / FEEDBACK / service, change)
            for path in _files(home, FEEDBACK, service):
                done.feedback += _rewrite(path, "prediction_id", ids, set())
            for kind in (PREDICTIONS, FEEDBACK):
                # Nobody can say whom these are about.
                for path in (home / kind / service / "unreadable").glob("*"):
                    path.unlink()
    return done


def _files(home: Path, kind: str, service: str) -> list[Path]:
    return [path for directory in day_directories(home, kind, service) for path in files_of(directory)]


def _rewrite(path: Path, column: str, values: set[str], ids: set[str]) -> int:
    """Leave the rows with these values out of a file; their prediction ids go into `ids`."""
    if not values or column not in pq.read_schema(path).names:
        return 0
    wanted = pa.array(sorted(values), pa.string())
    hit = pc.fill_null(pc.is_in(pq.read_table(path, columns=[column], partitioning=None)[column], wanted), False)
    count = int(pc.sum(hit).as_py() or 0)
    if count == 0:
        return 0
    table = pq.read_table(path, partitioning=None)
    ids.update(table.filter(hit)["prediction_id"].to_pylist())
    if count == len(table):
        path.unlink()
    else:
        replace_file(path, table.filter(pc.invert(hit)))
    return count


def _without_person(candidate_id: str, ids: set[str], done: Forgotten) -> Callable[[Frame], Frame | None]:
    def change(frame: Frame) -> Frame | None:
        try:
            rows = decode_rows(frame.message)
        except UnreadableError:
            return frame
        unwanted = np.array([one == candidate_id for one in rows.keys.get(PERSON, ())], dtype=np.bool_)
        if not unwanted.any():
            return frame
        done.in_transit += int(unwanted.sum())
        ids.update(rows.prediction_ids[place] for place in np.flatnonzero(unwanted).tolist())
        left = without_rows(rows, unwanted)
        return Frame(encode_rows(left), left.n) if left.n else None

    return change


def _without_feedback(ids: set[str], done: Forgotten) -> Callable[[Frame], Frame | None]:
    def change(frame: Frame) -> Frame | None:
        try:
            rows = decode_feedback(frame.message)
        except UnreadableError:
            return frame
        left = [row for row in rows if row.prediction_id not in ids]
        if len(left) == len(rows):
            return frame
        done.in_transit += len(rows) - len(left)
        return Frame(encode_feedback(left), len(left)) if left else None

    return change


def _rewrite_stream(client: Any, key: str, change: Callable[[Frame], Frame | None]) -> None:
    """Put changed entries at the end, and delete them where they were, in one step."""
    last = client.xrevrange(key, count=1)
    start = "-"
    while last:
        entries = client.xrange(key, min=start, max=last[0][0], count=_SCAN_ENTRIES)
        if not entries:
            return
        for name, fields in entries:
            before = Frame(fields.get(MESSAGE_FIELD, b""), int(fields.get(ROWS_FIELD, b"0")))
            after = change(before)
            if after is before:
                continue
            pipeline = client.pipeline(transaction=True)
            if after is not None:
                pipeline.xadd(key, {MESSAGE_FIELD: after.message, ROWS_FIELD: str(after.rows)})
            pipeline.xdel(key, name)
            pipeline.execute()
        start = b"(" + entries[-1][0]

"""Small files merged: a reader of a day opens a few, and a row that came twice is there once.

The merged file is there before its parts go. Who reads in between sees rows twice, as readers must be able to; a kill
in between leaves them so until the next merge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from inference.prediction_log import FEEDBACK, PREDICTIONS
from pipelines.prediction_log.log_files import day_directories, day_of, files_of, locked, write_file
from pipelines.prediction_log.tables import without_duplicates

__all__ = ["Compacted", "compact", "compact_service"]

_SMALL_ROWS = 250_000
_MERGED_ROWS = 500_000
"""About 200 MB of columns in memory."""
_FILES_A_DAY = 16
_UNIQUE = {PREDICTIONS: ("prediction_id",), FEEDBACK: ("prediction_id", "observed_at", "outcome")}


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a merge left."""

    files: int
    rows: int
    merged: int
    """Files that went."""
    duplicates: int
    """Rows that went, as they were there twice."""


def compact(home: Path, services: Sequence[str], *, eager: bool = False) -> Compacted:
    """Merge the small files of every day that has many of them; `eager`, of every day. Raises OSError."""
    done = [
        compact_service(home, kind, service, eager=eager) for kind in (PREDICTIONS, FEEDBACK) for service in services
    ]
    return Compacted(
        sum(one.files for one in done),
        sum(one.rows for one in done),
        sum(one.merged for one in done),
        sum(one.duplicates for one in done),
    )


def compact_service(home: Path, kind: str, service: str, *, eager: bool = False) -> Compacted:
    """Merge one service's. Raises OSError."""
    files = rows = merged = duplicates = 0
    today = datetime.now(UTC).date()
    with locked(home, "tidy"):
        for directory in day_directories(home, kind, service):
            day = day_of(directory)
            if day is None:
                continue
            sizes = {path: int(pq.read_metadata(path).num_rows) for path in files_of(directory)}
            small = [path for path, size in sizes.items() if size < _SMALL_ROWS]
            if len(small) >= _FILES_A_DAY or (len(small) > 1 and (eager or day < today)):
                for group in _groups(small, sizes):
                    merged += len(group)
                    duplicates += _merge(directory, group, _UNIQUE[kind])
                sizes = {path: int(pq.read_metadata(path).num_rows) for path in files_of(directory)}
            files += len(sizes)
            rows += sum(sizes.values())
    return Compacted(files, rows, merged, duplicates)


def _groups(paths: Sequence[Path], sizes: dict[Path, int]) -> Iterator[list[Path]]:
    group: list[Path] = []
    for path in paths:
        if group and sum(sizes[one] for one in group) + sizes[path] > _MERGED_ROWS:
            if len(group) > 1:
                yield group
            group = []
        group.append(path)
    if len(group) > 1:
        yield group


def _merge(directory: Path, paths: Sequence[Path], by: Sequence[str]) -> int:
    tables = [pq.read_table(path, partitioning=None) for path in paths]
    table = pa.concat_tables(tables, promote_options="default")
    unique = without_duplicates(table, by)
    first, last = paths[0].stem.partition("_")[0], paths[-1].stem.rpartition("_")[2]
    name = f"{first}_merged-{len(paths)}_{last}"
    merged = write_file(directory, name, unique)
    for path in paths:
        if path != merged:
            path.unlink()
    return len(table) - len(unique)

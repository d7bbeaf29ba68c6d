"""The log's Parquet files: `<home>/<kind>/<service>/day=YYYY-MM-DD/<name>.parquet`, each there whole or not at all."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["DAY", "day_directories", "day_of", "files_of", "locked", "replace_file", "write_file"]

DAY = "day="
_ROW_GROUP_ROWS = 128 * 1024


def day_directories(home: Path, kind: str, service: str) -> list[Path]:
    """Folders of a service's days, oldest first."""
    return sorted((home / kind / service).glob(f"{DAY}*"))


def day_of(directory: Path) -> date | None:
    """Read a folder's day; None for a folder that is none."""
    try:
        return date.fromisoformat(directory.name.removeprefix(DAY))
    except ValueError:
        return None


def files_of(directory: Path) -> list[Path]:
    """Files of a day, in the order of their names."""
    return sorted(directory.glob("*.parquet"))


def write_file(directory: Path, name: str, table: pa.Table) -> Path:
    """Write a file that is durable when this returns, in the place of one with the same name. Raises OSError."""
    if not directory.is_dir():
        directory.mkdir(parents=True)
        _sync_directory(directory.parent)
    path = directory / f"{name}.parquet"
    replace_file(path, table)
    return path


def replace_file(path: Path, table: pa.Table) -> None:
    """Put a table in the place of a file; a reader sees the one or the other. Raises OSError."""
    # No reader takes it for a file of the log.
    unfinished = path.with_name(f".{path.stem}.unfinished")
    try:
        with unfinished.open("wb") as file:
            pq.write_table(table, file, compression="zstd", row_group_size=_ROW_GROUP_ROWS)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


@contextmanager
def locked(home: Path, name: str, *, shared: bool = False) -> Iterator[None]:
    """Hold one of the log's locks; who wants it otherwise waits."""
    directory = home / "run"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f"prediction-log-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

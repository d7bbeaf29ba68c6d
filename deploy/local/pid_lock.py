"""A lock that names its holder: at most one supervisor, and one `make up`, a home."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["LockHeldError", "holder", "pid_lock"]


class LockHeldError(RuntimeError):
    """Another process has the lock."""


@contextmanager
def pid_lock(path: Path, patience_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock. Raises `LockHeldError`; the kernel lets go when the process dies, however it dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience_seconds
    with path.open("a+") as file:
        while not _taken(file):
            if time.monotonic() >= deadline:
                raise LockHeldError(f"another process holds {path}")
            time.sleep(0.05)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def holder(path: Path) -> int | None:
    """Process id of the holder, or None if there is none."""
    if not path.exists():
        return None
    with path.open("r") as file:
        while not _taken(file):
            file.seek(0)
            if pid := file.read().strip():
                return int(pid)
            time.sleep(0.01)  # it has the lock and is about to write, or to let go
    return None


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""Logs of bounded size, written by the processes themselves: no pipe that a dead or slow reader could block."""

import shutil
from pathlib import Path
from typing import BinaryIO

__all__ = ["LOG_LIMIT_BYTES", "bound", "open_log", "tail"]

LOG_LIMIT_BYTES = 10_000_000
"""A log grows to this, one older generation is kept beside it."""


def open_log(path: Path) -> BinaryIO:
    """Open for append, so that truncation by `bound` does not leave a hole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab", buffering=0)


def bound(path: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
    """Copy a log that has outgrown the limit to `<name>.1` and empty it; its writer keeps its file descriptor."""
    if path.exists() and path.stat().st_size > limit_bytes:
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        with path.open("r+b") as file:
            file.truncate(0)


def tail(path: Path, lines: int = 20) -> list[str]:
    """Return the last lines of a log; empty if there is none."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64_000))
        return file.read().decode(errors="replace").splitlines()[-lines:]

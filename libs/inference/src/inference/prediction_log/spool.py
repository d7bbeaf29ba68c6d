"""Messages on disk until somebody takes them: bounded, in order, outliving the process that wrote them.

Each process writes into a folder of its own, which it holds locked (`flock`). A folder whose lock is free belonged to
a process that is gone, and whoever finds it takes its files over. What is written survives a kill of the process at
once; with `sync` it survives a loss of power too.
"""

import fcntl
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inference.prediction_log.spool_frames import Frame, pack, packed_bytes, scan

__all__ = ["Chunk", "Spool", "rewrite_abandoned"]

_SUFFIX = ".frames"
_LOCK = "lock"
_SEGMENT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Chunk:
    """The oldest frames, to be given back by `Spool.release` when they are safe elsewhere."""

    frames: tuple[Frame, ...]
    segment: Path
    end: int
    damaged_bytes: int


class Spool:
    """The spool of one process. One thread at a time."""

    def __init__(self, root: Path, bytes_max: int, *, segment_bytes: int = _SEGMENT_BYTES) -> None:
        """Open a new folder under `root`. Raises OSError."""
        self._root = root
        self._bytes_max = bytes_max
        self._segment_bytes = segment_bytes
        root.mkdir(parents=True, exist_ok=True)
        self._directory = root / f"{time.time_ns() // 1_000_000}-{os.getpid()}-{secrets.token_hex(4)}"
        # Locked before it has the name under which others would find it unlocked.
        unfinished = root / f".{self._directory.name}"
        unfinished.mkdir()
        self._lock = os.open(unfinished / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unfinished.rename(self._directory)
        _sync_directory(root)
        self._sealed: deque[Path] = deque()
        self._active: Path | None = None
        self._active_bytes = 0
        self._offset = 0
        self._number = 0
        self.bytes = 0
        """On disk, and not yet released."""
        self.damaged_bytes = 0
        """Of frames that could not be read, so far."""
        self.since: float | None = None
        """When the spool was last empty, seconds since the epoch; None while it is."""

    def append(self, frames: Sequence[Frame], *, sync: bool = False) -> int:
        """Keep the first frames that fit under the bound, and say how many. Raises OSError, having kept none."""
        room, count = self._bytes_max - self.bytes, 0
        while count < len(frames) and packed_bytes(frames[count]) <= room:
            room -= packed_bytes(frames[count])
            count += 1
        if count == 0:
            return 0
        if self._active is None or self._active_bytes >= self._segment_bytes:
            self._seal()
        segment = self._active or self._new_segment()
        content = pack(frames[:count])
        self._write(segment, content, sync=sync)
        self._active_bytes += len(content)
        self.bytes += len(content)
        if self.since is None:
            self.since = time.time()
        return count

    def oldest(self) -> Chunk | None:
        """Give the oldest frames, a file at most; None if there are none. Raises OSError."""
        while (segment := self._sealed[0] if self._sealed else self._active) is not None:
            with segment.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
            end = self._offset + len(content)
            found = scan(content)
            chunk = Chunk(found.frames, segment, end, found.damaged_bytes)
            if found.frames:
                return chunk
            if segment == self._active:
                return None
            self.release(chunk)
        return None

    def release(self, chunk: Chunk) -> None:
        """Forget a chunk: it is safe elsewhere. A kill before that gives its frames to somebody twice."""
        self.bytes = max(self.bytes - (chunk.end - self._offset), 0)
        self.damaged_bytes += chunk.damaged_bytes
        if chunk.segment.stat().st_size > chunk.end:
            # More was written meanwhile.
            self._offset = chunk.end
        elif chunk.segment == self._active:
            # Emptied and not removed: the next frame costs no new file.
            os.truncate(chunk.segment, 0)
            self._active_bytes = self._offset = 0
        else:
            chunk.segment.unlink()
            self._sealed.popleft()
            self._offset = 0
        if self.bytes == 0:
            self.since = None

    def adopt(self) -> int:
        """Take over what processes that are gone left, and say how many bytes. Raises OSError."""
        taken = 0
        for directory in _others(self._root, self._directory):
            with _abandoned(directory) as is_abandoned:
                if not is_abandoned:
                    continue
                for segment in sorted(directory.glob(f"*{_SUFFIX}")):
                    taken += self._take_over(segment)
                (directory / _LOCK).unlink()
                directory.rmdir()
        self.bytes += taken
        return taken

    def close(self) -> None:
        """Make what is left durable, and let others take it over. Raises OSError."""
        try:
            if self._active is not None:
                _sync(self._active)
            if self.bytes == 0:
                for segment in self._directory.glob(f"*{_SUFFIX}"):
                    segment.unlink()
                (self._directory / _LOCK).unlink()
                self._directory.rmdir()
        finally:
            os.close(self._lock)

    def _seal(self) -> None:
        if self._active is not None:
            self._sealed.append(self._active)
            self._active, self._active_bytes = None, 0

    def _take_over(self, segment: Path) -> int:
        stat = segment.stat()
        if stat.st_size == 0:
            segment.unlink()
            return 0
        if self._active_bytes:
            # What is read is the front of the queue, and stays so.
            self._seal()
        self.since = min(self.since or stat.st_mtime, stat.st_mtime)
        self._sealed.append(segment.rename(self._next_path()))
        return stat.st_size

    def _new_segment(self) -> Path:
        segment = self._next_path()
        segment.touch(0o600)
        _sync_directory(self._directory)
        self._active, self._active_bytes = segment, 0
        return segment

    def _next_path(self) -> Path:
        self._number += 1
        return self._directory / f"{self._number:08}{_SUFFIX}"

    def _write(self, segment: Path, content: bytes, *, sync: bool) -> None:
        try:
            with segment.open("ab", buffering=0) as file:
                view = memoryview(content)
                while view:
                    view = view[file.write(view) :]
                if sync:
                    os.fdatasync(file.fileno())
        except OSError:
            # A full disk leaves half a frame, which nobody was promised.
            try:
                os.truncate(segment, self._active_bytes)
            except OSError:
                self._seal()
            raise


def rewrite_abandoned(root: Path, change: Callable[[Frame], Frame | None]) -> tuple[int, int]:
    """Put every frame through `change` in the folders that no process holds; None leaves it out.

    Gives how many folders were rewritten, and how many are held by processes and were not. Raises OSError.
    """
    rewritten = held = 0
    for directory in _others(root, None):
        with _abandoned(directory) as is_abandoned:
            held += not is_abandoned
            if not is_abandoned:
                continue
            for segment in sorted(directory.glob(f"*{_SUFFIX}")):
                before = scan(segment.read_bytes()).frames
                after = [changed for changed in map(change, before) if changed is not None]
                if list(before) != after:
                    unfinished = segment.with_suffix(".unfinished")
                    unfinished.write_bytes(pack(after))
                    _sync(unfinished)
                    unfinished.replace(segment)
            rewritten += 1
    return rewritten, held


def _others(root: Path, own: Path | None) -> list[Path]:
    if not root.is_dir():
        return []
    return [path for path in sorted(root.iterdir()) if path != own and path.is_dir() and not path.name.startswith(".")]


@contextmanager
def _abandoned(directory: Path) -> Iterator[bool]:
    """Hold the lock of a folder if nobody else does."""
    try:
        lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        # Another has taken it over at this moment.
        yield False
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one who held it a moment ago may have emptied and removed it.
            is_abandoned = (directory / _LOCK).exists()
        except BlockingIOError:
            is_abandoned = False
        yield is_abandoned
    finally:
        os.close(lock)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

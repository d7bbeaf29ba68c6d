"""The file that remembers which alias moved when, shared by the processes of a machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

from inference.promotion import Promotion, merge

__all__ = ["PromotionHistory"]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Promotion)


class PromotionHistory:
    """A file of JSON lines a model. Every process appends what it saw; what is one move is found at reading.

    Appending holds a lock, reading needs none: a line is whole when its end is there, and the file is only ever
    replaced by a whole one. The newest `kept` lines stay.
    """

    def __init__(self, directory: Path, model: str, *, kept: int = 5000) -> None:
        """Touch nothing yet."""
        self._path = directory / f"{quote(model, safe='')}.jsonl"
        self._kept = kept

    def append(self, promotion: Promotion) -> None:
        """Write durably. Blocks: call it in a thread, one call at a time, or the order is lost."""
        line = _encoder.encode(promotion) + b"\n"
        with self._locked():
            content = self._content()
            if content and not content.endswith(b"\n"):
                # A line that a crash left unfinished must not swallow this one.
                line = b"\n" + line
            with self._path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            if content.count(b"\n") >= 2 * self._kept:
                self._cut()

    def read(self, limit: int = 100, before: str | None = None) -> list[Promotion]:
        """Give at most `limit` moves, newest first: the newest, or those older than the move of id `before`. Blocks."""
        moves = merge(_decoded(self._content()))[::-1]
        return [one for one in moves if before is None or one.id < before][:limit]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A file of its own, as the history itself is replaced when it is cut.
        with self._path.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _content(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""

    def _cut(self) -> None:
        lines = self._content().splitlines(keepends=True)
        written = self._path.with_suffix(".cut")
        with written.open("wb") as file:
            file.writelines(lines[-self._kept :])
            file.flush()
            os.fsync(file.fileno())
        written.replace(self._path)


def _decoded(content: bytes) -> list[Promotion]:
    found: list[Promotion] = []
    for line in content.splitlines():
        try:
            found.append(_decoder.decode(line))
        except msgspec.DecodeError:
            continue
    return found

"""Content encodings of streams: bodies unfold and fold piece by piece, so that memory stays bounded."""

import zlib
from collections.abc import Iterator, Mapping
from typing import Protocol

import zstandard

from serving.problems import Problem, problem

__all__ = ["Folding", "folding_of", "unfold", "unfolding_of"]

_GZIP = 31
_LEVEL = 1
_PIECE = 256 * 1024
_SLICE = 1024
"""zstd gives no bound on what a piece unfolds to: so many bytes hold at most 256 blocks of 128 KB."""
_WINDOW_MAX = 8 * 1024 * 1024
_RATIO_MAX = 200
_FREE = 1024 * 1024
"""Bytes that may come of however little."""


class Unfolding(Protocol):
    """Takes a content encoding off."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Unfold the next bytes. Raises the problems 400 and 413."""
        ...

    def end(self) -> None:
        """Raise the 400 problem if the body is not complete."""
        ...


class Folding(Protocol):
    """Puts a content encoding on."""

    name: bytes

    def fold(self, data: bytes, *, last: bool) -> bytes:
        """Fold the next bytes, so that the receiver can unfold all of them."""
        ...


class _Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        if data:
            yield data

    def end(self) -> None:
        return


class _Bounded:
    """Refuses a body that unfolds to more than any honest one does."""

    def __init__(self) -> None:
        self._taken = 0
        self._given = 0

    def _check(self, unfolded: bytes) -> bytes:
        self._given += len(unfolded)
        if self._given > _FREE + _RATIO_MAX * self._taken:
            raise problem(Problem.TOO_LARGE, f"The body unfolds to more than {_RATIO_MAX} times its size.")
        return unfolded


class _Gunzip(_Bounded):
    def __init__(self) -> None:
        super().__init__()
        self._stream = zlib.decompressobj(_GZIP)

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._taken += len(data)
        try:
            while data:
                if self._stream.eof:
                    # RFC 1952, section 2.2: members may follow one another.
                    self._stream = zlib.decompressobj(_GZIP)
                unfolded = self._stream.decompress(data, _PIECE)
                data = self._stream.unused_data or self._stream.unconsumed_tail
                if unfolded:
                    yield self._check(unfolded)
        except zlib.error:
            raise _broken() from None

    def end(self) -> None:
        if not self._stream.eof:
            raise _broken()


class _Unzstd(_Bounded):
    def __init__(self) -> None:
        super().__init__()
        self._stream = self._new()

    @staticmethod
    def _new() -> "zstandard.ZstdDecompressionObj":
        return zstandard.ZstdDecompressor(max_window_size=_WINDOW_MAX).decompressobj()

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            for start in range(0, len(data), _SLICE):
                piece = data[start : start + _SLICE]
                self._taken += len(piece)
                while piece:
                    if self._stream.eof:
                        self._stream = self._new()
                    unfolded = self._stream.decompress(piece)
                    piece = self._stream.unused_data if self._stream.eof else b""
                    if unfolded:
                        yield self._check(unfolded)
        except zstandard.ZstdError:
            raise _broken() from None

    def end(self) -> None:
        if not self._stream.eof:
            raise _broken()


class _GzipFolding:
    name = b"gzip"

    def __init__(self) -> None:
        self._stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)

    def fold(self, data: bytes, *, last: bool) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


class _ZstdFolding:
    name = b"zstd"

    def __init__(self) -> None:
        self._stream = zstandard.ZstdCompressor(level=_LEVEL).compressobj()

    def fold(self, data: bytes, *, last: bool) -> bytes:
        end = zstandard.COMPRESSOBJ_FLUSH_FINISH if last else zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return self._stream.compress(data) + self._stream.flush(end)


def unfolding_of(headers: Mapping[bytes, bytes]) -> Unfolding:
    """Choose by `Content-Encoding`; raises the 415 problem."""
    match headers.get(b"content-encoding", b"identity").strip().lower():
        case b"" | b"identity":
            return _Plain()
        case b"gzip" | b"x-gzip":
            return _Gunzip()
        case b"zstd":
            return _Unzstd()
        case _:
            raise problem(Problem.MEDIA_TYPE, "Content encodings: gzip, zstd, identity.")


def folding_of(headers: Mapping[bytes, bytes]) -> Folding | None:
    """Choose by `Accept-Encoding`: zstd before gzip, None for neither."""
    allowed = set()
    for entry in headers.get(b"accept-encoding", b"").lower().split(b","):
        name, _, parameters = entry.partition(b";")
        if parameters.strip().replace(b" ", b"") not in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}:
            allowed.add(name.strip())
    if b"zstd" in allowed:
        return _ZstdFolding()
    return _GzipFolding() if b"gzip" in allowed else None


def unfold(body: bytes, unfolding: Unfolding, bytes_max: int) -> bytes:
    """Unfold a whole body; raises the problems 400 and 413."""
    pieces: list[bytes] = []
    size = 0
    for piece in unfolding.feed(body):
        size += len(piece)
        if size > bytes_max:
            raise problem(Problem.TOO_LARGE, f"At most {bytes_max} bytes.")
        pieces.append(piece)
    unfolding.end()
    return b"".join(pieces)


def _broken() -> Exception:
    return problem(Problem.MALFORMED, "The body does not have the content encoding that it declares.")

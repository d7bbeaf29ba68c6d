"""Frames of a spool file: magic, length, rows and CRC-32, then the message.

A kill tears at most the last frame; what follows a damaged one is found again by the magic.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Frame", "Scan", "pack", "packed_bytes", "scan"]

_MAGIC = b"\xf5OF\x01"
_HEAD = struct.Struct("<4sIII")
_NUMBERS = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Frame:
    """A message of so many rows."""

    message: bytes
    rows: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What stands in a piece of a file."""

    frames: tuple[Frame, ...]
    damaged_bytes: int
    """Bytes that belong to no whole frame: torn by a kill, or changed on the disk."""


def packed_bytes(frame: Frame) -> int:
    """Size of a frame on disk."""
    return _HEAD.size + len(frame.message)


def pack(frames: Iterable[Frame]) -> bytes:
    """Put frames one after another."""
    parts: list[bytes] = []
    for frame in frames:
        check = zlib.crc32(frame.message, zlib.crc32(_NUMBERS.pack(len(frame.message), frame.rows)))
        parts += (_HEAD.pack(_MAGIC, len(frame.message), frame.rows, check), frame.message)
    return b"".join(parts)


def scan(data: bytes) -> Scan:
    """Find every whole frame."""
    frames: list[Frame] = []
    good = position = 0
    while (position := data.find(_MAGIC, position)) >= 0:
        end = _end_of_frame(data, position)
        if end is None:
            position += 1
            continue
        _, length, rows, _ = _HEAD.unpack_from(data, position)
        frames.append(Frame(data[end - length : end], rows))
        good += end - position
        position = end
    return Scan(tuple(frames), len(data) - good)


def _end_of_frame(data: bytes, position: int) -> int | None:
    if len(data) - position < _HEAD.size:
        return None
    _, length, rows, check = _HEAD.unpack_from(data, position)
    start = position + _HEAD.size
    if start + length > len(data):
        return None
    message = memoryview(data)[start : start + length]
    return start + length if zlib.crc32(message, zlib.crc32(_NUMBERS.pack(length, rows))) == check else None

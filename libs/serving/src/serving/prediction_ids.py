"""Prediction ids: UUID version 7 (RFC 9562, section 5.7), so that they sort by time."""

import time
from os import register_at_fork, urandom

import numpy as np

__all__ = ["prediction_id", "prediction_id_text", "prediction_ids"]

_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype=np.uint8).reshape(256, 2)
_LENGTH = 36
_DASHES = (8, 13, 18, 23)
_DIGITS = np.array([column for column in range(_LENGTH) if column not in _DASHES])


class _Randomness:
    """Random bytes ten at a time, for one system call in 400."""

    __slots__ = ("_bytes", "_used")

    def __init__(self) -> None:
        self._bytes = b""
        self._used = 0

    def take(self) -> int:
        """80 random bits."""
        start = self._used
        if start >= len(self._bytes):
            self._bytes, start = urandom(4000), 0
        self._used = start + 10
        return int.from_bytes(self._bytes[start : self._used])

    def forget(self) -> None:
        """Throw away what is left: a forked process would repeat it."""
        self._bytes = b""
        self._used = 0


_randomness = _Randomness()
register_at_fork(after_in_child=_randomness.forget)


def prediction_id() -> str:
    """One new id. Not for several threads at once."""
    random = _randomness.take()
    high = (time.time_ns() // 1_000_000) << 16 | 0x7000 | random >> 68
    low = 1 << 63 | random & (1 << 62) - 1
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def prediction_ids(count: int) -> list[str]:
    """`count` new ids of the same millisecond; about 0.2 µs each, where `prediction_id` takes 1 µs."""
    joined = prediction_id_text(count).decode("ascii")
    return [joined[start : start + _LENGTH] for start in range(0, _LENGTH * count, _LENGTH)]


def prediction_id_text(count: int) -> bytes:
    """`count` new ids, 36 characters each, without anything between them."""
    raw = np.frombuffer(urandom(16 * count), dtype=np.uint8).reshape(count, 16).copy()
    raw[:, :6] = np.frombuffer((time.time_ns() // 1_000_000).to_bytes(6), dtype=np.uint8)
    raw[:, 6] = raw[:, 6] & 0x0F | 0x70
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    text = np.full((count, _LENGTH), ord("-"), dtype=np.uint8)
    text[:, _DIGITS] = _HEX[raw].reshape(count, 32)
    return text.tobytes()

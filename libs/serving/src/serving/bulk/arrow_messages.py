"""The messages of an Arrow IPC stream, cut out of bytes as they come.

pyarrow's reader pulls from a file and blocks; this cuts by the framing alone (Arrow columnar format, "Encapsulated
message format"), which needs two fields of the flatbuffer `Message`: its header and `bodyLength`.
"""

import struct
from dataclasses import dataclass
from typing import Literal

from serving.problems import Problem, problem

__all__ = ["ArrowMessage", "MessageCutter"]

_CONTINUATION = b"\xff\xff\xff\xff"
_KINDS: dict[int, Literal["schema", "dictionary", "rows"]] = {1: "schema", 2: "dictionary", 3: "rows"}
_RECORD_BATCH, _COMPRESSION = 3, 3
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3


@dataclass(frozen=True, slots=True)
class ArrowMessage:
    """One message with its framing and body."""

    kind: Literal["schema", "dictionary", "rows"]
    content: bytes


class MessageCutter:
    """Cuts messages. Raises the problems 400, 413."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = bytearray()
        self._wanted = 8
        self.is_ended = False
        """The end-of-stream mark has come."""

    @property
    def is_between(self) -> bool:
        """No message is half here."""
        return not self._bytes

    def feed(self, data: bytes) -> list[ArrowMessage]:
        """Take bytes, and give the messages that are complete."""
        found: list[ArrowMessage] = []
        self._bytes += data
        while len(self._bytes) >= self._wanted and not self.is_ended:
            if self._bytes[:4] != _CONTINUATION:
                raise malformed()
            metadata_bytes = int.from_bytes(self._bytes[4:8], "little")
            if metadata_bytes == 0:
                self.is_ended = True
                del self._bytes[:8]
                break
            self._need(8 + metadata_bytes)
            if len(self._bytes) < self._wanted:
                break
            kind, body_bytes = _described(bytes(self._bytes[8 : 8 + metadata_bytes]))
            self._need(8 + metadata_bytes + body_bytes)
            if len(self._bytes) < self._wanted:
                break
            found.append(ArrowMessage(kind, bytes(self._bytes[: self._wanted])))
            del self._bytes[: self._wanted]
            self._wanted = 8
        if self.is_ended and self._bytes:
            raise malformed()
        return found

    def _need(self, size: int) -> None:
        if size > self._bytes_max:
            raise problem(Problem.TOO_LARGE, f"An Arrow message has at most {self._bytes_max} bytes.")
        self._wanted = size


def malformed() -> Exception:
    """Make the 400 problem."""
    return problem(Problem.MALFORMED, "The body is not an Arrow IPC stream.")


def _described(metadata: bytes) -> tuple[Literal["schema", "dictionary", "rows"], int]:
    """Read kind and length of the body."""
    try:
        message = struct.unpack_from("<I", metadata)[0]
        kind = metadata[_field(metadata, message, _HEADER_TYPE)]
        at = _field(metadata, message, _BODY_LENGTH)
        body_bytes = struct.unpack_from("<q", metadata, at)[0] if at else 0
        if kind == _RECORD_BATCH:
            at = _field(metadata, message, _HEADER)
            header = at + struct.unpack_from("<I", metadata, at)[0]
            if _field(metadata, header, _COMPRESSION):
                # A few bytes could unfold to gigabytes, and pyarrow would not ask.
                raise problem(Problem.INVALID, "Send Arrow buffers uncompressed, and a Content-Encoding instead.")
        known = _KINDS.get(kind)
    except (struct.error, IndexError):
        raise malformed() from None
    if known is None or body_bytes < 0:
        raise malformed()
    return known, body_bytes


def _field(data: bytes, table: int, number: int) -> int:
    """Find a field of a flatbuffer table; 0 if it is absent."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0 or 4 + 2 * number >= struct.unpack_from("<H", data, vtable)[0]:
        return 0
    offset: int = struct.unpack_from("<H", data, vtable + 4 + 2 * number)[0]
    return table + offset if offset else 0

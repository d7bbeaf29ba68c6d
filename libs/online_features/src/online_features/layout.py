"""The packed value: one feature view row of one entity, little endian.

    offset  size  what
    0       1     magic 0xF5
    1       1     layout version (1)
    2       6     schema fingerprint: first 6 bytes of sha256 over the columns' names and types
    8       8     event timestamp, int64 microseconds since the epoch (UTC)
    16      8     created timestamp, the same; INT64_MIN where the source has none
    24      8·k   null bitmap, bit i of byte i // 8 is column i (in the schema's order)
    …             fixed columns grouped by width, each group in the schema's order:
                  `f8` Double · `i8` Int64, UnixTimestamp (seconds) · `hash` of String values · `f4` Float ·
                  `i4` Int32 · `length` u32 of each variable value in bytes · `u1` Bool
    …             zeros up to a multiple of 8
    …             variable values one after the other, in the schema's order

Fixed parts of many rows, joined, are one numpy array of `Layout.dtype`: thousands of rows decode by one copy a group.
A String keeps, beside its text in the variable part, a 64-bit hash (BLAKE2b-8) in the fixed part, so that categories
are compared as integers too. An interned dictionary would be smaller by some bytes a value, but rows, the dictionary
and readers would have to agree under concurrent writers; a hash needs no agreement, and two of 10⁴ distinct strings
collide with a probability below 10⁻¹¹.

Variable values: String, Json, Uuid, TimeUuid, Decimal as UTF-8; Bytes raw; lists of numbers as their elements; every
other type as a serialised `feast.types.Value`.
"""

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["HEADER_BYTES", "LIST_DTYPES", "NO_TIME", "TEXT_TYPES", "Column", "Layout", "event_time_us", "string_hash"]

MAGIC: Final = 0xF5
VERSION: Final = 1
HEADER_BYTES: Final = 24
NO_TIME: Final = -(2**63)

FIXED_GROUPS: Final = {
    "Double": "f8",
    "Int64": "i8",
    "UnixTimestamp": "i8",
    "Float": "f4",
    "Int32": "i4",
    "Bool": "u1",
}
TEXT_TYPES: Final = frozenset({"String", "Json", "Uuid", "TimeUuid", "Decimal"})
LIST_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "DoubleList": np.dtype("<f8"),
    "FloatList": np.dtype("<f4"),
    "Int64List": np.dtype("<i8"),
    "UnixTimestampList": np.dtype("<i8"),
    "Int32List": np.dtype("<i4"),
    "BoolList": np.dtype("?"),
}
_GROUP_ORDER: Final = ("f8", "i8", "hash", "f4", "i4", "length", "u1")
_GROUP_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "f8": np.dtype("<f8"),
    "i8": np.dtype("<i8"),
    "hash": np.dtype("<u8"),
    "f4": np.dtype("<f4"),
    "i4": np.dtype("<i4"),
    "length": np.dtype("<u4"),
    "u1": np.dtype("u1"),
}


def string_hash(text: str) -> int:
    """BLAKE2b with an 8-byte digest, read little endian."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a layout."""

    name: str
    type: str
    """Feast's value type, `Int64`, `Double`, `StringList`, …"""
    index: int
    """Its bit in the null bitmap."""
    group: str
    """The fixed group of its value; `length` for variable values."""
    position: int
    """Where in that group."""
    hash_position: int = -1
    """Where in the `hash` group; -1 if the column is no String."""

    @property
    def variable(self) -> bool:
        """Whether the value stands in the variable part."""
        return self.group == "length"


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows of one schema are packed. Build it with `Layout.of`."""

    columns: tuple[Column, ...]
    fingerprint: str
    """12 hexadecimal digits."""
    head: int
    """The first 8 bytes of each row as an unsigned number."""
    dtype: np.dtype[np.void]
    """The fixed part of a row."""
    widths: dict[str, int]
    """Columns in each fixed group."""
    row: struct.Struct = field(repr=False)
    """The fixed part for one row at a time: head, event, created, null bitmap (bytes), then the groups."""
    _starts: dict[str, int] = field(repr=False)

    @classmethod
    def of(cls, columns: Sequence[tuple[str, str]]) -> "Layout":
        """Lay out columns given as (name, Feast value type name)."""
        widths = dict.fromkeys(_GROUP_ORDER, 0)
        placed: list[Column] = []
        for index, (name, type_) in enumerate(columns):
            group = FIXED_GROUPS.get(type_, "length")
            hash_position = -1
            if type_ == "String":
                hash_position = widths["hash"]
                widths["hash"] += 1
            placed.append(Column(name, type_, index, group, widths[group], hash_position))
            widths[group] += 1
        null_bytes = 8 * -(-len(placed) // 64)
        groups = [(group, widths[group]) for group in _GROUP_ORDER if widths[group]]
        digest = hashlib.sha256(json.dumps([list(column) for column in columns]).encode()).digest()[:6]
        # "4x" in a format string is the same padding as a void field in the dtype.
        used = HEADER_BYTES + null_bytes + sum(_GROUP_DTYPES[group].itemsize * width for group, width in groups)
        padding = -used % 8
        fields: list[tuple[str, Any] | tuple[str, Any, tuple[int, ...]]] = [
            ("head", "<u8"),
            ("event", "<i8"),
            ("created", "<i8"),
            ("nulls", "u1", (null_bytes,)),
            *((group, _GROUP_DTYPES[group], (width,)) for group, width in groups),
            ("padding", f"V{padding}"),
        ]
        formats = {"f8": "d", "i8": "q", "hash": "Q", "f4": "f", "i4": "i", "length": "I", "u1": "B"}
        row = struct.Struct(f"<Qqq{null_bytes}s" + "".join(f"{width}{formats[group]}" for group, width in groups))
        starts: dict[str, int] = {}
        start = 4
        for group, width in groups:
            starts[group] = start
            start += width
        return cls(
            columns=tuple(placed),
            fingerprint=digest.hex(),
            head=int.from_bytes(bytes([MAGIC, VERSION]) + digest, "little"),
            dtype=np.dtype([f for f in fields if f[0] != "padding" or padding]),
            widths=widths,
            row=row,
            _starts=starts,
        )

    @property
    def fixed_bytes(self) -> int:
        """Size of the fixed part, a multiple of 8."""
        return self.dtype.itemsize

    def column(self, name: str) -> Column | None:
        """The column of that name, if there is one."""
        return next((column for column in self.columns if column.name == name), None)

    def place(self, column: Column, *, hashed: bool = False) -> int:
        """Index of a column's value (or length, or hash) in the tuple that `row` unpacks."""
        if hashed:
            return self._starts["hash"] + column.hash_position
        return self._starts[column.group] + column.position

    def rows(self, fixed: bytes) -> NDArray[np.void]:
        """Joined fixed parts as a structured array."""
        return np.frombuffer(fixed, dtype=self.dtype)

    def values(self, packed: bytes) -> list[Any]:
        """One row as Python values in column order, None for null.

        Text is str; Bytes and the serialised `Value` of other types are bytes; lists of numbers are lists.
        """
        fields = self.row.unpack_from(packed)
        nulls = int.from_bytes(fields[3], "little")
        values: list[Any] = []
        offset = self.fixed_bytes
        for column in self.columns:
            value = fields[self.place(column)]
            if column.variable:
                raw = packed[offset : offset + value]
                offset += value
                value = _variable(column.type, raw)
            elif column.group == "u1":
                value = bool(value)
            values.append(None if nulls >> column.index & 1 else value)
        return values


def fingerprint_of(packed: bytes) -> str:
    """The fingerprint that a packed value names. Raises ValueError if it is none of this version."""
    if len(packed) < HEADER_BYTES or packed[0] != MAGIC or packed[1] != VERSION:
        raise ValueError("not a packed feature row of a version that this reader knows")
    return packed[2:8].hex()


def event_time_us(packed: bytes) -> int:
    """Event timestamp of a packed value."""
    return int.from_bytes(packed[8:16], "little", signed=True)


def _variable(type_: str, raw: bytes) -> object:
    if type_ in TEXT_TYPES:
        return raw.decode()
    if type_ in LIST_DTYPES:
        return np.frombuffer(raw, LIST_DTYPES[type_]).tolist()
    return raw

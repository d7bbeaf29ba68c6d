"""Counts in a file that outlives its process: what a worker counted stays counted when it is killed.

Each worker maps a file of its own, and whoever is scraped adds up all of them. An increment is a store to memory, and
takes a fiftieth of what a Prometheus client's counter does. A worker that takes a dead one's place goes on in its file.
"""

import mmap
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import msgspec

__all__ = ["Cells", "Ledger", "SeriesKey"]

_CAPACITY = 8 * 1024 * 1024
_USED = struct.Struct("<Q")
_RECORD = struct.Struct("<II")

Cells: TypeAlias = "memoryview[float]"
"""float64 numbers; `cells[i] += 1` counts."""


class SeriesKey(msgspec.Struct, frozen=True, array_like=True):
    """What a row of numbers is."""

    family: str
    labels: tuple[str, ...] = ()
    spread: tuple[str, ...] = ()
    """Values of the family's last label where the row holds a number for each."""


@dataclass(slots=True)
class _Record:
    key: SeriesKey
    cells: Cells


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SeriesKey)


@dataclass(slots=True)
class Ledger:
    """One process's numbers, and the way to those of its siblings. Belongs to one thread."""

    directory: Path | None = None
    """Shared by the workers of one service; None keeps the numbers in this process."""
    worker: int = 0
    dropped: int = 0
    """Rows of numbers that found no room; they are counted, and not exported."""
    _map: mmap.mmap = field(init=False)
    _cells: dict[SeriesKey, Cells] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.directory is None:
            self._map = mmap.mmap(-1, _CAPACITY)
            _USED.pack_into(self._map, 0, _USED.size)
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{self.worker}.counts"
        with path.open("a+b") as file:
            file.truncate(_CAPACITY)
            self._map = mmap.mmap(file.fileno(), _CAPACITY)
        if _USED.unpack_from(self._map, 0)[0] < _USED.size:
            _USED.pack_into(self._map, 0, _USED.size)
        self._cells = {record.key: record.cells for record in _records(self._map)}

    def cells(
        self, family: str, labels: tuple[str, ...] = (), *, width: int = 1, spread: tuple[str, ...] = ()
    ) -> Cells:
        """Give the numbers of a series, zeros when it is new. `width` counts where `spread` names nothing."""
        key = SeriesKey(family, labels, spread)
        found = self._cells.get(key)
        if found is None:
            found = self._cells[key] = self._append(key, len(spread) or width)
        return found

    def own(self) -> list[tuple[SeriesKey, Cells]]:
        """Series of this worker."""
        return list(self._cells.items())

    def all(self) -> Iterator[tuple[SeriesKey, Cells]]:
        """Every series of every worker, this one's as of now."""
        yield from self.own()
        if self.directory is None:
            return
        for path in sorted(self.directory.glob("*.counts")):
            if path.stem == str(self.worker):
                continue
            with suppress(OSError, ValueError), path.open("rb") as file:
                content = mmap.mmap(file.fileno(), _CAPACITY, access=mmap.ACCESS_READ)
                for record in _records(content):
                    yield record.key, record.cells

    def _append(self, key: SeriesKey, width: int) -> Cells:
        name = _encoder.encode(key)
        (start,) = _USED.unpack_from(self._map, 0)
        first = _aligned(start + _RECORD.size + len(name))
        end = first + 8 * width
        if end > _CAPACITY:
            self.dropped += 1
            return memoryview(bytearray(8 * width)).cast("d")
        _RECORD.pack_into(self._map, start, len(name), width)
        self._map[start + _RECORD.size : start + _RECORD.size + len(name)] = name
        # Last: until then a sibling that reads sees nothing of the new record.
        _USED.pack_into(self._map, 0, end)
        return memoryview(self._map)[first:end].cast("d")


def _records(content: mmap.mmap) -> Iterator[_Record]:
    view = memoryview(content)
    (used,) = _USED.unpack_from(content, 0)
    start = _USED.size
    while start < used:
        length, width = _RECORD.unpack_from(content, start)
        first = _aligned(start + _RECORD.size + length)
        key = _decoder.decode(view[start + _RECORD.size : start + _RECORD.size + length])
        start = first + 8 * width
        yield _Record(key, view[first:start].cast("d"))


def _aligned(position: int) -> int:
    return (position + 7) & ~7

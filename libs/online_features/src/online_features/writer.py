"""The writer: record batches in, packed values out, the newest row of an entity kept.

A block of rows becomes, without Python for a row, one EVALSHA for each 256 keys. The script compares the stored event
and created timestamps with the new ones and sets only what is as new or newer, so that concurrent writers need no lock
and a late one never overwrites newer values. Scripts stay this short because a server runs nothing else meanwhile:
256 keys take it about a millisecond.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from online_features.keys import KEY_END, key_slot, view_key_prefix
from online_features.layout import Layout
from online_features.packing import ProtoEncoder, RowSource, entity_texts, pack_rows

__all__ = ["NEWEST_WINS", "NEWEST_WINS_SHA", "PackedWriter", "ScriptSender"]

# One MGET and one MSET are twice as fast as GETRANGE and SET for each key. Timestamps are compared in halves since
# Lua's numbers are doubles. An equal stamp overwrites: materialising again after a view changed must take effect.
NEWEST_WINS: Final = """
local olds = redis.call('MGET', unpack(KEYS))
local ttl = tonumber(ARGV[1])
local sets, n = {}, 0
for i, key in ipairs(KEYS) do
  local old, new = olds[i], ARGV[i + 1]
  local newer = true
  if old and #old >= 24 then
    local a, b, c, d = struct.unpack('<I4i4I4i4', old, 9)
    local e, f, g, h = struct.unpack('<I4i4I4i4', new, 9)
    if f ~= b then newer = f > b
    elseif e ~= a then newer = e > a
    elseif h ~= d then newer = h > d
    else newer = g >= c end
  end
  if newer then
    if ttl > 0 then
      redis.call('SET', key, new, 'EX', ttl)
    else
      sets[n + 1], sets[n + 2] = key, new
    end
    n = n + 2
  end
end
if n > 0 and ttl == 0 then redis.call('MSET', unpack(sets)) end
return n / 2
"""
NEWEST_WINS_SHA: Final = hashlib.sha1(NEWEST_WINS.encode(), usedforsecurity=False).hexdigest()
_BLOCK_ROWS = 8192
_KEYS_A_CALL = 256


class ScriptSender(Protocol):
    """Delivers ready-made EVALSHA commands; `sync_links` implements it."""

    @property
    def cluster(self) -> bool:
        """Whether the keys of a command must share a slot."""
        ...

    def send(self, frames: list[tuple[bytes, int]]) -> int:
        """Send (command, slot) pairs, wait for all replies, return their sum."""
        ...


@dataclass(frozen=True, slots=True)
class PackedWriter:
    """Writes rows of one view."""

    sender: ScriptSender
    project: str
    view: str
    layout: Layout
    key_ttl_seconds: int
    """0: keys do not expire."""
    encode: ProtoEncoder

    def write(
        self,
        batches: Iterable[pa.RecordBatch],
        source: RowSource,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Write rows, return how many were the newest of their entity. Holds two blocks of 8,192 rows at most.

        One block is packed while the one before it is sent.
        """
        written = 0
        with ThreadPoolExecutor(1, thread_name_prefix="packed-writer") as thread:
            sending: Future[int] | None = None
            for block in _blocks(batches):
                frames = self._frames(block, source)
                if sending is not None:
                    written += sending.result()
                sending = thread.submit(self.sender.send, frames)
                if progress is not None:
                    progress(block.num_rows)
            if sending is not None:
                written += sending.result()
        return written

    def _frames(self, block: pa.RecordBatch, source: RowSource) -> list[tuple[bytes, int]]:
        entities = entity_texts(block, source.join_keys)
        prefix = view_key_prefix(self.project, self.view)
        raw = pa.types.is_binary(entities.type)
        ends = (prefix.encode(), KEY_END.encode(), b"") if raw else (prefix, KEY_END, "")
        keys = pc.binary_join_element_wise(ends[0], entities, ends[1], ends[2])
        keys = keys if raw else keys.view(pa.binary())
        values = pack_rows(self.layout, block, source, self.encode)
        if len(pc.unique(keys)) < len(keys):
            keep = pa.array(_newest(keys, values))
            keys, values = keys.take(keep), values.take(keep)
        if not self.sender.cluster:
            starts = np.arange(0, len(keys), _KEYS_A_CALL)
            slots = np.zeros(len(starts), dtype=np.int64)
        else:
            slot_of = np.array([key_slot(key) for key in keys.to_pylist()])
            order = np.argsort(slot_of, kind="stable")
            keys, values = keys.take(pa.array(order)), values.take(pa.array(order))
            slots, starts = np.unique(slot_of[order], return_index=True)
        return list(self._commands(_bulk_strings(keys), _bulk_strings(values), starts, slots))

    def _commands(
        self, keys: pa.Array, values: pa.Array, starts: NDArray[np.intp], slots: NDArray[np.int64]
    ) -> Iterator[tuple[bytes, int]]:
        key_bytes, key_offsets = _data(keys)
        value_bytes, value_offsets = _data(values)
        ttl = str(self.key_ttl_seconds).encode()
        bounds = [*starts.tolist(), len(keys)]
        for start, stop, slot in zip(bounds[:-1], bounds[1:], slots.tolist(), strict=True):
            for first in range(start, stop, _KEYS_A_CALL):
                last = min(first + _KEYS_A_CALL, stop)
                count = str(last - first).encode()
                yield (
                    b"".join(
                        (
                            b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n" % (2 * (last - first) + 4),
                            NEWEST_WINS_SHA.encode(),
                            b"\r\n$%d\r\n%b\r\n" % (len(count), count),
                            key_bytes[key_offsets[first] : key_offsets[last]],
                            b"$%d\r\n%b\r\n" % (len(ttl), ttl),
                            value_bytes[value_offsets[first] : value_offsets[last]],
                        )
                    ),
                    slot,
                )


def _blocks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Blocks of at most `_BLOCK_ROWS`; small batches are put together."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _BLOCK_ROWS):
            part = batch.slice(start, _BLOCK_ROWS)
            if rows and rows + part.num_rows > _BLOCK_ROWS:
                yield _joined(waiting)
                waiting, rows = [], 0
            waiting.append(part)
            rows += part.num_rows
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _newest(keys: pa.Array, values: pa.Array) -> NDArray[np.intp]:
    """Row of each key with the newest stamp, the last one where they are equal."""
    codes = pc.dictionary_encode(keys).indices.to_numpy()
    data, offsets = _data(values)
    stamps = np.array([np.frombuffer(data, "<i8", 2, offset + 8) for offset in offsets[:-1]]).reshape(-1, 2)
    order = np.lexsort((np.arange(len(codes)), stamps[:, 1], stamps[:, 0], codes))
    last = np.flatnonzero(np.append(codes[order][1:] != codes[order][:-1], True))
    return np.sort(order[last])


def _bulk_strings(values: pa.Array) -> pa.Array:
    """RESP bulk strings of binary values."""
    lengths = pc.cast(pc.binary_length(values), pa.string()).view(pa.binary())
    return pc.binary_join_element_wise(pc.binary_join_element_wise(b"$", lengths, b"\r\n", b""), values, b"\r\n", b"")


def _data(values: pa.Array) -> tuple[memoryview, list[int]]:
    """The bytes of a binary array and the offsets of its values."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    return memoryview(data if data is not None else b""), bounds.tolist()

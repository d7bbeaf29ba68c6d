"""The writer: record batches in, packed values out, the newest row of an entity kept.

A block of rows becomes, without Python for a row, one command for each 256 keys. An EVALSHA compares the stored event
and created timestamps with the new ones and sets only what is as new or newer, so that concurrent writers need no lock
and a late one never overwrites newer values. Scripts stay this short because a server runs nothing else meanwhile:
256 keys take it about a millisecond. Where the store has none of the keys yet there is nothing to compare, and MSETNX,
which sets all keys or none, takes the server a fifth of that; so a view is filled by it until it meets a known key.
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

    def send(self, frames: list[tuple[bytes, int]]) -> list[int]:
        """Send (command, slot) pairs and return the replies, in order."""
        ...


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The rows of one command, as RESP."""

    keys: bytes
    values: bytes
    pairs: bytes
    """Key, value, key, value, …; empty where nobody asks for them."""
    rows: int
    slot: int


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
        # MSETNX knows no expiry.
        is_fresh = self.key_ttl_seconds == 0
        with ThreadPoolExecutor(1, thread_name_prefix="packed-writer") as thread:
            sending: Future[tuple[int, bool]] | None = None
            for block in _blocks(batches):
                chunks = self._chunks(block, source, with_pairs=is_fresh)
                if sending is not None:
                    count, is_fresh = sending.result()
                    written += count
                sending = thread.submit(self._send, chunks, is_fresh=is_fresh)
                if progress is not None:
                    progress(block.num_rows)
            if sending is not None:
                written += sending.result()[0]
        return written

    def _send(self, chunks: list[_Chunk], *, is_fresh: bool) -> tuple[int, bool]:
        """Send a block; gives the rows written, and whether all of them were the first of their entities."""
        written = 0
        known = chunks
        if is_fresh:
            replies = self.sender.send([(_set_if_absent(chunk), chunk.slot) for chunk in chunks])
            known = [chunk for chunk, was_set in zip(chunks, replies, strict=True) if not was_set]
            written = sum(chunk.rows for chunk in chunks) - sum(chunk.rows for chunk in known)
        if known:
            ttl = str(self.key_ttl_seconds).encode()
            written += sum(self.sender.send([(_set_if_newer(chunk, ttl), chunk.slot) for chunk in known]))
        return written, is_fresh and not known

    def _chunks(self, block: pa.RecordBatch, source: RowSource, *, with_pairs: bool) -> list[_Chunk]:
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
        return list(_chunks(_bulk_strings(keys), _bulk_strings(values), starts, slots, with_pairs=with_pairs))


def _chunks(
    keys: pa.Array, values: pa.Array, starts: NDArray[np.intp], slots: NDArray[np.int64], *, with_pairs: bool
) -> Iterator[_Chunk]:
    parts = [_data(keys), _data(values)]
    if with_pairs:
        parts.append(_data(pc.binary_join_element_wise(keys, values, b"")))
    bounds = [*starts.tolist(), len(keys)]
    for start, stop, slot in zip(bounds[:-1], bounds[1:], slots.tolist(), strict=True):
        for first in range(start, stop, _KEYS_A_CALL):
            last = min(first + _KEYS_A_CALL, stop)
            key, value, *pair = (bytes(content[offsets[first] : offsets[last]]) for content, offsets in parts)
            yield _Chunk(key, value, pair[0] if pair else b"", last - first, slot)


def _set_if_absent(chunk: _Chunk) -> bytes:
    return b"*%d\r\n$6\r\nMSETNX\r\n%b" % (2 * chunk.rows + 1, chunk.pairs)


def _set_if_newer(chunk: _Chunk, ttl: bytes) -> bytes:
    count = b"%d" % chunk.rows
    return b"".join(
        (
            b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%b" % (2 * chunk.rows + 4, NEWEST_WINS_SHA.encode()),
            b"\r\n$%d\r\n%b\r\n" % (len(count), count),
            chunk.keys,
            b"$%d\r\n%b\r\n" % (len(ttl), ttl),
            chunk.values,
        )
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

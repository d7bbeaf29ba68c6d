"""Pools: all ids of an entity as one Redis value, so that a shortlist can start from everybody.

`<project>:pool:<name>` holds, little endian: magic `P1`, u16 zero, u32 number of ids, u32 length of each id in UTF-8
bytes if all are equally long or else 0; then, where they are not, u32 length of each id; then the ids. A write replaces
the value in one command, so a reader sees the old pool or the new one.
"""

import struct
from collections.abc import Sequence

import numpy as np

from inference.errors import FeatureStoreError
from online_features.keys import pool_key
from online_features.links import Link, open_link

__all__ = ["decode_pool", "encode_pool", "read_pool", "write_pool"]

_HEADER = struct.Struct("<2sHII")
_MAGIC = b"P1"


def encode_pool(ids: Sequence[str]) -> bytes:
    """Pack ids, order kept."""
    encoded = [id_.encode() for id_ in ids]
    lengths = np.fromiter(map(len, encoded), dtype="<u4", count=len(encoded))
    equal = int(lengths[0]) if len(ids) and (lengths == lengths[0]).all() else 0
    header = _HEADER.pack(_MAGIC, 0, len(ids), equal)
    return header + (b"" if equal else lengths.tobytes()) + b"".join(encoded)


def decode_pool(packed: bytes) -> list[str]:
    """Unpack ids. Raises `FeatureStoreError` for a value that is no pool."""
    if len(packed) < _HEADER.size or packed[:2] != _MAGIC:
        raise FeatureStoreError("the pool in the online store is not of a form that this version knows")
    _, _, count, equal = _HEADER.unpack_from(packed)
    if equal and packed[_HEADER.size :].isascii():
        text = packed[_HEADER.size :].decode("ascii")
        return [text[start : start + equal] for start in range(0, len(text), equal)]
    start = _HEADER.size if equal else _HEADER.size + 4 * count
    lengths = np.full(count, equal) if equal else np.frombuffer(packed, "<u4", count, _HEADER.size)
    ends = (start + np.cumsum(lengths, dtype=np.int64)).tolist()
    return [packed[first:last].decode() for first, last in zip([start, *ends][:count], ends, strict=True)]


async def write_pool(redis_url: str, project: str, name: str, ids: Sequence[str], *, link: Link | None = None) -> None:
    """Replace a pool. Raises `FeatureStoreError`."""
    used = link or open_link(redis_url)
    try:
        await used.set(pool_key(project, name), encode_pool(ids))
    finally:
        if link is None:
            await used.close()


async def read_pool(redis_url: str, project: str, name: str, *, link: Link | None = None) -> list[str]:
    """Ids of a pool; empty if nobody wrote it. Raises `FeatureStoreError`."""
    used = link or open_link(redis_url)
    try:
        packed = await used.get(pool_key(project, name))
    finally:
        if link is None:
            await used.close()
    return [] if packed is None else decode_pool(packed)

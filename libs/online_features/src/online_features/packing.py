"""From Arrow columns to packed values, a block of rows at a time and no Python for a row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from online_features.layout import LIST_DTYPES, NO_TIME, TEXT_TYPES, Column, Layout, string_hash

__all__ = ["ProtoEncoder", "RowSource", "entity_texts", "pack_rows", "stamps_us"]

ProtoEncoder = Callable[[pa.Array, str], pa.Array]
"""Values of a Feast type that has no encoding of its own to serialised `feast.types.Value`; null stays null."""

_FIXED_ARROW = {
    "Double": pa.float64(),
    "Float": pa.float32(),
    "Int64": pa.int64(),
    "Int32": pa.int32(),
    "Bool": pa.bool_(),
}
_LIST_ITEMS = {
    "DoubleList": pa.float64(),
    "FloatList": pa.float32(),
    "Int64List": pa.int64(),
    "UnixTimestampList": pa.int64(),
    "Int32List": pa.int32(),
    "BoolList": pa.uint8(),
}


@dataclass(frozen=True, slots=True)
class RowSource:
    """Which columns of a record batch are what."""

    join_keys: tuple[str, ...]
    """Sorted; empty for a view without entities."""
    event_timestamp: str
    created_timestamp: str | None
    nan_is_null: bool
    """True for tables: pandas, and with it Feast's materialisation, holds null numbers as NaN."""


def entity_texts(batch: pa.RecordBatch, join_keys: Sequence[str]) -> pa.Array:
    """The entity part of each row's key (see `keys`). Raises ValueError for a null join key."""
    if not join_keys:
        return pa.array([""] * batch.num_rows, pa.string())
    texts: list[pa.Array] = []
    for key in join_keys:
        column = _as_seconds(_plain(batch.column(key)))
        if column.null_count:
            raise ValueError(f"join key {key} is null in some rows")
        texts.append(column if pa.types.is_binary(column.type) else pc.cast(column, pa.string()))
    if len(texts) == 1:
        return texts[0]
    parts: list[pa.Array | bytes] = []
    for text in texts:
        length = pc.cast(pc.binary_length(text), pa.string())
        parts += (pc.cast(length, pa.binary()), b":", pc.cast(text, pa.binary()))
    return pc.binary_join_element_wise(*parts, b"")


def stamps_us(column: pa.Array) -> NDArray[np.int64]:
    """Timestamps as microseconds since the epoch, `NO_TIME` for null; naive ones are UTC."""
    column = _plain(column)
    if not pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.timestamp("us"))
    micros = pc.cast(pc.cast(column, pa.timestamp("us", column.type.tz), safe=False), pa.int64())
    return _numpy(pc.fill_null(micros, NO_TIME))


def pack_rows(layout: Layout, batch: pa.RecordBatch, source: RowSource, encode: ProtoEncoder) -> pa.Array:
    """Packed values (binary, n) of a block of rows. Raises ValueError where a column does not fit its type."""
    n = batch.num_rows
    rows = np.zeros(n, dtype=layout.dtype)
    rows["head"] = layout.head
    rows["event"] = stamps_us(batch.column(source.event_timestamp))
    has_created = source.created_timestamp is not None
    rows["created"] = stamps_us(batch.column(source.created_timestamp)) if has_created else NO_TIME
    nulls = np.zeros((n, rows["nulls"].shape[1] * 8), dtype=np.bool_)
    tail: list[pa.Array] = []
    for column in layout.columns:
        values = _plain(batch.column(column.name))
        try:
            if column.variable:
                tail.append(_pack_variable(rows, nulls, column, values, encode))
            else:
                _pack_fixed(rows, nulls, column, values)
                if source.nan_is_null and column.group in {"f8", "f4"}:
                    nulls[:, column.index] = np.isnan(rows[column.group][:, column.position])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise ValueError(f"feature {column.name} ({values.type}) does not fit {column.type}") from error
    rows["nulls"] = np.packbits(nulls, axis=1, bitorder="little")
    offsets = np.arange(n + 1, dtype=np.int32) * layout.fixed_bytes
    fixed = pa.Array.from_buffers(pa.binary(), n, [None, pa.py_buffer(offsets), pa.py_buffer(rows)])
    return pc.binary_join_element_wise(fixed, *tail, b"") if tail else fixed


def _pack_fixed(rows: NDArray[np.void], nulls: NDArray[np.bool_], column: Column, values: pa.Array) -> None:
    values = _as_seconds(values)
    wanted = _FIXED_ARROW.get(column.type, pa.int64())
    if values.type != wanted:
        if pa.types.is_floating(values.type) and not pa.types.is_floating(wanted):
            # pandas holds nullable integers as floats with NaN.
            values = _nan_to_null(values)
            if pa.types.is_boolean(wanted):
                values = pc.not_equal(values, pa.scalar(0, values.type))
        # float64 to float32 rounds, as protobuf does; all else must be exact.
        values = pc.cast(values, wanted, safe=not pa.types.is_float32(wanted))
    cells = rows[column.group][:, column.position]
    if values.null_count:
        is_null = _numpy(pc.is_null(values))
        nulls[:, column.index] = is_null
        filler = np.nan if pa.types.is_floating(wanted) else pa.scalar(0, pa.int8()).cast(wanted)
        values = pc.fill_null(values, filler)
    cells[:] = _numpy(values)


def _pack_variable(
    rows: NDArray[np.void], nulls: NDArray[np.bool_], column: Column, values: pa.Array, encode: ProtoEncoder
) -> pa.Array:
    if column.type in TEXT_TYPES:
        raw = pc.cast(values, pa.string())
        if column.type == "String":
            rows["hash"][:, column.hash_position] = _hashes(raw)
        raw = raw.view(pa.binary())
    elif column.type == "Bytes":
        raw = pc.cast(values, pa.binary())
    elif column.type in LIST_DTYPES and pa.types.is_list(values.type) and not values.flatten().null_count:
        raw = _list_bytes(values, column.type)
    else:
        raw = encode(values, column.type)
    if raw.null_count:
        nulls[:, column.index] = _numpy(pc.is_null(raw))
        raw = pc.fill_null(raw, b"")
    rows["length"][:, column.position] = _numpy(pc.binary_length(raw))
    return raw


def _hashes(text: pa.Array) -> NDArray[np.uint64]:
    """Hash of each string, computed once for each distinct one; 0 for null."""
    encoded = pc.dictionary_encode(text)
    distinct = np.array([string_hash(value) for value in encoded.dictionary.to_pylist()] + [0], dtype=np.uint64)
    hashes: NDArray[np.uint64] = distinct[_numpy(pc.fill_null(encoded.indices, len(distinct) - 1))]
    return hashes


def _list_bytes(values: pa.Array, type_: str) -> pa.Array:
    """Each list's elements as bytes, without copying the elements more than once."""
    items = _as_seconds(values.flatten())
    if type_ == "BoolList":
        items = pc.cast(items, pa.bool_())
    items = np.ascontiguousarray(_numpy(pc.cast(items, _LIST_ITEMS[type_], safe=type_ != "FloatList")))
    sizes = _numpy(pc.fill_null(pc.list_value_length(values), 0)).astype(np.int64) * items.itemsize
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(sizes, out=offsets[1:])
    validity = None
    if values.null_count:
        present = np.packbits(_numpy(pc.is_valid(values)), bitorder="little")
        validity = pa.py_buffer(np.ascontiguousarray(present))
    return pa.Array.from_buffers(pa.binary(), len(values), [validity, pa.py_buffer(offsets), pa.py_buffer(items)])


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array of a plain type: no chunks, dictionaries, large or view offsets."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
    type_ = column.type
    if pa.types.is_dictionary(type_):
        column = column.dictionary_decode()
        type_ = column.type
    if pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return pc.cast(column, pa.string())
    if pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_) or pa.types.is_binary_view(type_):
        return pc.cast(column, pa.binary())
    if pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        return pc.cast(column, pa.list_(type_.value_type))
    return column


def _as_seconds(values: pa.Array) -> pa.Array:
    """Timestamps and dates as whole seconds, which is Feast's unit; other types as they are."""
    if pa.types.is_timestamp(values.type):
        micros = pc.cast(pc.cast(values, pa.timestamp("us", values.type.tz), safe=False), pa.int64())
        # Integer division truncates towards zero, as Feast does.
        return pc.divide(micros, 1_000_000)
    if pa.types.is_date(values.type):
        return _as_seconds(pc.cast(values, pa.timestamp("us")))
    return values


def _nan_to_null(values: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)


def _numpy(values: pa.Array) -> NDArray[Any]:
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array

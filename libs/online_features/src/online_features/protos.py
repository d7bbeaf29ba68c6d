"""Between Feast's protobuf values and what the layout holds."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import VALUE_TYPE_TO_PROTO_VALUE_MAP, python_values_to_proto_values
from feast.value_type import ValueType

from online_features.keys import entity_text
from online_features.layout import LIST_DTYPES, NO_TIME, TEXT_TYPES, Column, Layout

__all__ = [
    "CREATED",
    "ENTITY",
    "EVENT",
    "encode_protos",
    "entity_of",
    "proto_batch",
    "row_protos",
    "type_name",
    "value_type_of",
]

ENTITY: Final = "__entity"
EVENT: Final = "__event_timestamp"
CREATED: Final = "__created_timestamp"

_ARROW: Final = {
    "Double": pa.float64(),
    "Float": pa.float32(),
    "Int64": pa.int64(),
    "UnixTimestamp": pa.int64(),
    "Int32": pa.int32(),
    "Bool": pa.bool_(),
    "Bytes": pa.binary(),
}
_LIST_ARROW: Final = {
    "DoubleList": pa.list_(pa.float64()),
    "FloatList": pa.list_(pa.float32()),
    "Int64List": pa.list_(pa.int64()),
    "UnixTimestampList": pa.list_(pa.int64()),
    "Int32List": pa.list_(pa.int32()),
    "BoolList": pa.list_(pa.bool_()),
}


def type_name(value_type: ValueType) -> str:
    """`ValueType.INT64_LIST` is `Int64List`."""
    return "".join(part.capitalize() for part in value_type.name.split("_"))


_VALUE_TYPES: Final = {type_name(value_type): value_type for value_type in ValueType}
_FIELDS: Final = {type_name(value_type): field for value_type, field in VALUE_TYPE_TO_PROTO_VALUE_MAP.items()}


def value_type_of(name: str) -> ValueType:
    """The reverse of `type_name`."""
    return _VALUE_TYPES[name]


def entity_of(key: EntityKey) -> str:
    """The entity part of the Redis key."""
    pairs = sorted(zip(key.join_keys, key.entity_values, strict=True))
    return entity_text([_entity_value(value) for _, value in pairs])


def _entity_value(value: Value) -> str:
    field = value.WhichOneof("val")
    if field is None:
        raise ValueError("an entity key has no value")
    plain = getattr(value, field)
    # Latin-1 would change the bytes; surrogates keep those that are no UTF-8.
    return plain.decode(errors="surrogateescape") if isinstance(plain, bytes) else str(plain)


def encode_protos(values: pa.Array, type_: str) -> pa.Array:
    """Arrow values of a type without an encoding of its own as serialised `Value`s; Feast's own conversion."""
    if pa.types.is_binary(values.type) and type_ not in {"PdfBytes", "ImageBytes"}:
        return values
    plain = [_as_feast_expects(value) for value in values.to_pylist()]
    protos = python_values_to_proto_values(plain, value_type_of(type_))
    return pa.array([_serialised(proto) for proto in protos], pa.binary())


def _as_feast_expects(value: object) -> object:
    # Arrow gives a map as a list of pairs.
    if isinstance(value, list) and value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
        return dict(value)
    return value


def _serialised(proto: Value) -> bytes | None:
    return proto.SerializeToString(deterministic=True) if proto.WhichOneof("val") else None


Row = tuple[EntityKey, Mapping[str, Value], datetime, datetime | None]


def proto_batch(layout: Layout, rows: Sequence[Row]) -> pa.RecordBatch:
    """Feast's rows for `online_write_batch` as one record batch with the columns ENTITY, EVENT, CREATED and features.

    Raises ValueError where a value's protobuf type is not that of the feature.
    """
    entities = [entity_of(key).encode(errors="surrogateescape") for key, _, _, _ in rows]
    columns: dict[str, pa.Array] = {
        ENTITY: pa.array(entities, pa.binary()),
        EVENT: pa.array([_micros(event) for _, _, event, _ in rows], pa.timestamp("us", "UTC")),
        CREATED: pa.array(
            [None if created is None else _micros(created) for _, _, _, created in rows], pa.timestamp("us", "UTC")
        ),
    }
    for column in layout.columns:
        columns[column.name] = _proto_column(column, [values.get(column.name) for _, values, _, _ in rows])
    return pa.RecordBatch.from_pydict(columns)


def _proto_column(column: Column, protos: Iterable[Value | None]) -> pa.Array:
    values = [None if proto is None or proto.WhichOneof("val") in {None, "null_val"} else proto for proto in protos]
    if column.variable and column.type not in TEXT_TYPES | LIST_DTYPES.keys() | {"Bytes"}:
        return pa.array([None if proto is None else _serialised(proto) for proto in values], pa.binary())
    field = _FIELDS[column.type]
    for proto in values:
        if proto is not None and proto.WhichOneof("val") != field:
            raise ValueError(f"feature {column.name} is {column.type}, not {proto.WhichOneof('val')}")
    if column.type in LIST_DTYPES:
        lists = [None if proto is None else list(getattr(proto, field).val) for proto in values]
        return pa.array(lists, _LIST_ARROW[column.type])
    plain = [None if proto is None else getattr(proto, field) for proto in values]
    return pa.array(plain, _ARROW.get(column.type, pa.string()))


def _micros(time: datetime) -> int:
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def row_protos(layout: Layout, packed: bytes, wanted: Sequence[str]) -> dict[str, Value]:
    """Wanted features of a packed row; an empty `Value` is a null, or a feature that the row's schema had not."""
    found = dict(zip((column.name for column in layout.columns), layout.values(packed), strict=True))
    types = {column.name: column.type for column in layout.columns}
    return {name: _proto(types.get(name, ""), found.get(name)) for name in wanted}


def _proto(type_: str, value: Any) -> Value:
    if value is None:
        return Value()
    if type_ in LIST_DTYPES:
        proto = Value()
        items = getattr(proto, _FIELDS[type_])
        items.SetInParent()
        items.val.extend(value)
        return proto
    if isinstance(value, bytes) and type_ != "Bytes":
        parsed: Value = Value.FromString(value)
        return parsed
    return Value(**{_FIELDS[type_]: value})


def event_datetime(micros: int) -> datetime:
    """Microseconds since the epoch as an aware datetime."""
    seconds, rest = divmod(micros, 1_000_000)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=rest)


def created_or_none(micros: int) -> int | None:
    """`NO_TIME` is None."""
    return None if micros == NO_TIME else micros

"""Feast's stock Redis store is the oracle: the same projects through both stores give the same values."""

import asyncio
import datetime as dt
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.types import (
    Array,
    Bool,
    Bytes,
    Float32,
    Float64,
    Int32,
    Int64,
    Json,
    Map,
    String,
    Struct,
    UnixTimestamp,
    Uuid,
)
from feast.types import Decimal as FeastDecimal
from feast.types import Set as FeastSet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Feast's and Ibis's own

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT64 = st.floats()
TEXT = st.text(max_size=6)
TIME = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(dt.UTC))
TYPES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (Float64, FLOAT64),
    (Float32, st.floats(width=32)),
    (Int32, INT32),
    (Int64, INT64),
    (Bool, st.booleans()),
    (String, TEXT),
    (Bytes, st.binary(max_size=6)),
    (UnixTimestamp, TIME),
    (Json, st.just('{"a": [1, null]}')),
    (Uuid, st.just(str(uuid.UUID(int=7)))),
    (FeastDecimal, st.just(Decimal("1.50"))),
    (Map, st.dictionaries(TEXT, TEXT, min_size=1, max_size=2)),
    (Struct({"a": Int64}), st.fixed_dictionaries({"a": st.integers(0, 9)})),
    (Array(Float64), st.lists(st.floats(allow_nan=False), min_size=1, max_size=3)),
    (Array(Float32), st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=3)),
    (Array(Int32), st.lists(INT32, min_size=1, max_size=3)),
    (Array(Int64), st.lists(INT64, min_size=1, max_size=3)),
    (Array(Bool), st.lists(st.booleans(), min_size=1, max_size=3)),
    (Array(String), st.lists(TEXT, min_size=1, max_size=3)),
    (Array(Bytes), st.lists(st.binary(max_size=3), min_size=1, max_size=3)),
    (Array(UnixTimestamp), st.lists(TIME, min_size=1, max_size=3)),
    (Array(Array(Int64)), st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=2), min_size=1, max_size=2)),
    (FeastSet(String), st.sets(TEXT, min_size=1, max_size=3)),
    (FeastSet(Int64), st.sets(INT64, min_size=1, max_size=3)),
]
ENTITIES = {
    "s": (ValueType.STRING, st.text(min_size=1, max_size=4)),
    "i": (ValueType.INT64, st.integers(-5, 5)),
    "j": (ValueType.INT32, st.integers(-5, 5)),
}
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class View(NamedTuple):
    entities: list[str]
    types: list[int]
    rows: list[tuple[dict[str, Any], list[Any], int]]


@st.composite
def views(draw: st.DrawFn) -> View:
    entities = draw(st.lists(st.sampled_from(sorted(ENTITIES)), unique=True, max_size=3))
    types = draw(st.lists(st.integers(0, len(TYPES) - 1), min_size=1, max_size=8))
    row = st.tuples(
        st.fixed_dictionaries({entity: ENTITIES[entity][1] for entity in entities}),
        st.tuples(*(st.none() | TYPES[type_][1] for type_ in types)).map(list),
    )
    rows = draw(st.lists(row, max_size=6))
    # Two rows of one instant are each store's own business, and tested for themselves.
    times = draw(st.permutations(range(len(rows))))
    return View(entities, types, [(keys, values, time) for (keys, values), time in zip(rows, times, strict=True)])


def feast_view(name: str, view: View, entities: dict[str, Entity]) -> FeatureView:
    schema = [Field(name=f"f{i}", dtype=TYPES[type_][0]) for i, type_ in enumerate(view.types)]
    return FeatureView(
        name=name,
        entities=[entities[key] for key in view.entities],
        schema=schema,
        source=FileSource(path="nowhere.parquet", timestamp_field="event_timestamp"),
        ttl=dt.timedelta(0),
    )


def protos(view: View) -> list[tuple[EntityKey, dict[str, Value], dt.datetime, None]]:
    rows = []
    for keys, values, minutes in view.rows:
        names = list(keys) or ["__dummy_id"]
        entity_values = [
            python_values_to_proto_values([value], ENTITIES[name][0])[0] for name, value in keys.items()
        ] or [Value(string_val="")]
        features = {
            f"f{i}": Value() if value is None else proto_of(value, TYPES[type_][0])
            for i, (type_, value) in enumerate(zip(view.types, values, strict=True))
        }
        rows.append(
            (
                EntityKey(join_keys=names, entity_values=entity_values),
                features,
                START + dt.timedelta(minutes=minutes),
                None,
            )
        )
    return rows


def proto_of(value: Any, dtype: Any) -> Value:
    if isinstance(value, float) and math.isnan(value):
        return Value(double_val=value) if dtype == Float64 else Value(float_val=value)
    return python_values_to_proto_values([value], dtype.to_value_type())[0]


def answers(response: Any, wanted: list[str]) -> dict[str, list[bytes]]:
    """Values by feature, as deterministic bytes so that NaN is equal to itself."""
    names = list(response.proto.metadata.feature_names.val)
    vectors = dict(zip(names, response.proto.results, strict=True))
    return {name: [v.SerializeToString(deterministic=True) for v in vectors[name].values] for name in wanted}


Make = Callable[..., FeatureStore]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(views(), min_size=1, max_size=2))
def test_any_project_reads_the_same_through_both_stores(valkey: Any, feast_store: Make, generated: list[View]) -> None:
    project = f"p{uuid.uuid4().hex}"
    stock = feast_store(project, {"type": "redis", "connection_string": f"unused:1,unix_socket_path={valkey.socket}"})
    packed = feast_store(project)
    entities = {key: Entity(name=f"e_{key}", join_keys=[key], value_type=kind) for key, (kind, _) in ENTITIES.items()}
    named = {f"v{i}": view for i, view in enumerate(generated)}
    refs, wanted = [], []
    for store in (stock, packed):
        store.apply([*entities.values(), *(feast_view(name, view, entities) for name, view in named.items())])
        for name, view in named.items():
            if view.rows:
                table = store.get_feature_view(name)
                store._get_provider().online_write_batch(store.config, table, protos(view), None)
    keys: list[dict[str, Any]] = [{"s": "nobody", "i": 99, "j": 99}]
    for name, view in named.items():
        refs += [f"{name}:f{i}" for i in range(len(view.types))]
        wanted += [f"{name}__f{i}" for i in range(len(view.types))]
        keys += [{**keys[0], **row[0]} for row in view.rows]
    used = {key for view in generated for key in view.entities} or {"s"}
    rows = [{key: value for key, value in row.items() if key in used} for row in keys]

    def read(store: FeatureStore) -> dict[str, list[bytes]]:
        return answers(store.get_online_features(refs, rows, full_feature_names=True), wanted)

    async def read_async(store: FeatureStore) -> dict[str, list[bytes]]:
        response = await store.get_online_features_async(refs, rows, full_feature_names=True)
        await store._get_provider().online_store.close()
        return answers(response, wanted)

    expected = read(stock)
    assert read(packed) == expected
    assert asyncio.run(read_async(packed)) == expected
    packed.teardown()
    stock.teardown()

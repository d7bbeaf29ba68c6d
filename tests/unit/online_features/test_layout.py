"""Round trips: what the packer writes, the layout and the decoder read back."""

import datetime as dt
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from inference.contract import FeatureSpec
from online_features.category_codes import CategoryCodes
from online_features.decode import ViewDecoder
from online_features.layout import NO_TIME, Layout, event_time_us, fingerprint_of, string_hash
from online_features.packing import RowSource, pack_rows

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT32 = st.floats(width=32, allow_nan=False)
FLOAT64 = st.floats(allow_nan=False)
ARROW: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "Double": (pa.float64(), FLOAT64),
    "Float": (pa.float32(), FLOAT32),
    "Int64": (pa.int64(), INT64),
    "UnixTimestamp": (pa.int64(), INT64),
    "Int32": (pa.int32(), INT32),
    "Bool": (pa.bool_(), st.booleans()),
    "String": (pa.string(), st.text(max_size=8)),
    "Json": (pa.string(), st.just('{"a": 1}')),
    "Bytes": (pa.binary(), st.binary(max_size=8)),
    "DoubleList": (pa.list_(pa.float64()), st.lists(FLOAT64, max_size=3)),
    "FloatList": (pa.list_(pa.float32()), st.lists(FLOAT32, max_size=3)),
    "Int64List": (pa.list_(pa.int64()), st.lists(INT64, max_size=3)),
    "Int32List": (pa.list_(pa.int32()), st.lists(INT32, max_size=3)),
    "BoolList": (pa.list_(pa.bool_()), st.lists(st.booleans(), max_size=3)),
    "StringList": (pa.binary(), st.binary(max_size=8)),  # already serialised
}
SOURCE = RowSource(("id",), "event", "created", nan_is_null=False)
Table = tuple[list[tuple[str, str]], list[dict[str, Any]]]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    types = draw(st.lists(st.sampled_from(sorted(ARROW)), min_size=1, max_size=80))
    columns = [(f"f{i}", type_) for i, type_ in enumerate(types)]
    row = st.fixed_dictionaries({name: st.none() | ARROW[type_][1] for name, type_ in columns})
    return columns, draw(st.lists(row, min_size=1, max_size=6))


def pack(columns: list[tuple[str, str]], rows: list[dict[str, Any]], event_us: int = 5, **source: Any) -> list[bytes]:
    def encode(values: pa.Array, type_: str) -> pa.Array:
        assert pa.types.is_binary(values.type), type_
        return values

    arrays = {name: pa.array([row[name] for row in rows], ARROW[type_][0]) for name, type_ in columns}
    arrays |= {
        "id": pa.array([str(i) for i in range(len(rows))]),
        "event": pa.array([event_us] * len(rows), pa.timestamp("us", "UTC")),
        "created": pa.array([None] * len(rows), pa.timestamp("us")),
    }
    packed: list[bytes] = pack_rows(
        Layout.of(columns), pa.RecordBatch.from_pydict(arrays), source.get("source", SOURCE), encode
    ).to_pylist()
    return packed


@settings(deadline=None, max_examples=60)
@given(tables())
def test_every_value_comes_back(table: Table) -> None:
    columns, rows = table
    layout = Layout.of(columns)

    packed = pack(columns, rows)

    assert [layout.values(value) for value in packed] == [[row[name] for name, _ in columns] for row in rows]
    assert {fingerprint_of(value) for value in packed} == {layout.fingerprint}


@settings(deadline=None, max_examples=60)
@given(tables())
def test_the_matrix_holds_the_same_values_whether_rows_are_decoded_together_or_alone(table: Table) -> None:
    columns, rows = table
    layout = Layout.of(columns)
    categories = tuple(
        sorted({row[name] for row in rows for name, type_ in columns if type_ == "String" and row[name]})
    )
    wanted = [(name, spec(name, type_, categories)) for name, type_ in columns]
    decoder = ViewDecoder.of(layout, wanted)
    packed = pack(columns, rows)

    block = np.full((len(rows), len(columns)), np.nan)
    fixed = decoder.fixed(packed)
    assert fixed is not None
    decoder.fill(block, fixed)

    expected = [[number(row[name], type_, categories) for name, type_ in columns] for row in rows]
    assert_array_equal(block, np.array(expected))
    if decoder.complete:
        assert_array_equal(block, np.array([decoder.row(value)[2] for value in packed]))


def spec(name: str, type_: str, categories: tuple[str, ...]) -> FeatureSpec:
    text = type_ == "String"
    return FeatureSpec(
        name=name,
        reference=f"v:{name}",
        source="stored",
        dtype="category" if text else "float",
        categories=categories if text else (),
    )


def number(value: Any, type_: str, categories: tuple[str, ...]) -> float:
    if type_ == "String":
        return float(categories.index(value)) if value in categories else math.nan
    if type_ not in {"Double", "Float", "Int64", "Int32", "Bool", "UnixTimestamp"}:
        return math.nan
    return math.nan if value is None else float(value)


def test_header_holds_both_times() -> None:
    packed = pack([("f0", "Double")], [{"f0": 1.0}], event_us=-7)[0]

    assert event_time_us(packed) == -7
    assert Layout.of([("f0", "Double")]).rows(packed)["created"].tolist() == [NO_TIME]


def test_rows_of_numbers_are_as_large_as_documented() -> None:
    columns = [(f"f{i}", "Double") for i in range(32)]

    packed = pack(columns, [{name: 0.5 for name, _ in columns}])[0]

    assert len(packed) == 24 + 8 + 32 * 8


def test_nan_in_a_table_is_null_and_in_a_pushed_value_stays_nan() -> None:
    layout = Layout.of([("f0", "Double")])
    from_table = RowSource(("id",), "event", "created", nan_is_null=True)

    assert layout.values(pack([("f0", "Double")], [{"f0": math.nan}], source=from_table)[0]) == [None]
    assert math.isnan(layout.values(pack([("f0", "Double")], [{"f0": math.nan}])[0])[0])


def test_another_schema_has_another_fingerprint() -> None:
    assert Layout.of([("a", "Int64")]).fingerprint != Layout.of([("a", "Int32")]).fingerprint


def test_a_row_of_another_layout_is_refused_by_the_decoder() -> None:
    decoder = ViewDecoder.of(Layout.of([("f0", "Int64")]), [("f0", spec("f0", "Int64", ()))])

    assert decoder.fixed(pack([("f0", "Double")], [{"f0": 1.0}])) is None


def test_a_value_that_does_not_fit_its_type_is_named() -> None:
    batch = pa.RecordBatch.from_pydict(
        {"id": ["a"], "event": [dt.datetime.now(dt.UTC)], "created": [None], "f0": ["text"]},
        pa.schema(
            [("id", pa.string()), ("event", pa.timestamp("us")), ("created", pa.timestamp("us")), ("f0", pa.string())]
        ),
    )

    with pytest.raises(ValueError, match="feature f0"):
        pack_rows(Layout.of([("f0", "Int64")]), batch, SOURCE, lambda values, _: values)


@given(st.lists(st.lists(st.text(max_size=6), unique=True, max_size=60), min_size=1, max_size=4), st.text(max_size=6))
def test_category_codes_are_positions(columns: list[list[str]], other: str) -> None:
    codes = CategoryCodes.of(columns)

    for column, categories in enumerate(columns):
        hashes = np.zeros((len(categories) + 1, len(columns)), dtype=np.uint64)
        hashes[:-1, column] = [string_hash(category) for category in categories]
        hashes[-1, column] = string_hash(other)
        expected = [*range(len(categories)), categories.index(other) if other in categories else math.nan]
        assert_array_equal(codes.codes(hashes)[:, column], expected)

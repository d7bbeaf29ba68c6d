"""Messages of the log say what was handed over, and nothing else is taken for one."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import ModelVersion, ScoredRows, StageTimings
from inference.prediction_log import (
    Feedback,
    LoggedRows,
    Record,
    UnreadableError,
    decode_feedback,
    decode_rows,
    encode_feedback,
    encode_records,
    record_of,
    without_rows,
)
from inference.testing import live_model, tiny_model


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    directory: Path = tmp_path_factory.mktemp("model")
    tiny_model(directory)
    return live_model(directory).version


def uuid7(number: int) -> str:
    return f"01999999-9999-7999-8999-{number:012x}"


def scored(version: ModelVersion, n: int, *, start: int = 0, keyed: bool = True) -> ScoredRows:
    rng = np.random.default_rng(start)
    width = len(version.contract.features)
    features = rng.normal(size=(n, width))
    features[rng.random((n, width)) < 0.2] = np.nan
    raw = rng.normal(size=n)
    decisions = np.array(["domestic", "abroad"], dtype=object)[rng.integers(0, 2, n)]
    return ScoredRows(
        n=n,
        raw=raw,
        columns={"estimate": np.exp(raw), "decision": decisions},
        found=rng.random(n) < 0.8,
        degraded=rng.random(n) < 0.3,
        status=np.zeros((n, len(version.contract.stored)), dtype=np.uint8),
        as_of_us=np.zeros(n, dtype=np.int64),
        keys={"candidate_id": [f"候補{start + row}" for row in range(n)]} if keyed else {},
        features=features,
        matrix=features,
        model=version,
        timings=StageTimings(n, 0, 0, 0),
    )


def decoded(records: Sequence[Record]) -> list[LoggedRows]:
    return [decode_rows(frame.message) for frame in encode_records(records)]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12))
def test_every_row_that_was_found_is_in_a_message_as_it_was_handed_over(
    version: ModelVersion, sizes: list[int]
) -> None:
    batches = [scored(version, n, start=100 * place) for place, n in enumerate(sizes)]
    records = [
        record_of(rows, [uuid7(1000 * place + row) for row in range(rows.n)], f"caller {place % 2}", "/v1/score", place)
        for place, rows in enumerate(batches)
    ]

    (rows,) = decoded(records) if any(batch.found.any() for batch in batches) else [None]

    if rows is None:
        return
    kept = [batch.found for batch in batches]
    expected = [uuid7(1000 * place + row) for place, mask in enumerate(kept) for row in np.flatnonzero(mask)]
    assert rows.prediction_ids == expected
    assert (rows.model, rows.version, rows.alias) == (version.name, version.version, version.alias)
    features = np.concatenate([batch.features[batch.found] for batch in batches])
    assert np.array_equal(rows.values, features, equal_nan=True)
    assert rows.keys["candidate_id"] == [
        batch.keys["candidate_id"][row] for batch in batches for row in np.flatnonzero(batch.found)
    ]
    assert np.array_equal(rows.prediction, np.concatenate([batch.main_output[batch.found] for batch in batches]))
    assert np.array_equal(rows.degraded, np.concatenate([batch.degraded[batch.found] for batch in batches]))
    assert list(rows.outputs["decision"]) == [
        word for batch in batches for word in batch.columns["decision"][batch.found]
    ]
    places = [place for place, mask in enumerate(kept) for _ in range(int(mask.sum()))]
    assert rows.scored_at_us.tolist() == places
    assert rows.callers == [f"caller {place % 2}" for place in places]


def test_ids_come_as_one_text_as_a_list_or_not_at_all(version: ModelVersion) -> None:
    rows = msgspec.structs.replace(scored(version, 3), found=np.ones(3, dtype=np.bool_))
    ids = [uuid7(row) for row in range(3)]
    single = rows.slice(0, 1)

    (joined,) = decoded([record_of(rows, "".join(ids).encode(), "", "", 0)])
    (listed,) = decoded([record_of(rows, ids, "", "", 0)])
    (alone,) = decoded([record_of(single, ids[0], "", "", 0)])
    (own,) = decoded([record_of(rows, None, "", "", 1_790_000_000_000_000)])

    assert joined.prediction_ids == listed.prediction_ids == ids
    assert alone.prediction_ids == ids[:1]
    assert len(set(own.prediction_ids)) == 3
    assert {one[14] for one in own.prediction_ids} == {"7"}


@given(st.permutations(range(8)), st.lists(st.sampled_from(["one", "two"]), min_size=8, max_size=8))
def test_rows_of_a_batch_that_join_a_record_are_each_their_callers(
    version: ModelVersion, order: list[int], callers: list[str]
) -> None:
    batch = msgspec.structs.replace(scored(version, 8), found=np.ones(8, dtype=np.bool_))
    records: list[Record] = []
    for place in order:
        row = batch.slice(place, place + 1)
        if records and records[-1].takes(row, callers[place], "/v1/score"):
            records[-1].add(row.start, uuid7(place))
        else:
            records.append(record_of(row, uuid7(place), callers[place], "/v1/score", 0))

    (rows,) = decoded(records)

    assert len(records) == 1 + sum(callers[one] != callers[next_] for one, next_ in pairwise(order))
    assert rows.prediction_ids == [uuid7(place) for place in order]
    assert rows.callers == [callers[place] for place in order]
    assert rows.keys["candidate_id"] == [batch.keys["candidate_id"][place] for place in order]
    assert np.array_equal(rows.values, batch.features[order], equal_nan=True)
    assert np.array_equal(rows.prediction, batch.main_output[order])
    assert not records[-1].takes(batch, "one", "/v1/score")
    assert not records[-1].takes(scored(version, 8).slice(0, 1), callers[order[-1]], "/v1/score")
    assert not records[-1].takes(batch.slice(0, 1), callers[order[-1]], "/invocations")


def test_rows_of_versions_and_of_callers_without_ids_stand_in_messages_of_their_own(version: ModelVersion) -> None:
    found = np.ones(2, dtype=np.bool_)
    canary = replace(version, alias="challenger")
    batches = [scored(version, 2), scored(canary, 2), scored(version, 2, keyed=False)]

    messages = decoded([record_of(msgspec.structs.replace(rows, found=found), None, "", "", 0) for rows in batches])

    assert sorted((rows.alias, bool(rows.keys)) for rows in messages) == [
        ("challenger", True),
        ("champion", False),
        ("champion", True),
    ]


def test_a_message_has_at_most_8192_rows(version: ModelVersion) -> None:
    rows = msgspec.structs.replace(scored(version, 2000), found=np.ones(2000, dtype=np.bool_))

    messages = decoded([record_of(rows, None, "", "", 0)] * 9)

    assert [part.n for part in messages] == [8000, 8000, 2000]


def test_a_share_is_the_same_rows_each_time(version: ModelVersion) -> None:
    rows = msgspec.structs.replace(scored(version, 1000), found=np.ones(1000, dtype=np.bool_))
    text = [f"01999999-9999-7999-{0x8000 + random.Random(row).getrandbits(14):04x}-{row:012x}" for row in range(1000)]

    (tenth,) = decoded([record_of(rows, text, "", "", 0, share=0.1)])
    (half,) = decoded([record_of(rows, text, "", "", 0, share=0.5)])

    assert 60 < tenth.n < 140
    assert 430 < half.n < 570
    assert set(tenth.prediction_ids) < set(half.prediction_ids) < set(text)
    assert encode_records([record_of(rows, text, "", "", 0, share=0.0)]) == []


def test_rows_can_be_left_out(version: ModelVersion) -> None:
    rows = msgspec.structs.replace(scored(version, 5), found=np.ones(5, dtype=np.bool_))
    (message,) = decoded([record_of(rows, [uuid7(row) for row in range(5)], "", "", 0)])

    left = without_rows(message, np.array([True, False, True, False, False]))

    assert left.prediction_ids == [uuid7(1), uuid7(3), uuid7(4)]
    assert left.keys["candidate_id"] == [message.keys["candidate_id"][row] for row in (1, 3, 4)]
    assert np.array_equal(left.values, message.values[[1, 3, 4]], equal_nan=True)


@given(st.binary(max_size=200))
def test_other_bytes_are_no_message(data: bytes) -> None:
    for message in (data, b"P1" + data):
        with pytest.raises(UnreadableError):
            decode_rows(message)
    for message in (b"P1" + data, b"F1\xc1" + data):
        with pytest.raises(UnreadableError):
            decode_feedback(message)


def test_feedback_comes_back() -> None:
    rows = [Feedback(uuid7(1), 1.0, 5, 6, "batch"), Feedback(uuid7(2), -0.5, 7, 8, "")]

    assert decode_feedback(encode_feedback(rows)) == rows

"""Splitting by time, baselines and figures."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from pipelines.training.declaration import TimeSplit
from pipelines.training.metrics import ndcg_at
from pipelines.training.naive import GroupMedian, MeanLabel
from pipelines.training.splitting import Part, assign_parts

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _rows(times: list[datetime]) -> pa.Table:
    ids = [f"c{i:07d}" for i in range(len(times))]
    return pa.table({"candidate_id": ids, "label_time": pa.array(times, pa.timestamp("us", tz="UTC"))})


def test_a_later_part_has_later_labels() -> None:
    times = [NOON + timedelta(days=(i * 37) % 100) for i in range(100)]

    part = assign_parts(_rows(times), ("candidate_id",), TimeSplit(0.6, 0.1, 0.15))

    days = np.array([(moment - NOON).days for moment in times])
    assert [int((part == p).sum()) for p in Part] == [60, 10, 15, 15]
    for earlier, later in zip(list(Part)[:-1], list(Part)[1:], strict=True):
        assert days[part == earlier].max() < days[part == later].min()


@pytest.mark.parametrize("by", ["time", "random"])
def test_rows_of_one_instant_are_split_by_their_keys_the_same_way_each_time(by: str) -> None:
    rows = _rows([NOON] * 200)
    split = TimeSplit(by=by)  # type: ignore[arg-type]

    first, again = (assign_parts(rows, ("candidate_id",), split) for _ in range(2))
    backwards = assign_parts(rows.take(pa.array(range(199, -1, -1))), ("candidate_id",), split)

    assert np.array_equal(first, again)
    assert np.array_equal(first, backwards[::-1])
    assert not np.array_equal(first, np.sort(first))


def test_the_median_of_a_group_is_said_where_the_group_is_known() -> None:
    train = {"role": np.array([0.0] * 10 + [1.0] * 3), "years": np.array([2.0] * 13)}
    label = np.array([10.0] * 10 + [50.0] * 3)

    said = GroupMedian(by={"role": (), "years": (1.0, 5.0)}).predict(
        train, label, {"role": np.array([0.0, 1.0, np.nan]), "years": np.array([3.0, 3.0, 3.0])}
    )

    assert said.tolist() == [10.0, 10.0, 10.0]
    assert MeanLabel().predict(train, label, {"role": np.zeros(2)}).tolist() == [label.mean()] * 2


def test_a_constant_score_is_worth_what_chance_is_worth() -> None:
    groups, label = np.array([0, 0, 0, 1, 1]), np.array([1.0, 0.0, 0.0, 0.0, 1.0])
    discount = 1 / np.log2(np.arange(3) + 2.0)

    assert ndcg_at(10, groups, label, label) == 1.0
    assert ndcg_at(10, groups, label, np.zeros(5)) == pytest.approx((discount.mean() + discount[:2].mean()) / 2)

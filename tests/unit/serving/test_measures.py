"""Histogram cells: many values at once are counted as one after the other."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from serving.ledger import Ledger
from serving.measures import Distribution, LateTimes

BUCKETS = (0.1, 0.5, 2.0)
VALUES = st.lists(st.one_of(st.floats(0, 5), st.sampled_from(BUCKETS)), max_size=2500)


def counted(count: Callable[[Distribution], None]) -> list[float]:
    cells = Ledger().cells("test", (), width=len(BUCKETS) + 2)
    count(Distribution(cells, BUCKETS))
    return list(cells)


@given(values=VALUES)
def test_late_times_are_counted_as_if_at_once(values: list[float]) -> None:
    def late(distribution: Distribution) -> None:
        times = LateTimes(distribution)
        for value in values:
            times.observe(value)
        times.flush()

    def at_once(distribution: Distribution) -> None:
        for value in values:
            distribution.observe(value)

    *buckets, total = counted(late)
    *expected, expected_total = counted(at_once)

    assert buckets == expected
    assert abs(total - expected_total) < 1e-6

"""Reference bins: every training row is in exactly one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.training.reference_bins import MOST_BINS, category_bins, number_bins

COLUMNS = arrays(
    np.float64,
    st.integers(1, 60),
    elements=st.one_of(st.just(float("nan")), st.integers(-3, 3).map(float), st.floats(-1e6, 1e6)),
)


@given(COLUMNS)
def test_shares_sum_to_one_and_count_each_row_once(values: np.ndarray) -> None:
    bins = number_bins(values)

    assert len(bins.shares) == len(bins.edges) + 2
    assert len(bins.shares) <= MOST_BINS + 2
    assert abs(sum(bins.shares) - 1.0) < 1e-9
    assert list(bins.edges) == sorted(set(bins.edges))
    missing = np.isnan(values)
    assert bins.shares[-1] == missing.mean()
    placed = np.bincount(np.searchsorted(bins.edges, values[~missing], side="right"), minlength=len(bins.edges) + 1)
    assert np.allclose(bins.shares[:-1], placed / len(values))


def test_few_distinct_values_have_a_bin_each() -> None:
    bins = number_bins(np.array([0.0, 0.0, 1.0, 2.0, np.nan]))

    assert bins.edges == (1.0, 2.0)
    assert bins.shares == (0.4, 0.2, 0.2, 0.2)


def test_categories_have_a_bin_each_and_one_for_missing() -> None:
    bins = category_bins(np.array([0.0, 2.0, 2.0, np.nan]), 3)

    assert bins.edges == ()
    assert bins.shares == (0.25, 0.0, 0.5, 0.25)
    assert bins.rows == 4

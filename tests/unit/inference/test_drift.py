"""Drift counts: what falls into which bin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from inference.contract import ReferenceBins
from inference.drift import BinCounts, bin_names
from inference.scored import main_column
from inference.testing import tiny_features, tiny_model

NUMBER = ReferenceBins(edges=(1.0, 2.0, 3.0), shares=(0.2, 0.2, 0.2, 0.2, 0.2), rows=100)
MANY = ReferenceBins(edges=tuple(float(edge) for edge in range(40)), shares=(1 / 42,) * 42, rows=100)
CATEGORY = ReferenceBins(edges=(), shares=(0.2,) * 5, rows=100)
NEVER_SEEN = ReferenceBins(edges=(), shares=(0.0, 1.0), rows=100)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory):
    features = tiny_features()
    made = tiny_model(tmp_path_factory.mktemp("model"), features=features)
    bins = {"role": CATEGORY, "years_experience": NUMBER, "desired_rate_yen": MANY, "commits_90d": NEVER_SEEN}
    binned = tuple(replace(feature, bins=bins.get(feature.name)) for feature in features)
    return replace(made, features=binned, output=replace(made.output, bins=NUMBER))


def _expected(bins: ReferenceBins, values: NDArray[np.float64]) -> list[int]:
    """One value after the other, by the words of `ReferenceBins`."""
    counts = [0] * len(bins.shares)
    for value in values:
        if np.isnan(value):
            counts[-1] += 1
        elif bins.edges:
            counts[sum(edge <= value for edge in bins.edges)] += 1
        else:
            counts[min(int(value), max(len(bins.shares) - 2, 0))] += 1
    return counts


@given(seed=st.integers(0, 10_000), rows=st.integers(0, 1200))
def test_counts_are_those_of_one_value_after_the_other(contract, seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    counts = BinCounts(contract)
    values = rng.integers(-1, 43, (rows, len(contract.features))).astype(np.float64)
    values[:, 0] = rng.integers(0, 4, rows)
    values[:, 4] = 0
    values[rng.random(values.shape) < 0.02] = np.inf
    values[:, [0, 4]] = np.minimum(values[:, [0, 4]], 3)
    values[rng.random(values.shape) < 0.2] = np.nan

    names = [feature.name for feature in contract.features]
    for column, counted in zip(counts.columns, counts.count(values, values[:, 1]), strict=True):
        position = names.index(column.name) if column.name in names else 1
        assert counted.tolist() == _expected(column.bins, values[:, position])


def test_a_contract_without_bins_counts_nothing(contract) -> None:
    bare = replace(
        contract,
        features=tuple(replace(feature, bins=None) for feature in contract.features),
        output=replace(contract.output, bins=None),
    )
    counts = BinCounts(bare)

    assert counts.columns == ()
    assert counts.count(np.zeros((3, len(bare.features))), np.zeros(3)) == []


def test_a_bins_name_is_its_category_or_its_position(contract) -> None:
    by_name = {feature.name: feature for feature in contract.features}

    assert bin_names(CATEGORY, by_name["role"]) == ("backend", "frontend", "designer", "product", "missing")
    assert bin_names(NUMBER, by_name["years_experience"]) == ("0", "1", "2", "3", "missing")


def test_the_main_output_is_the_named_column_else_the_first_number() -> None:
    raw = np.array([9.0])
    columns = {"decision": np.array(["abroad"]), "probability": np.array([0.5]), "other": np.array([0.1])}

    assert main_column("other", columns, raw).tolist() == [0.1]
    assert main_column("absent", columns, raw).tolist() == [0.5]
    assert main_column("absent", {}, raw).tolist() == [9.0]

"""Which of the model's columns are wanting in what a caller gave."""

from pathlib import Path

import pytest

from inference import Contract
from inference.testing import tiny_model
from serving.given_features import named, wanting_columns


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    directory: Path = tmp_path_factory.mktemp("model")
    return tiny_model(directory, on_demand=True)


def test_a_column_that_is_computed_on_demand_is_wanting_only_without_its_inputs(contract: Contract) -> None:
    stored = [feature.name for feature in contract.stored]
    without_rate = [name for name in stored if name != "desired_rate_yen"]

    assert wanting_columns(contract, stored) == []
    assert wanting_columns(contract, [*stored, "rate_per_year"]) == []
    assert wanting_columns(contract, without_rate) == ["desired_rate_yen", "rate_per_year"]
    assert wanting_columns(contract, [*without_rate, "rate_per_year"]) == ["desired_rate_yen"]


def test_a_message_names_some_and_counts_the_others() -> None:
    assert named(["a", "b"]) == "a, b"
    assert named(["a", "b", "c"], shown=1) == "a and 2 more"

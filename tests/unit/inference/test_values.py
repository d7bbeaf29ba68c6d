import math
from pathlib import Path

import numpy as np
import pytest

from inference.contract import Contract, FeatureSpec
from inference.contract_checks import read_contract
from inference.errors import ContractViolationError
from inference.values import encode_columns, encode_overrides, encode_value

SECRET = "a value that must not be echoed"
TIME = FeatureSpec(name="seen_at", reference="candidate_access:seen_at", source="stored", dtype="timestamp")


@pytest.fixture(scope="module")
def contract(model_directory: Path) -> Contract:
    return read_contract((model_directory / "contract.json").read_bytes())


def test_overrides_become_positions_and_floats(contract: Contract) -> None:
    given = {"role": "designer", "years_experience": 3, "has_github": True, "commits_90d": 4.0}

    assert encode_overrides(contract, given) == {0: 2.0, 1: 3.0, 3: 1.0, 4: 4.0}


def test_null_is_missing(contract: Contract) -> None:
    assert math.isnan(encode_overrides(contract, {"role": None})[0])


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("role", SECRET, "one of the contract's categories"),
        ("role", 1, "name of a category"),
        ("years_experience", SECRET, "must be a number"),
        ("years_experience", True, "must be a number"),
        ("years_experience", [1], "must be a number"),
        ("years_experience", -0.5, "at least 0"),
        ("years_experience", 61, "at most 60"),
        ("years_experience", math.inf, "finite"),
        ("years_experience", math.nan, "finite"),
        ("years_experience", 10**400, "finite"),
        ("commits_90d", 1.5, "whole number"),
        ("has_github", 2, "true or false"),
        ("has_github", SECRET, "must be a boolean"),
        ("rate_per_year", 3.0, "is computed"),
    ],
)
def test_what_the_contract_forbids_names_feature_and_rule_but_no_value(
    contract: Contract, name: str, value: object, rule: str
) -> None:
    with pytest.raises(ContractViolationError, match=rule) as caught:
        encode_overrides(contract, {name: value})

    assert caught.value.feature == name
    assert SECRET not in str(caught.value)


def test_an_unknown_name_is_refused_and_not_echoed(contract: Contract) -> None:
    with pytest.raises(ContractViolationError, match="not a feature of this model") as caught:
        encode_overrides(contract, {SECRET: 1})
    with pytest.raises(ContractViolationError):
        encode_columns(contract, {SECRET: [1]})

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "seconds"), [("1970-01-01T00:01:00Z", 60.0), ("1970-01-01T09:01:00+09:00", 60.0), (60, 60.0)]
)
def test_times_are_seconds_since_the_epoch(value: object, seconds: float) -> None:
    assert encode_value(TIME, value) == seconds


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ContractViolationError, match="RFC 3339"):
        encode_value(TIME, "yesterday")


def test_columns_are_encoded_by_kind(contract: Contract) -> None:
    n, columns = encode_columns(contract, {"role": ["backend", None], "years_experience": np.array([1, 2])})

    assert n == 2
    np.testing.assert_array_equal(columns[0], [0.0, np.nan])
    np.testing.assert_array_equal(columns[1], [1.0, 2.0])


@pytest.mark.parametrize(
    ("name", "column", "rule"),
    [
        ("role", np.array([4.0]), "category code"),
        ("role", np.array([0.5]), "category code"),
        ("years_experience", np.array([1.0, 99.0]), "at most 60"),
        ("years_experience", np.array([-1]), "at least 0"),
        ("years_experience", np.array([np.inf]), "finite"),
        ("years_experience", np.array([[1.0]]), "one value a row"),
    ],
)
def test_numeric_columns_keep_the_contract_too(
    contract: Contract, name: str, column: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", rule: str
) -> None:
    with pytest.raises(ContractViolationError, match=rule):
        encode_columns(contract, {name: column})


def test_columns_must_be_of_one_length(contract: Contract) -> None:
    with pytest.raises(ContractViolationError, match="same number of rows"):
        encode_columns(contract, {"role": ["backend"], "years_experience": [1, 2]})
    with pytest.raises(ContractViolationError, match="same number of rows"):
        encode_columns(contract, {})

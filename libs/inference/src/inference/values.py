"""Values that a caller gives, held to the contract and turned into what the model reads."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from inference.contract import Contract, FeatureSpec
from inference.errors import ContractViolationError

__all__ = ["encode_columns", "encode_overrides", "encode_value"]


def encode_overrides(contract: Contract, overrides: Mapping[str, object]) -> dict[int, float]:
    """Give position in `contract.features` to value. Raises `ContractViolationError`.

    Only stored features can be overridden: on-demand features follow from them.
    """
    encoded: dict[int, float] = {}
    for name, value in overrides.items():
        position = contract.position.get(name)
        if position is None:
            # The name is the caller's text, which errors do not echo.
            raise ContractViolationError("features", "holds a name that is not a feature of this model")
        feature = contract.features[position]
        if feature.source == "on_demand":
            raise ContractViolationError(name, "is computed; give the features that it is computed from")
        encoded[position] = encode_value(feature, value)
    return encoded


def encode_columns(
    contract: Contract, values: Mapping[str, Sequence[object] | NDArray[np.generic]]
) -> tuple[int, dict[int, NDArray[np.float64]]]:
    """Give the number of rows, and position in `contract.features` to (n,) values. Raises `ContractViolationError`.

    A numeric array is taken as the model's own values (categories as codes); anything else is encoded value by value.
    """
    encoded: dict[int, NDArray[np.float64]] = {}
    for name, column in values.items():
        position = contract.position.get(name)
        if position is None:
            # The name is the caller's text, which errors do not echo.
            raise ContractViolationError("features", "holds a name that is not a feature of this model")
        encoded[position] = _encode_column(contract.features[position], column)
    lengths = {len(column) for column in encoded.values()}
    if len(lengths) != 1:
        raise ContractViolationError("features", "must all have the same number of rows, and there must be one")
    return lengths.pop(), encoded


def encode_value(feature: FeatureSpec, value: object) -> float:
    """Turn one JSON value into the model's float; None is missing (NaN). Raises `ContractViolationError`."""
    if value is None:
        return math.nan
    match feature.dtype:
        case "category":
            return _category_code(feature, value)
        case "timestamp" if isinstance(value, str):
            return _seconds(feature, value)
        case "bool" if isinstance(value, bool):
            return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ContractViolationError(feature.name, f"must be a {_WORDS[feature.dtype]} or null")
    number = _float(feature, value)
    if feature.dtype == "int" and not number.is_integer():
        raise ContractViolationError(feature.name, "must be a whole number")
    if feature.dtype == "bool" and number not in {0.0, 1.0}:
        raise ContractViolationError(feature.name, "must be true or false")
    _check_bounds(feature, number, number)
    return number


_WORDS = {"float": "number", "int": "whole number", "bool": "boolean", "timestamp": "RFC 3339 time"}


def _encode_column(feature: FeatureSpec, column: Sequence[object] | NDArray[np.generic]) -> NDArray[np.float64]:
    if not isinstance(column, np.ndarray) or column.dtype.kind not in "fiub":
        return np.array([encode_value(feature, value) for value in column], dtype=np.float64)
    if column.ndim != 1:
        raise ContractViolationError(feature.name, "must be one value a row")
    numbers = column.astype(np.float64)
    known = numbers[~np.isnan(numbers)]
    if known.size:
        if not np.isfinite(known).all():
            raise ContractViolationError(feature.name, "must be finite")
        low, high = float(known.min()), float(known.max())
        if feature.dtype == "category" and (low < 0 or high >= len(feature.categories) or np.any(known % 1)):
            raise ContractViolationError(feature.name, "must be a category code of the contract")
        _check_bounds(feature, low, high)
    return numbers


def _float(feature: FeatureSpec, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ContractViolationError(feature.name, "must be finite")
    return number


def _check_bounds(feature: FeatureSpec, low: float, high: float) -> None:
    if feature.minimum is not None and low < feature.minimum:
        raise ContractViolationError(feature.name, f"must be at least {feature.minimum:g}")
    if feature.maximum is not None and high > feature.maximum:
        raise ContractViolationError(feature.name, f"must be at most {feature.maximum:g}")


def _category_code(feature: FeatureSpec, value: object) -> float:
    if not isinstance(value, str):
        raise ContractViolationError(feature.name, "must be the name of a category, or null")
    try:
        return float(feature.categories.index(value))
    except ValueError:
        raise ContractViolationError(feature.name, "must be one of the contract's categories") from None


def _seconds(feature: FeatureSpec, value: str) -> float:
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise ContractViolationError(feature.name, "must be an RFC 3339 time") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()

"""The two models of a service.

`<model>` takes the model's own columns: an input a column, FP64 [-1], by the feature's name. Also accepted are
[-1, 1], every other numeric datatype, BYTES with the contract's words (categories) or RFC 3339 times, an empty element
being a missing value as NaN is; or instead of all of them one numeric [-1, m] tensor `matrix`, columns in the order of
the metadata. A column that is computed on demand may be left out where the features it is computed from are given.

`<model>_by_id` takes the entity keys, an input a join key, BYTES [-1] or [-1, 1], and reads the features from the
store.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference import Contract, ScoredRows
from serving.given_features import named, wanting_columns
from serving.open_inference.messages import TensorMetadata
from serving.open_inference.tensors import Tensor
from serving.problems import Problem, ProblemError, problem
from serving.runtime import Runtime

__all__ = ["InferenceModel", "ModelByKey", "ModelOfFeatures"]

_MATRIX = "matrix"
_ID_CHARACTERS_MAX = 128


class InferenceModel(Protocol):
    """How a model reads its inputs."""

    def inputs(self, contract: Contract) -> tuple[TensorMetadata, ...]:
        """Say which inputs it takes."""
        ...

    async def score(self, runtime: Runtime, contract: Contract, tensors: Mapping[str, Tensor]) -> ScoredRows:
        """Score the rows. Raises the 400 problem for inputs that do not fit, and what the predictor raises."""
        ...


class ModelOfFeatures:
    """`<model>`."""

    def inputs(self, contract: Contract) -> tuple[TensorMetadata, ...]:
        """The booster's columns."""
        return tuple(TensorMetadata(feature.name, "FP64", (-1,)) for feature in contract.inputs)

    async def score(self, runtime: Runtime, contract: Contract, tensors: Mapping[str, Tensor]) -> ScoredRows:
        """Score rows of given features."""
        columns: Mapping[str, Sequence[object] | NDArray[np.generic]]
        if [*tensors] == [_MATRIX]:
            columns = _columns_of_matrix(contract, tensors[_MATRIX])
        else:
            columns = _columns_by_name(contract, tensors)
        _check_rows(len(next(iter(columns.values()))), runtime)
        return await runtime.predictor.score_values(columns)


class ModelByKey:
    """`<model>_by_id`."""

    def inputs(self, contract: Contract) -> tuple[TensorMetadata, ...]:
        """The join keys."""
        return tuple(TensorMetadata(entity, "BYTES", (-1,)) for entity in contract.entities)

    async def score(self, runtime: Runtime, contract: Contract, tensors: Mapping[str, Tensor]) -> ScoredRows:
        """Score rows of the feature store."""
        if set(tensors) != set(contract.entities):
            raise _refused(f"The inputs of this model are: {named(contract.entities)}.")
        rows = {_rows_of(tensor) for tensor in tensors.values()}
        if len(rows) != 1:
            raise _refused("All inputs must have the same number of rows.")
        _check_rows(rows.pop(), runtime)
        keys: dict[str, list[str]] = {}
        for entity in contract.entities:
            words = tensors[entity].words
            if words is None:
                raise _refused(f"{entity} must have the datatype BYTES.")
            if not all(0 < len(word) <= _ID_CHARACTERS_MAX for word in words):
                raise _refused(f"{entity} must have 1 to {_ID_CHARACTERS_MAX} characters.")
            keys[entity] = words
        return await runtime.predictor.score(keys)


def _columns_of_matrix(contract: Contract, tensor: Tensor) -> dict[str, NDArray[np.float64]]:
    width = len(contract.inputs)
    if tensor.numbers is None:
        raise _refused(f"{_MATRIX} must be numeric.")
    if len(tensor.shape) != 2 or tensor.shape[1] != width:
        raise _refused(f"{_MATRIX} must have the shape [-1, {width}].")
    matrix = tensor.numbers.reshape(tensor.shape)
    return {feature.name: matrix[:, column] for column, feature in enumerate(contract.inputs)}


def _columns_by_name(
    contract: Contract, tensors: Mapping[str, Tensor]
) -> dict[str, Sequence[object] | NDArray[np.generic]]:
    if any(name not in contract.position for name in tensors):
        raise _refused("An input is given that is not a feature of this model.")
    wanting = wanting_columns(contract, tensors)
    if wanting:
        raise _refused(f"Inputs are missing: {named(wanting)}.")
    if len({_rows_of(tensor) for tensor in tensors.values()}) != 1:
        raise _refused("All inputs must have the same number of rows.")
    return {name: _column(tensor) for name, tensor in tensors.items()}


def _column(tensor: Tensor) -> Sequence[object] | NDArray[np.generic]:
    if tensor.words is not None:
        return [word or None for word in tensor.words]
    assert tensor.numbers is not None  # noqa: S101  # a tensor has either
    return tensor.numbers


def _rows_of(tensor: Tensor) -> int:
    if len(tensor.shape) == 1 or (len(tensor.shape) == 2 and tensor.shape[1] == 1):
        return tensor.shape[0]
    raise _refused("An input must have the shape [-1] or [-1, 1].")


def _check_rows(rows: int, runtime: Runtime) -> None:
    if rows == 0:
        raise _refused("At least one row.")
    if rows > runtime.settings.bulk_rows_max:
        raise problem(Problem.TOO_LARGE, f"At most {runtime.settings.bulk_rows_max} rows.")


def _refused(detail: str) -> ProblemError:
    return problem(Problem.MALFORMED, detail)

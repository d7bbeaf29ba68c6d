"""What a service makes of a version is tried before the version serves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from inference import Contract, OutputForm, OutputSpec, PostProcess, read_contract
from inference.errors import ContractError, RefusalCode


class Prediction(msgspec.Struct, frozen=True):
    score: float
    decision: str
    margin: float | None


Columns = Mapping[str, NDArray[Any]]


@pytest.fixture(scope="module")
def contract(model_directory: Path) -> Contract:
    return read_contract((model_directory / "contract.json").read_bytes())


def good(raw: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    return {"score": raw, "decision": np.full(len(raw), "yes", dtype=object), "margin": np.full(len(raw), np.nan)}


def giving(**changed: Any) -> PostProcess:
    """Post-process with other columns than the good ones; None leaves a column out."""

    def postprocess(raw: NDArray[np.float64], _: OutputSpec) -> dict[str, NDArray[Any]]:
        columns = {**good(raw), **{name: make and make(raw) for name, make in changed.items()}}
        return {name: column for name, column in columns.items() if column is not None}

    return postprocess


def test_columns_that_the_wire_takes_are_accepted_and_nan_is_null_where_null_may_stand(contract: Contract) -> None:
    form = OutputForm(giving(further=lambda raw: raw), Prediction)

    assert form.check(contract) is None  # type: ignore[func-returns-value]  # that it does not raise


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"margin": None}, "gives no column margin"),
        ({"score": lambda raw: raw[1:]}, r"gives \(15,\) values of score for 16 rows"),
        ({"score": lambda raw: np.zeros((len(raw), 2))}, r"gives \(16, 2\) values of score"),
        ({"score": lambda raw: np.where(raw == raw.max(initial=0), np.nan, raw)}, "golden row .* got `null`.*score"),
        ({"score": lambda raw: np.full(len(raw), np.inf)}, "golden row 0: .*score"),
        ({"decision": lambda raw: raw}, "golden row 0: Expected `str`, got `float`"),
        ({"score": lambda raw: raw if raw.size else raw.astype(int)}, "the type of score differs"),
        ({"score": lambda raw: raw / [][len(raw)]}, "IndexError"),
    ],
)
def test_columns_that_it_does_not_take_are_refused_with_the_reason(
    changed: dict[str, Any], reason: str, contract: Contract
) -> None:
    with pytest.raises(ContractError, match=f"^post-processing: .*{reason}") as refused:
        OutputForm(giving(**changed), Prediction).check(contract)

    assert refused.value.code is RefusalCode.POSTPROCESSING

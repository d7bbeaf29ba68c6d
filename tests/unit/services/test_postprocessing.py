"""Post-processing is pure, monotone and bounded, whatever the booster says."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from business_experience import SERVICE as BUSINESS_EXPERIENCE
from hourly_rate import SERVICE as HOURLY_RATE
from hourly_rate.intervals import rate_columns
from inference import Contract, OutputForm, OutputSpec, read_contract
from inference.errors import ContractError, RefusalCode
from inference.testing import tiny_model
from recommendation import SERVICE as RECOMMENDATION
from residency import SERVICE as RESIDENCY
from skill_experience import SERVICE as SKILL_EXPERIENCE

Raw = NDArray[np.float64]

CURVE = {"calibration_x": (0.0, 0.2, 0.7, 1.0), "calibration_y": (0.01, 0.1, 0.6, 0.99)}
PROBABILITY = OutputSpec("p", "", {**CURVE, "review_low": (0.2,), "review_high": (0.6,)})
RATING = OutputSpec(
    "r",
    "",
    {
        "score_x": (1.0, 5.0),
        "score_y": (0.0, 100.0),
        "percentile_x": tuple(np.linspace(2.0, 4.5, 101)),
    },
)
RATE = {
    "interval_edges": (8.0, 9.0),
    "interval_low_known": (-0.1, -0.2, 0.05),
    "interval_high_known": (0.1, -0.05, 0.3),
    "interval_low_anonymous": (-0.5, -0.5, -0.5),
    "interval_high_anonymous": (0.5, 0.5, 0.5),
    "coverage": (0.8,),
    "round_to": (100.0,),
}
YEN = OutputSpec("estimate", "JPY/hour", RATE)
probabilities = arrays(np.float64, st.integers(1, 50), elements=st.floats(0, 1)).map(np.sort)
ratings = arrays(np.float64, st.integers(1, 50), elements=st.floats(-10, 20)).map(np.sort)
log_rates = arrays(np.float64, st.integers(1, 50), elements=st.floats(-20, 20)).map(np.sort)


def rising(values: NDArray[Any]) -> bool:
    return bool((np.diff(values) >= 0).all())


@given(probabilities)
def test_residency_rises_with_the_booster_and_decides_by_its_bounds(raw: Raw) -> None:
    columns = RESIDENCY.postprocess(raw, PROBABILITY)

    probability = columns["probability"]
    assert rising(probability)
    assert ((probability >= 0) & (probability <= 1)).all()
    for value, decision in zip(probability, columns["decision"], strict=True):
        assert decision == ("domestic" if value < 0.2 else "abroad" if value > 0.6 else "review")


@given(probabilities)
def test_recommendation_rises_with_the_booster_within_0_and_1(raw: Raw) -> None:
    score = RECOMMENDATION.postprocess(raw, PROBABILITY)["score"]

    assert rising(score)
    assert ((score >= 0) & (score <= 1)).all()


@pytest.mark.parametrize("service", [SKILL_EXPERIENCE, BUSINESS_EXPERIENCE])
@given(raw=ratings)
def test_experience_rises_with_the_rating_within_0_and_100(service: Any, raw: Raw) -> None:
    columns = service.postprocess(raw, RATING)

    for name in ("score", "percentile"):
        assert rising(columns[name])
        assert ((columns[name] >= 0) & (columns[name] <= 100)).all()


def test_the_percentile_of_a_quantile_is_its_rank() -> None:
    quantiles = np.array(RATING.tables["percentile_x"])

    columns = SKILL_EXPERIENCE.postprocess(quantiles, RATING)

    assert columns["percentile"].tolist() == list(range(101))


@given(log_rates)
def test_a_rate_lies_in_its_interval_in_whole_steps(raw: Raw) -> None:
    columns = HOURLY_RATE.postprocess(raw, YEN)

    lower, estimate, upper = columns["lower"], columns["estimate"], columns["upper"]
    assert rising(estimate)
    assert ((lower <= estimate) & (estimate <= upper) & (lower >= 0)).all()
    assert (estimate % 100 == 0).all()
    assert estimate.dtype.kind == "i"
    assert set(columns["unit"]) == {"JPY/hour"}
    assert set(columns["coverage"]) == {0.8}


@given(log_rates)
def test_offsets_come_from_the_bin_and_the_group(raw: Raw) -> None:
    low = np.array(RATE["interval_low_anonymous"])

    columns = rate_columns(raw, YEN, "anonymous")

    expected = np.rint(np.exp(raw + low[np.searchsorted([8.0, 9.0], raw, side="right")]) / 100) * 100
    np.testing.assert_array_equal(columns["lower"], expected)


def test_another_unit_and_a_step_below_one_work_too() -> None:
    output = OutputSpec("estimate", "USD/month", {**RATE, "round_to": (0.5,)})

    columns = HOURLY_RATE.postprocess(np.array([np.log(3000.2)]), output)

    assert columns["estimate"].tolist() == [3000.0]
    assert columns["unit"].tolist() == ["USD/month"]


DECLARED = [
    (RESIDENCY, PROBABILITY),
    (RECOMMENDATION, OutputSpec("p", "", CURVE)),
    (SKILL_EXPERIENCE, RATING),
    (BUSINESS_EXPERIENCE, RATING),
    (HOURLY_RATE, YEN),
]


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    directory = tmp_path_factory.mktemp("model")
    tiny_model(directory)
    return read_contract((directory / "contract.json").read_bytes())


def check(service: Any, contract: Contract, output: OutputSpec) -> None:
    for one in (service.postprocess, *service.postprocess_beside):
        OutputForm(one, service.prediction).check(msgspec.structs.replace(contract, output=output))


@pytest.mark.parametrize(("service", "output"), DECLARED)
def test_a_contract_serves_with_all_its_tables_and_is_refused_without_any_of_them(
    service: Any, output: OutputSpec, contract: Contract
) -> None:
    check(service, contract, output)
    for name in output.tables:
        rest = {other: values for other, values in output.tables.items() if other != name}
        with pytest.raises(ContractError, match=f"post-processing: the contract has no table {name}") as refused:
            check(service, contract, OutputSpec(output.name, output.unit, rest))

        assert refused.value.code is RefusalCode.POSTPROCESSING


@pytest.mark.parametrize("group", ["known", "anonymous"])
def test_a_table_too_short_for_a_prediction_that_golden_rows_lack_is_refused(group: str, contract: Contract) -> None:
    edges = (8.0, max(contract.golden.raw) + 0.5)
    output = OutputSpec(
        "estimate", "JPY/hour", {**RATE, "interval_edges": edges, f"interval_low_{group}": (-1.0, -1.0)}
    )
    with pytest.raises(ContractError, match="IndexError") as refused:
        check(HOURLY_RATE, contract, output)

    assert refused.value.code is RefusalCode.POSTPROCESSING

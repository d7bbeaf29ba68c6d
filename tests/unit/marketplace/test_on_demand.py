import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from marketplace.on_demand import (
    ANONYMOUS_PROFILE_INPUTS,
    ANONYMOUS_PROFILE_OUTPUTS,
    PAIR_FIT_INPUTS,
    PAIR_FIT_OUTPUTS,
    anonymous_profile,
    pair_fit,
)
from marketplace.vocabulary import ROLES, SKILL_RARITY, SKILLS, skill_mask

MASKS = st.integers(0, (1 << len(SKILLS)) - 1)
NEEDS = {
    "pair_skill_overlap": {"skill_mask", "job_skill_mask"},
    "pair_skill_overlap_share": {"skill_mask", "job_skill_mask"},
    "pair_rate_ratio": {"desired_rate_yen", "job_rate_max_yen"},
    "pair_role_match": {"role", "job_role"},
    "pair_hours_gap": {"desired_hours_week", "job_hours_week"},
}


def column(*values: float) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def pair(**changes: float) -> dict[str, NDArray[np.float64]]:
    known = {
        "role": 0.0,
        "desired_rate_yen": 6000.0,
        "desired_hours_week": 10.0,
        "skill_mask": float(skill_mask(["go", "aws", "docker"])),
        "job_role": 0.0,
        "job_rate_max_yen": 8000.0,
        "job_hours_week": 20.0,
        "job_skill_mask": float(skill_mask(["go", "aws", "rust", "redis"])),
    }
    return {name: column(value) for name, value in {**known, **changes}.items()}


def test_pair_fit_says_what_its_formulas_say() -> None:
    features = {name: values[0] for name, values in pair_fit(pair()).items()}

    assert features == {
        "pair_skill_overlap": 2.0,
        "pair_skill_overlap_share": 0.5,
        "pair_rate_ratio": 0.75,
        "pair_role_match": 1.0,
        "pair_hours_gap": -10.0,
    }
    assert tuple(features) == PAIR_FIT_OUTPUTS


def test_a_role_of_the_same_family_matches_by_half() -> None:
    roles = pair(role=ROLES.index("ui_designer"), job_role=ROLES.index("ux_designer"))
    others = pair(role=ROLES.index("ui_designer"), job_role=ROLES.index("data_engineer"))

    assert pair_fit(roles)["pair_role_match"][0] == 0.5
    assert pair_fit(others)["pair_role_match"][0] == 0.0


@pytest.mark.parametrize("missing", PAIR_FIT_INPUTS)
def test_a_missing_input_is_missing_in_exactly_what_needs_it(missing: str) -> None:
    features = pair_fit(pair(**{missing: np.nan}))

    assert {name for name, values in features.items() if np.isnan(values[0])} == {
        name for name, needs in NEEDS.items() if missing in needs
    }


@pytest.mark.parametrize("changes", [{"job_skill_mask": 0.0}, {"job_rate_max_yen": 0.0}])
def test_nothing_is_divided_by_zero(changes: dict[str, float]) -> None:
    features = pair_fit(pair(**changes))

    assert not any(np.isinf(values).any() for values in features.values())


@pytest.mark.parametrize("code", [-1.0, 0.5, float(len(ROLES)), np.inf])
def test_a_code_outside_of_the_vocabulary_is_missing(code: float) -> None:
    assert np.isnan(pair_fit(pair(role=code))["pair_role_match"][0])


@given(MASKS, MASKS)
def test_overlap_is_symmetric_and_its_share_within_one(person: int, job: int) -> None:
    there = pair_fit(pair(skill_mask=float(person), job_skill_mask=float(job)))
    back = pair_fit(pair(skill_mask=float(job), job_skill_mask=float(person)))

    assert there["pair_skill_overlap"][0] == back["pair_skill_overlap"][0] == (person & job).bit_count()
    assert job == 0 or 0.0 <= there["pair_skill_overlap_share"][0] <= 1.0


@given(st.lists(MASKS, min_size=1, max_size=20))
def test_an_anonymous_profile_counts_and_weighs_its_skills(masks: list[int]) -> None:
    features = anonymous_profile({"skill_mask": column(*masks)})

    for row, mask in enumerate(masks):
        weights = [SKILL_RARITY[code] for code in range(len(SKILLS)) if mask >> code & 1]
        assert features["skill_count"][row] == len(weights)
        if weights:
            assert features["skill_rarity_mean"][row] == pytest.approx(np.mean(weights))
        else:
            assert np.isnan(features["skill_rarity_mean"][row])


@given(st.sampled_from(ANONYMOUS_PROFILE_INPUTS), st.floats(allow_infinity=False))
def test_what_is_given_passes_and_the_rest_is_missing(name: str, value: float) -> None:
    features = anonymous_profile({name: column(value, value)})

    assert tuple(features) == ANONYMOUS_PROFILE_OUTPUTS
    np.testing.assert_array_equal(features[name], [value, value])
    derived = {"skill_count", "skill_rarity_mean"} if name == "skill_mask" else set()
    assert all(np.isnan(features[other]).all() for other in set(features) - {name} - derived)


def test_an_anonymous_profile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one of role"):
        anonymous_profile({})


@given(st.lists(st.floats(0, 2.0**53), min_size=1, max_size=8), st.integers(0, 7))
def test_a_row_does_not_depend_on_its_neighbours(masks: list[float], at: int) -> None:
    row = at % len(masks)

    together = anonymous_profile({"skill_mask": column(*masks)})
    alone = anonymous_profile({"skill_mask": column(masks[row])})

    assert all(np.array_equal(together[name][row], alone[name][0], equal_nan=True) for name in together)

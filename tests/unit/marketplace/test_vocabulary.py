import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace import vocabulary
from marketplace.vocabulary import SKILL_RARITY, SKILLS, code_of, codes, skill_mask, skills_of_mask


def test_a_set_of_skills_fits_into_a_float64_exactly() -> None:
    assert len(SKILLS) <= 52
    assert int(float((1 << len(SKILLS)) - 1)) == (1 << len(SKILLS)) - 1


@pytest.mark.parametrize("name", [name for name in vocabulary.__all__ if name.isupper()])
def test_no_word_appears_twice(name: str) -> None:
    words = getattr(vocabulary, name)

    if isinstance(words, tuple) and all(isinstance(word, str) for word in words):
        assert len(set(words)) == len(words)


def test_tables_beside_the_words_are_as_long_as_they() -> None:
    assert len(SKILL_RARITY) == len(SKILLS)
    assert len(vocabulary.ROLE_FAMILIES) == len(vocabulary.ROLES)
    assert len(vocabulary.COUNTRY_UTC_OFFSETS) == len(vocabulary.COUNTRIES)


@given(st.sets(st.sampled_from(SKILLS)))
def test_a_mask_and_its_skills_are_the_same(skills: set[str]) -> None:
    assert set(skills_of_mask(skill_mask(skills))) == skills


@given(st.text("abcdefgo+#", max_size=12).filter(lambda word: word not in SKILLS))
def test_a_word_outside_of_the_vocabulary_is_left_out(word: str) -> None:
    assert skill_mask([word, "go"]) == skill_mask(["go"])
    assert math.isnan(code_of(SKILLS, word))


def test_codes_are_positions() -> None:
    assert codes(SKILLS)["go"] == SKILLS.index("go") == code_of(SKILLS, "go")


@pytest.mark.parametrize("mask", [-1, 1 << len(SKILLS)])
def test_a_mask_out_of_range_is_refused(mask: int) -> None:
    with pytest.raises(ValueError, match="skill mask"):
        skills_of_mask(mask)

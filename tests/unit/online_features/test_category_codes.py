"""Hashes of strings become the codes of the contract, however many categories there are."""

import numpy as np
import pytest

from online_features.category_codes import CategoryCodes
from online_features.layout import string_hash


@pytest.mark.parametrize("count", [0, 1, 2, 52, 150, 1000])
def test_each_category_has_its_code_and_strangers_have_none(count: int) -> None:
    words = [f"区分{i}" for i in range(count)]
    hashes = np.array([[string_hash(word)] for word in (*words, "stranger")], dtype=np.uint64)

    codes = CategoryCodes.of([words]).codes(hashes)

    np.testing.assert_array_equal(codes[:, 0], [*range(count), np.nan])


def test_columns_do_not_share_codes() -> None:
    table = CategoryCodes.of([["a", "b"], ["b", "c", "a"]])

    codes = table.codes(np.array([[string_hash("b"), string_hash("b")]], dtype=np.uint64))

    assert codes.tolist() == [[1.0, 0.0]]


def test_a_category_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        CategoryCodes.of([["a", "a"]])

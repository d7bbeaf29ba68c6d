import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import FeatureStoreError
from online_features.pool import decode_pool, encode_pool


@given(st.lists(st.text(max_size=9)) | st.lists(st.from_regex(r"c[0-9]{7}", fullmatch=True)))
def test_ids_come_back_in_order(ids: list[str]) -> None:
    assert decode_pool(encode_pool(ids)) == ids


def test_ids_of_one_length_cost_nothing_but_themselves() -> None:
    assert len(encode_pool([f"c{i:07}" for i in range(1000)])) == 12 + 8000


def test_a_value_that_is_no_pool_is_refused() -> None:
    with pytest.raises(FeatureStoreError):
        decode_pool(b"something else")

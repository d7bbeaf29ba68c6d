"""Raw tensors hold what numpy and the protocol's own clients write."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from serving.open_inference.messages import InputTensor
from serving.open_inference.tensors import bytes_of_numbers, bytes_of_words, tensor_of_bytes, tensor_of_json

WORDS = st.lists(st.text(max_size=20), max_size=10)
NUMBERS = hnp.arrays(np.float64, st.integers(0, 20))


@given(WORDS)
def test_words_survive_raw_in_both_directions(words: list[str]) -> None:
    raw = bytes_of_words(words)
    sent = serialize_byte_tensor(np.array(words, dtype=np.object_))
    sent_raw = sent.item() if sent.size else b""
    given_tensor = InputTensor("x", (len(words),), "BYTES")

    assert raw == sent_raw
    assert [word.decode() for word in deserialize_bytes_tensor(raw).tolist()] == words
    assert tensor_of_bytes(given_tensor, memoryview(raw)).words == words


@given(NUMBERS)
def test_numbers_survive_raw_in_both_directions(numbers: Any) -> None:
    raw = bytes_of_numbers(numbers)
    tensor = tensor_of_bytes(InputTensor("x", numbers.shape, "FP64"), memoryview(raw))

    assert raw == numbers.tobytes()
    np.testing.assert_array_equal(tensor.numbers, numbers)


@given(hnp.arrays(np.float32, st.integers(1, 20), elements=st.floats(width=32, allow_infinity=False)))
def test_json_and_raw_say_the_same_in_a_narrow_datatype(numbers: Any) -> None:
    shape = numbers.shape
    data = [None if np.isnan(value) else value for value in numbers.tolist()]
    raw = tensor_of_bytes(InputTensor("x", shape, "FP32"), memoryview(numbers.tobytes()))
    told = tensor_of_json(InputTensor("x", shape, "FP32", data=data))

    np.testing.assert_array_equal(raw.numbers, told.numbers)

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis.strategies import binary, lists
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from serving.problems import ProblemError
from serving.request_bodies import decode_json, read_body


class Form(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    more: dict[str, int] = {}


def receive_of(chunks: Sequence[bytes], *, ends: bool = True) -> Receive:
    messages: list[Any] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request"} if ends else {"type": "http.disconnect"})

    async def receive() -> Any:
        return messages.pop(0)

    return receive


@given(lists(binary(max_size=20), max_size=10))
def test_a_body_is_its_chunks_up_to_the_bound_and_413_over_it(chunks: list[bytes]) -> None:
    body = b"".join(chunks)

    assert asyncio.run(read_body(receive_of(chunks), len(body))) == body
    if body:
        with pytest.raises(ProblemError) as refused:
            asyncio.run(read_body(receive_of(chunks), len(body) - 1))
        assert refused.value.answer.status == 413


def test_a_caller_that_leaves_is_told_apart_from_one_that_ends() -> None:
    with pytest.raises(ClientDisconnect):
        asyncio.run(read_body(receive_of([b"{"], ends=False), 10))


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        (b"{}", "name", "is required"),
        (b'{"name": 1}', "name", "Expected str, got int"),
        (b'{"name": "", "secret": 1}', "$", "has a field that is not declared"),
        (b'{"name": "", "more": {"secret": "x"}}', "more[...]", "Expected int, got str"),
        (b"[]", "$", "Expected object, got array"),
    ],
)
def test_a_wrong_form_is_422_with_field_and_rule_and_without_what_came_in(body: bytes, field: str, rule: str) -> None:
    with pytest.raises(ProblemError) as refused:
        decode_json(msgspec.json.Decoder(Form), body)

    (error,) = refused.value.answer.errors
    assert (refused.value.answer.status, error.field, error.rule) == (422, field, rule)


@given(binary())
def test_any_bytes_are_decoded_or_refused_as_a_problem(body: bytes) -> None:
    outcome: Form | int
    try:
        outcome = decode_json(msgspec.json.Decoder(Form), body)
    except ProblemError as refused:
        outcome = refused.answer.status

    assert outcome in {400, 422} or isinstance(outcome, Form)

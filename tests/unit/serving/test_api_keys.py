import hashlib
from pathlib import Path

import pytest

from serving.api_keys import ApiKeyError, ApiKeys
from serving.problems import ProblemError


def keys_of(directory: Path, text: str) -> ApiKeys:
    path = directory / "keys"
    path.write_text(text)
    return ApiKeys.read(path)


def test_named_bare_and_hashed_keys_are_accepted_in_either_header(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"third").hexdigest()
    keys = keys_of(tmp_path, f"# callers\n\nweb:first\nsecond\nbatch:sha256:{digest}\n")

    assert keys.client({b"x-api-key": b"first"}).name == "web"
    assert keys.client({b"x-api-key": b"second"}).name == "key-4"
    assert keys.client({b"authorization": b"bearer third"}).name == "batch"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"x-api-key": b""},
        {b"x-api-key": b"other"},
        {b"authorization": b"Basic first"},
        {b"authorization": b"first"},
    ],
)
def test_anything_else_is_401(tmp_path: Path, headers: dict[bytes, bytes]) -> None:
    keys = keys_of(tmp_path, "web:first\n")
    with pytest.raises(ProblemError) as refused:
        keys.client(headers)

    assert refused.value.answer.status == 401


@pytest.mark.parametrize("text", ["", "# nothing\n", "web:sha256:zz\n", "web:sha256:abcd\n", ":key\n", "web:\n"])
def test_a_file_without_keys_or_with_a_malformed_line_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ApiKeyError):
        keys_of(tmp_path, text)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ApiKeyError, match="cannot be read"):
        ApiKeys.read(tmp_path / "absent")

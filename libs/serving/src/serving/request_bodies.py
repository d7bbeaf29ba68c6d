"""JSON bodies in: raw bytes, at most so many, decoded straight into typed structs."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from serving.problems import FieldError, Problem, problem

__all__ = ["decode_json", "decode_lines", "read_body", "require_json"]

T = TypeVar("T")
U = TypeVar("U")

_AT = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]*)`")


async def read_body(receive: Receive, bytes_max: int) -> bytes:
    """Read the whole body; raises the 413 problem, or `ClientDisconnect` when the caller has gone."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > bytes_max:
            raise _too_large(bytes_max)
        return body
    chunks = [body]
    size = len(body)
    while message.get("more_body", False):
        if size > bytes_max:
            raise _too_large(bytes_max)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
    if size > bytes_max:
        raise _too_large(bytes_max)
    return b"".join(chunks)


def require_json(headers: Mapping[bytes, bytes]) -> None:
    """Raise the 415 problem unless the body is declared as plain JSON in UTF-8."""
    content_type = headers.get(b"content-type", b"")
    if content_type != b"application/json" and not _is_json(content_type):
        raise problem(Problem.MEDIA_TYPE, "Send application/json.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise problem(Problem.MEDIA_TYPE, "Send the body without a content encoding.")


def decode_json(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body; raises the 400 problem for what is not JSON, 422 for JSON of another form."""
    return _decoded(decoder.decode, body)


def decode_lines(decoder: msgspec.json.Decoder[T], body: bytes) -> list[T]:
    """Decode NDJSON, likewise; a field starts with the row's number in brackets."""
    return _decoded(decoder.decode_lines, body)


def _decoded(decode: Callable[[bytes], U], body: bytes) -> U:
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise problem(Problem.INVALID, errors=[_field_error(str(error))]) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise problem(Problem.MALFORMED, "The body is not JSON in UTF-8.") from None
    except RecursionError:
        raise problem(Problem.MALFORMED, "The body is nested too deeply.") from None


def _is_json(content_type: bytes) -> bool:
    media_type, _, parameters = content_type.partition(b";")
    charset = parameters.strip().lower()
    return media_type.strip().lower() == b"application/json" and charset in {b"", b"charset=utf-8", b'charset="utf-8"'}


def _field_error(message: str) -> FieldError:
    """Turn msgspec's message into field and rule, without the names and values that came in."""
    at = _AT.search(message)
    field = at.group(1) if at else ""
    rule = _AT.sub("", message)
    missing = _MISSING.search(rule)
    if missing is not None:
        return FieldError(".".join(part for part in (field, missing.group(1)) if part), "is required")
    if rule.startswith("Object contains unknown field"):
        rule = "has a field that is not declared"
    elif rule.startswith("Invalid enum value"):
        rule = "is none of the declared values"
    return FieldError(field or "$", rule.replace("`", ""))


def _too_large(bytes_max: int) -> Exception:
    return problem(Problem.TOO_LARGE, f"At most {bytes_max} bytes.")

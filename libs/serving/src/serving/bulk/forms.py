"""The forms of a bulk body, and what a stream of each is read and written by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from inference import ScoredRows
from inference.prediction_log.records import Ids
from serving.problems import FieldError, Problem, ProblemAnswer, problem
from serving.request_bodies import require_json

__all__ = [
    "Form",
    "Keys",
    "RowReader",
    "RowWriter",
    "StreamBounds",
    "answer_form",
    "request_form",
    "require_ids",
    "row_problem",
]

Keys = Mapping[str, Sequence[str]]
"""Join keys of some rows, by name."""


class Form(StrEnum):
    """A form of the body, by its media type."""

    JSON = "application/json"
    NDJSON = "application/x-ndjson"
    ARROW = "application/vnd.apache.arrow.stream"


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """What a part of a stream may hold, since all of it is held in memory."""

    part_bytes_max: int
    """An Arrow message, or a line."""
    rows_at_once: int
    """Rows of a chunk."""


class RowReader(Protocol):
    """Makes rows of bytes as they come. Methods raise the problems 400, 413 and 422."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        ...

    def end(self) -> None:
        """Take note that there are no more."""
        ...

    def chunk(self) -> Keys | None:
        """Give the next chunk that is complete, or after the end what is left; None if there is none."""
        ...


class RowWriter(Protocol):
    """Makes bytes of scored rows."""

    @property
    def last_ids(self) -> Ids:
        """Prediction ids of the rows that were written last, for the log."""
        ...

    def head(self) -> bytes:
        """What stands before all rows."""
        ...

    def rows(self, rows: ScoredRows) -> bytes:
        """Write one chunk."""
        ...

    def tail(self) -> bytes:
        """What stands after all rows."""
        ...

    def failure(self, answer: ProblemAnswer) -> bytes | None:
        """What ends a stream that failed on the way; None where the form has nothing, and the body is cut off."""
        ...


def request_form(headers: Mapping[bytes, bytes]) -> Form:
    """Say what form the body has; raises the 415 problem."""
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    for form in (Form.NDJSON, Form.ARROW):
        if media_type == form.encode():
            return form
    require_json({b"content-type": headers.get(b"content-type", b"")})
    return Form.JSON


def answer_form(headers: Mapping[bytes, bytes], request: Form) -> Form:
    """Choose the form of the answer: the first that `Accept` names, else that of the request."""
    for entry in headers.get(b"accept", b"").split(b","):
        media_type, _, parameters = entry.partition(b";")
        if parameters.strip().replace(b" ", b"") in {b"q=0", b"q=0.0"}:
            continue
        for form in Form:
            if media_type.strip().lower() == form.encode():
                return form
    return request


def require_ids(ids: Sequence[str], entity: str, first_row: int) -> None:
    """Raise the 422 problem unless each id has 1 to 128 characters."""
    lengths = list(map(len, ids))
    if lengths and (min(lengths) < 1 or max(lengths) > 128):
        row = next(row for row, length in enumerate(lengths) if not 1 <= length <= 128)
        raise row_problem(f"rows.{first_row + row}.{entity}", "has 1 to 128 characters")


def row_problem(field: str, rule: str) -> Exception:
    """Make the 422 problem of a row or a column."""
    return problem(Problem.INVALID, errors=[FieldError(field, rule)])

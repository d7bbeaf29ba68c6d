"""Failures as RFC 9457 problems; the one place that knows which failure has which HTTP status.

    ProblemError        carries a problem to the answer; everything else that is raised is mapped by `problem_of`

No problem holds a value that came in: a detail names the field and the rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec
from starlette.responses import Response

from inference.errors import ContractViolationError, FeatureStoreError, NoModelError

__all__ = [
    "PROBLEM_TYPE",
    "FieldError",
    "Problem",
    "ProblemAnswer",
    "ProblemError",
    "problem",
    "problem_of",
    "problem_response",
]

PROBLEM_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of failure: the last part of its type URI, its status, and what it means."""

    name: str
    status: int
    title: str


class Problem(Enum):
    """Every failure that the platform answers with."""

    MALFORMED = Kind("malformed-request", 400, "The body is not the JSON that was promised")
    UNAUTHENTICATED = Kind("unauthenticated", 401, "No valid credential came with the request")
    FORBIDDEN = Kind("forbidden", 403, "This caller may not do this")
    UNKNOWN_ENTITY = Kind("unknown-entity", 404, "The feature store knows no such entity")
    NO_ROUTE = Kind("no-route", 404, "Nothing is served here")
    METHOD = Kind("method-not-allowed", 405, "This route has no such method")
    TOO_LARGE = Kind("too-large", 413, "The request is larger than this route takes")
    MEDIA_TYPE = Kind("unsupported-media-type", 415, "This route does not read that media type")
    INVALID = Kind("invalid-request", 422, "The request does not have the form that the route declares")
    CONTRACT = Kind("contract-violation", 422, "The model's contract does not allow a feature's value")
    QUOTA = Kind("quota-exceeded", 429, "This caller sent more than its quota")
    INTERNAL = Kind("internal-error", 500, "The service failed")
    NOT_READY = Kind("not-ready", 503, "The service cannot score yet")
    OVERLOADED = Kind("overloaded", 503, "The service has more requests than it can work on")
    NOT_KEPT = Kind("feedback-not-kept", 503, "The feedback could not be made durable")
    FEATURES_AWAY = Kind("feature-store-unavailable", 503, "The feature store does not answer")
    DEADLINE = Kind("deadline-exceeded", 504, "The answer was not ready in time")


class FieldError(msgspec.Struct, frozen=True):
    """Which field, and the rule that it does not keep."""

    field: str
    rule: str


class ProblemAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a problem."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: tuple[FieldError, ...] = ()


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, answer: ProblemAnswer, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(answer.title)
        self.answer = answer
        self.headers = tuple(headers)


def problem(
    kind: Problem, detail: str = "", *, errors: Sequence[FieldError] = (), retry_after_seconds: int | None = None
) -> ProblemError:
    """Return the error that ends a request with this problem; `detail` must not hold what came in."""
    sort = kind.value
    headers: list[tuple[bytes, bytes]] = []
    if sort.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="offers"'))
    if retry_after_seconds is not None:
        headers.append((b"retry-after", b"%d" % retry_after_seconds))
    answer = ProblemAnswer(
        type=f"/problems/{sort.name}", title=sort.title, status=sort.status, detail=detail, errors=tuple(errors)
    )
    return ProblemError(answer, headers)


def problem_of(error: Exception, *, retry_after_seconds: int = 1) -> ProblemError:
    """Map anything that was raised while a request was served."""
    match error:
        case ProblemError():
            return error
        case ContractViolationError():
            return problem(Problem.CONTRACT, errors=[FieldError(f"features.{error.feature}", error.rule)])
        case NoModelError():
            return problem(Problem.NOT_READY, "No model version is loaded.", retry_after_seconds=retry_after_seconds)
        case FeatureStoreError():
            return problem(Problem.FEATURES_AWAY, retry_after_seconds=retry_after_seconds)
        case TimeoutError():
            return problem(Problem.DEADLINE)
        case _:
            return problem(Problem.INTERNAL)


def problem_response(error: ProblemError) -> Response:
    """Make the answer."""
    response = Response(_encoder.encode(error.answer), status_code=error.answer.status, media_type=PROBLEM_TYPE)
    response.raw_headers.extend([(b"cache-control", b"no-store"), *error.headers])
    return response


_encoder = msgspec.json.Encoder()

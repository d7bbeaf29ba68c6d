"""What a call may raise, one tree.

ScoringError
├── TransportError            no answer came: connection refused, reset, timed out
├── UnexpectedAnswerError     an answer came that is none of this interface
└── ProblemError              the service answered with a problem (RFC 9457)
    ├── InvalidRequestError       400, 413, 415, 422: this request will never do
    │   └── ContractViolationError    422: the model's contract does not allow a value
    ├── AccessError               401, 403
    ├── UnknownEntityError        404: the feature store does not know the entity
    ├── QuotaExceededError        429, after the retries
    └── UnavailableError          500, 503, 504, after the retries
"""

import httpx
import msgspec

__all__ = [
    "AccessError",
    "ContractViolationError",
    "FieldError",
    "InvalidRequestError",
    "ProblemError",
    "QuotaExceededError",
    "ScoringError",
    "TransportError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnknownEntityError",
    "error_of",
]


class ScoringError(Exception):
    """Root of the tree."""


class TransportError(ScoringError):
    """No answer came."""


class UnexpectedAnswerError(ScoringError):
    """The answer is none of this interface; perhaps something else listens there."""


class FieldError(msgspec.Struct, frozen=True):
    """Which field, and the rule that it does not keep."""

    field: str
    rule: str


class _Problem(msgspec.Struct, frozen=True):
    type: str
    title: str
    status: int
    detail: str = ""
    errors: tuple[FieldError, ...] = ()


class ProblemError(ScoringError):
    """The service answered with a problem."""

    def __init__(self, problem: _Problem, request_id: str) -> None:
        told = "; ".join(f"{error.field} {error.rule}" for error in problem.errors) or problem.detail
        super().__init__(f"{problem.status} {problem.title}{': ' if told else ''}{told}")
        self.type = problem.type
        self.title = problem.title
        self.status = problem.status
        self.detail = problem.detail
        self.errors = problem.errors
        self.request_id = request_id
        """Tell it to those who run the service."""


class InvalidRequestError(ProblemError):
    """This request will never do."""


class ContractViolationError(InvalidRequestError):
    """The model's contract does not allow a feature's value; `errors` says which and why."""


class AccessError(ProblemError):
    """The credential is not valid, or not enough."""


class UnknownEntityError(ProblemError):
    """The feature store does not know the entity."""


class QuotaExceededError(ProblemError):
    """More was sent than the caller's quota."""


class UnavailableError(ProblemError):
    """The service could not answer now."""


_BY_TYPE: dict[str, type[ProblemError]] = {
    "/problems/contract-violation": ContractViolationError,
    "/problems/unknown-entity": UnknownEntityError,
}
_BY_STATUS: dict[int, type[ProblemError]] = {
    400: InvalidRequestError,
    401: AccessError,
    403: AccessError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: QuotaExceededError,
    500: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def error_of(response: httpx.Response) -> ScoringError:
    """Make the exception of an answer that is no success."""
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.DecodeError:
        return UnexpectedAnswerError(f"status {response.status_code} without a problem")
    kind = _BY_TYPE.get(problem.type) or _BY_STATUS.get(problem.status, ProblemError)
    return kind(problem, response.headers.get("x-request-id", ""))

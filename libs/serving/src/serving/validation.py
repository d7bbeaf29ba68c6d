"""Pydantic's complaints about the body of a service's own route, without what came in."""

from fastapi.exceptions import RequestValidationError

from serving.problems import FieldError, Problem, ProblemError, problem

__all__ = ["problem_of_validation"]

_ERRORS_SHOWN = 20


def problem_of_validation(error: RequestValidationError) -> ProblemError:
    """Map to 400 what is not JSON, to 422 what is JSON of another form."""
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return problem(Problem.MALFORMED, "The body is not JSON in UTF-8.")
    return problem(Problem.INVALID, errors=[_field_error(one) for one in found[:_ERRORS_SHOWN]])


def _field_error(error: dict[str, object]) -> FieldError:
    location = error["loc"]
    names = [str(part) for part in location[1:]] if isinstance(location, tuple) else []
    if error["type"] == "extra_forbidden":
        # The last name is the caller's own text.
        return FieldError(".".join(names[:-1]) or "$", "has a field that is not declared")
    return FieldError(".".join(names) or "$", str(error["msg"]))

"""Scores one person through each service, as a caller would."""

import json
from collections.abc import Mapping

import httpx
from deploy.local.screen import StepFailedError
from deploy.local.settings import SERVICES, LocalSettings

__all__ = ["example_body", "first_scores"]

_CANDIDATES = tuple(f"c{number:07d}" for number in range(123, 143))
"""The first of them that all services know is shown; a candidate of the sample may be too new to have features."""
_JOBS = tuple(f"j{number:07d}" for number in range(1, 21))


def example_body(service: str, attempt: int = 0) -> dict[str, str]:
    """Return the body of a `/v1/score` request."""
    body = {"candidate_id": _CANDIDATES[attempt % len(_CANDIDATES)]}
    return {"job_id": _JOBS[attempt % len(_JOBS)], **body} if service == "recommendation" else body


def first_scores(settings: LocalSettings, api_key: str) -> tuple[int, Mapping[str, str]]:
    """Return the answer of every service as JSON text, and which attempt's ids they are for.

    Raises `StepFailedError` naming the service and its answer when one does not score.
    """
    failure = StepFailedError("no attempt was made")
    with httpx.Client(headers={"X-API-Key": api_key}, timeout=10.0, trust_env=False) as client:
        for attempt in range(len(_CANDIDATES)):
            answers: dict[str, str] = {}
            for service in SERVICES:
                answer = _score(client, settings, service, attempt)
                if answer.status_code != 200:
                    failure = StepFailedError(
                        f"{service} answers {answer.status_code}: {answer.text}",
                        settings.log_directory / f"{service}.log",
                    )
                    if answer.status_code != 404:
                        raise failure
                    break
                answers[service] = json.dumps(answer.json(), ensure_ascii=False)
            else:
                return attempt, answers
    raise failure


def _score(client: httpx.Client, settings: LocalSettings, service: str, attempt: int) -> httpx.Response:
    try:
        return client.post(f"{settings.service_url(service)}/v1/score", json=example_body(service, attempt))
    except httpx.HTTPError as error:
        log_file = settings.log_directory / f"{service}.log"
        raise StepFailedError(f"{service} does not answer: {error!r}", log_file) from error

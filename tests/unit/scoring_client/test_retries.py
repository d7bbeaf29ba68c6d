"""Retries, synchronous and not: after 429 and 503 only, when `Retry-After` has passed, and not for ever."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import scoring_client
from scoring_client import (
    AsyncResidencyClient,
    ProblemError,
    QuotaExceededError,
    ResidencyClient,
    Retries,
    ScoringError,
    TransportError,
    UnavailableError,
    UnexpectedAnswerError,
)

ANSWER = {
    "prediction_id": "1",
    "candidate_id": "c1",
    "prediction": {"probability": 0.25, "decision": "domestic"},
    "model": {"name": "residency", "version": "1", "alias": "champion"},
    "features": {"as_of": None, "missing": [], "stale": []},
    "degraded": False,
    "explanation": None,
}


def problem(status: int, name: str = "x", **headers: str) -> httpx.Response:
    body = {"type": f"/problems/{name}", "title": "No", "status": status}
    return httpx.Response(status, json=body, headers=headers)


def answers(*responses: httpx.Response) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    """A transport that gives these answers in turn, and the requests that it saw."""
    left = list(responses)
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return left.pop(0)

    return httpx.MockTransport(handle), seen


def score(transport: httpx.MockTransport, retries: Retries | None = None) -> float:
    with ResidencyClient("http://service", "key", transport=transport, retries=retries) as client:
        return client.score("c1").prediction.probability


def score_async(transport: httpx.MockTransport, retries: Retries | None = None) -> float:
    async def run() -> float:
        async with AsyncResidencyClient("http://service", "key", transport=transport, retries=retries) as client:
            return (await client.score("c1")).prediction.probability

    return asyncio.run(run())


both = pytest.mark.parametrize("call", [score, score_async])
Call = Callable[..., float]
AT_ONCE = {"Retry-After": "0"}


@both
def test_a_shed_request_is_sent_again(call: Call) -> None:
    transport, seen = answers(problem(503, **AT_ONCE), problem(429, **AT_ONCE), httpx.Response(200, json=ANSWER))

    assert call(transport) == 0.25
    assert [request.headers["x-api-key"] for request in seen] == ["key"] * 3


@both
@pytest.mark.parametrize(("status", "error"), [(503, UnavailableError), (429, QuotaExceededError)])
def test_retries_end(call: Call, status: int, error: type[ScoringError]) -> None:
    transport, seen = answers(*(problem(status, **AT_ONCE) for _ in range(3)))
    with pytest.raises(error):
        call(transport, Retries(attempts=3))

    assert len(seen) == 3


@both
@pytest.mark.parametrize("status", [400, 404, 422, 500, 504])
def test_nothing_else_is_sent_again(call: Call, status: int) -> None:
    transport, seen = answers(problem(status, **AT_ONCE))
    with pytest.raises(ProblemError) as raised:
        call(transport)

    assert raised.value.status == status
    assert len(seen) == 1


@both
def test_a_service_that_asks_for_too_long_a_wait_is_not_waited_for(call: Call) -> None:
    transport, seen = answers(problem(503, **{"Retry-After": "3600"}))
    with pytest.raises(UnavailableError):
        call(transport)

    assert len(seen) == 1


@both
@pytest.mark.parametrize(("status", "text"), [(200, "{}"), (200, "<html>"), (502, "Bad Gateway")])
def test_an_answer_of_another_interface_is_told_apart(call: Call, status: int, text: str) -> None:
    transport, seen = answers(httpx.Response(status, text=text))
    with pytest.raises(UnexpectedAnswerError):
        call(transport)

    assert len(seen) == 1


@both
def test_no_answer_is_a_transport_error(call: Call) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(TransportError) as raised:
        call(httpx.MockTransport(refuse))

    assert isinstance(raised.value, ScoringError)


def test_both_kinds_of_client_are_the_same_but_for_await() -> None:
    sources = Path(scoring_client.__file__).parent
    text = (sources / "async_clients.py").read_text()
    for found, replaced in (
        ("Clients of the five services for asyncio.", "Clients of the five services."),
        ("import asyncio", "import time"),
        ("asyncio.sleep", "time.sleep"),
        ("AsyncBaseTransport", "BaseTransport"),
        ("async def", "def"),
        ("await ", ""),
        ("__aenter__", "__enter__"),
        ("__aexit__", "__exit__"),
        ("aclose", "close"),
        ("Async", ""),
    ):
        text = text.replace(found, replaced)

    assert "".join(text.split()) == "".join((sources / "clients.py").read_text().split())

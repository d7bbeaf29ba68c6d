"""The typed client speaks with every service."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

import scoring_client
from inference.errors import FeatureStoreError
from scoring_client import Retries

pytestmark = pytest.mark.anyio

Connect = Callable[..., Any]


@pytest.fixture
def connect(declared: Any) -> Connect:
    """Make the service's client over its application."""

    def make(served: Any, key: str | None = None) -> Any:
        name = "".join(word.capitalize() for word in declared.name.split("_"))
        client = getattr(scoring_client, f"Async{name}Client")
        return client(
            "http://service",
            key or served.headers["X-API-Key"],
            transport=httpx.ASGITransport(served.app),
            retries=Retries(attempts=1),
        )

    return make


async def test_score_bulk_and_model_are_read_into_types(serve: Any, connect: Connect) -> None:
    served = serve()
    rows = next(iter(served.bulk([1, 3, 999]).values()))
    rows = [tuple(row.values()) if isinstance(row, dict) else row for row in rows]
    async with served.started(), connect(served) as client:
        answer = await client.score(*served.key().values(), explain=True, features={"has_github": True})
        bulk = await client.score_bulk(rows)
        model = await client.model()

    assert answer.candidate_id == "c0000003"
    assert {*answer.prediction.__struct_fields__} == {*served.service.prediction.__struct_fields__}
    assert answer.explanation.contributions
    assert [row.status for row in bulk.rows] == ["degraded", "ok", "not_found"]
    assert bulk.rows[2].prediction is None
    assert model.champion.version == "1"


async def test_feedback_is_told_one_at_a_time_or_many(serve: Any, connect: Connect) -> None:
    served = serve()
    now = datetime.now(UTC)
    async with served.started(), connect(served) as client:
        answer = await client.score(*served.key().values())
        one = await client.feedback(answer.prediction_id, 1, now)
        many = await client.feedback_many([scoring_client.Outcome(answer.prediction_id, 0.0, now)] * 3)
        with pytest.raises(scoring_client.InvalidRequestError):
            await client.feedback("c0000001", 1, now)
        with pytest.raises(ValueError, match="zone"):
            await client.feedback(answer.prediction_id, 1, now.replace(tzinfo=None))

    assert (one.accepted, many.accepted) == (1, 3)


async def test_each_problem_is_its_own_exception(serve: Any, connect: Connect) -> None:
    served = serve()
    known = tuple(served.key().values())
    async with served.started(), connect(served) as client, connect(served, key="wrong") as stranger:
        with pytest.raises(scoring_client.UnknownEntityError):
            await client.score(*("zz" for _ in known))
        with pytest.raises(scoring_client.ContractViolationError) as violated:
            await client.score(*known, features={"years_experience": -1})
        with pytest.raises(scoring_client.InvalidRequestError):
            await client.score(*("" for _ in known))
        with pytest.raises(scoring_client.AccessError):
            await stranger.model()
        served.reader.fail_with(FeatureStoreError("away"))
        with pytest.raises(scoring_client.UnavailableError) as away:
            await client.score(*known)

    assert violated.value.errors[0].field == "features.years_experience"
    assert violated.value.request_id
    assert away.value.status == 503

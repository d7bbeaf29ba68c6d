"""Routes of operations: open, and true."""

from typing import Any

import pytest

from inference.errors import FeatureStoreError

pytestmark = pytest.mark.anyio


async def test_routes_of_operations_ask_no_key(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        del client.headers["x-api-key"]
        statuses = {
            path: (await client.get(path)).status_code
            for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs")
        }

    assert set(statuses.values()) == {200}


async def test_ready_means_that_it_can_score(serve: Any) -> None:
    served = serve(ready=False)
    async with served.started() as client:
        before = await client.get("/readyz")
        alive = await client.get("/livez")
        served.models.live = served.live
        ready = await client.get("/readyz")
        served.reader.fail_with(FeatureStoreError("away"))
        without_store = await client.get("/readyz")
        score = await client.post("/v1/score", json=served.key())

    assert alive.status_code == 200
    assert before.status_code == 503
    assert int(before.headers["retry-after"]) >= 1
    assert before.json()["type"] == "/problems/not-ready"
    assert ready.status_code == 200
    assert ready.json()["model"]["version"] == "1"
    assert (ready.json()["confirmed_by"], ready.json()["worker"]) == ("registry", 0)
    assert without_store.status_code == 503
    assert score.status_code == 503


async def test_model_shows_what_serves_with_its_contract(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        answer = (await client.get("/v1/model")).json()

    assert answer["ready"] is True
    assert answer["champion"]["version"] == "1"
    assert answer["challenger"] is None
    assert answer["refused"] == []
    assert [feature["name"] for feature in answer["contract"]["features"]] == [
        feature.name for feature in served.live.version.contract.features
    ]


async def test_model_answers_without_a_model_too(serve: Any) -> None:
    served = serve(ready=False)
    async with served.started() as client:
        answer = (await client.get("/v1/model")).json()

    assert answer["ready"] is False
    assert answer["champion"] is None
    assert answer["contract"] is None


async def test_metrics_count_requests_by_route_and_rows_by_version_and_never_name_an_id(serve: Any) -> None:
    served = serve()
    name = served.service.name
    async with served.started() as client:
        before = _samples((await client.get("/metrics")).text)
        await client.post("/v1/score", json=served.key(1))
        await client.post("/v1/score/bulk", json=served.bulk([2, 3, 999]))
        await client.get("/c0000001")
        text = (await client.get("/metrics")).text
    after = _samples(text)

    def grown(sample: str) -> float:
        return after.get(sample, 0.0) - before.get(sample, 0.0)

    requests = f'scoring_request_seconds_count{{route="%s",service="{name}",status="%s"}}'
    assert grown(requests % ("/v1/score", 200)) == 1
    assert grown(requests % ("/v1/score/bulk", 200)) == 1
    assert grown(requests % ("other", 404)) == 1
    assert grown(f'scoring_predictions_total{{model="{name}",version="1"}}') == 3
    cells = f'scoring_feature_cells_total{{feature="%s",model="{name}",status="missing",version="1"}}'
    assert grown(cells % "years_experience") == 1
    assert grown(cells % "desired_rate_yen") == 1
    assert "c0000001" not in text


async def test_a_request_id_comes_back_and_a_malformed_one_is_replaced(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        given = await client.get("/livez", headers={"X-Request-Id": "abc-1.2_3"})
        malformed = await client.get("/livez", headers={"X-Request-Id": "a b" * 40})

    assert given.headers["x-request-id"] == "abc-1.2_3"
    assert "a b" not in malformed.headers["x-request-id"]


def _samples(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

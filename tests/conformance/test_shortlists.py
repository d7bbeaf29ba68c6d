"""`POST /v1/shortlist` of recommendation."""

import asyncio
import dataclasses
from typing import Any

import httpx
import pytest

from inference.errors import FeatureStoreError
from recommendation import ranking

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("declared", ["recommendation"], indirect=True)]


async def shortlist(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    """Ask until the pool has been read."""
    async with asyncio.timeout(5):
        while True:
            response = await client.post("/v1/shortlist", json={"job_id": "j0000001"} | body)
            if response.status_code != 503:
                return response
            await asyncio.sleep(0.01)


async def test_the_whole_pool_is_ranked_as_single_scores_would_rank_it(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        response = await shortlist(client, limit=100)
        pairs = [{"job_id": "j0000001", "candidate_id": candidate} for candidate in served.pool]
        bulk = (await client.post("/v1/score/bulk", json={"pairs": pairs})).json()

    answer = response.json()
    assert response.status_code == 200
    assert list(answer) == ["job_id", "candidates", "model", "pool"]
    assert answer["pool"] | {"refreshed_at": ""} == {"size": 30, "eligible": 30, "scored": 30, "refreshed_at": ""}
    expected = {row["candidate_id"]: row["prediction"]["score"] for row in bulk["rows"]}
    got = {row["candidate_id"]: row["prediction"]["score"] for row in answer["candidates"]}
    assert got == expected
    scores = [row["prediction"]["score"] for row in answer["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert [row["rank"] for row in answer["candidates"]] == list(range(1, 31))
    by_id = {row["candidate_id"]: row["features"] for row in bulk["rows"]}
    assert all(row["features"] == by_id[row["candidate_id"]] for row in answer["candidates"])


async def test_the_limit_cuts_the_list(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        longer = (await shortlist(client, limit=10)).json()["candidates"]
        shorter = (await shortlist(client, limit=3)).json()["candidates"]

    assert [row["candidate_id"] for row in shorter] == [row["candidate_id"] for row in longer][:3]


async def test_filters_leave_only_those_who_are_known_to_meet_them(serve: Any) -> None:
    served = serve()
    filters = {
        "skills_all": ["python", "go"],
        "desired_rate_yen_max": 3200,
        "years_experience_min": 2,
        "english_level_min": "basic",
        "exclude_candidate_ids": ["c0000003"],
    }
    async with served.started() as client:
        answer = (await shortlist(client, filters=filters)).json()
        roles = (await shortlist(client, filters={"roles": ["qa_engineer"]})).json()

    def meets(number: int) -> bool:
        has_skills = number % 64 & 3 == 3
        return number > 2 and has_skills and 3000 + 10 * number <= 3200 and number % 20 >= 2 and number % 5 >= 1

    expected = {f"c{number:07}" for number in range(1, 31) if meets(number)} - {"c0000003"}
    assert {row["candidate_id"] for row in answer["candidates"]} == expected
    assert answer["pool"]["eligible"] == len(expected)
    assert {row["candidate_id"] for row in roles["candidates"]} == {"c0000007", "c0000021"}


async def test_filters_that_nobody_meets_give_an_empty_list(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        response = await shortlist(client, filters={"desired_rate_yen_max": 0})

    assert response.status_code == 200
    assert response.json()["candidates"] == []


async def test_the_booster_sees_only_the_best_of_a_large_pool_at_first_sight(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "SCORED_MAX", 5)
    served = serve()
    async with served.started() as client:
        answer = (await shortlist(client, limit=100)).json()

    assert answer["pool"]["eligible"] == 30
    assert answer["pool"]["scored"] == 5
    masks = [int(row["candidate_id"][1:]) % 64 & 7 for row in answer["candidates"]]
    assert all(mask.bit_count() >= 2 for mask in masks)


async def test_an_unknown_job_is_404(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        response = await shortlist(client, job_id="zz-secret")

    assert response.status_code == 404
    assert response.json()["type"] == "/problems/unknown-entity"
    assert "zz-secret" not in response.text


@pytest.mark.parametrize(
    "change",
    [
        {"limit": 0},
        {"limit": 501},
        {"limit": "3"},
        {"filters": {"roles": ["zz-secret"]}},
        {"filters": [1]},
        {"more": 1},
    ],
)
async def test_an_ill_formed_request_is_422(serve: Any, change: dict[str, Any]) -> None:
    served = serve()
    async with served.started() as client:
        response = await shortlist(client, **change)

    assert response.status_code == 422
    assert response.json()["errors"]
    assert "zz-secret" not in response.text


async def test_a_new_version_reads_the_pool_anew_and_its_store_being_away_keeps_the_old_one(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        first = (await shortlist(client)).json()
        served.reader.fail_with(FeatureStoreError("away"))
        served.models.live = type(served.live)(dataclasses.replace(served.live.version, version="2"), served.reader)
        pool = served.app.state.shell.resource
        with pytest.raises(FeatureStoreError):
            await pool.refresh()
        kept = pool.table().version.version
        served.reader.fail_with(None)
        await pool.refresh()
        second = (await shortlist(client)).json()
        in_flight = served.live.in_flight

    assert first["model"]["version"] == "1"
    assert kept == "1"
    assert second["model"]["version"] == "2"
    assert in_flight == 0
    assert served.models.live.in_flight == 0


async def test_without_a_model_it_is_503(serve: Any) -> None:
    served = serve(ready=False)
    async with served.started() as client:
        response = await client.post("/v1/shortlist", json={"job_id": "j0000001"})

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"

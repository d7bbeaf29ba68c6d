"""`POST /v1/estimate` of hourly_rate."""

from typing import Any

import pytest

from inference.contract import Contract

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("declared", ["hourly_rate"], indirect=True)]

PROFILE = {"role": "backend_engineer", "years_experience": 3, "skills": ["python", "go"], "english_level": "basic"}


async def test_an_anonymous_profile_is_answered_like_a_score_of_nobody(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post("/v1/estimate", json=PROFILE)

    answer = response.json()
    assert response.status_code == 200
    assert list(answer) == ["prediction_id", "prediction", "model", "features", "degraded", "explanation"]
    prediction = answer["prediction"]
    assert prediction["lower"] <= prediction["estimate"] <= prediction["upper"]
    assert prediction["unit"] == "JPY/hour"
    assert prediction["coverage"] == 0.8
    assert answer["features"] == {
        "as_of": None,
        "missing": ["desired_rate_yen", "desired_hours_week", "has_github", "articles_90d"],
        "stale": [],
    }


async def test_it_is_the_score_of_a_person_of_whom_only_that_is_known_with_the_wider_interval(serve: Any) -> None:
    served = serve()
    served.reader.put(
        ("c9",),
        {
            "role": "backend_engineer",
            "years_experience": 3,
            "english_level": "basic",
            "skill_mask": 3,
            "skill_count": 2,
        },
    )
    async with served.started() as client:
        estimate = (await client.post("/v1/estimate", json=PROFILE)).json()["prediction"]
        score = (await client.post("/v1/score", json={"candidate_id": "c9"})).json()["prediction"]

    assert estimate["estimate"] == score["estimate"]
    assert estimate["lower"] < score["lower"]
    assert estimate["upper"] > score["upper"]


async def test_it_explains(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        answer = (await client.post("/v1/estimate", json=PROFILE | {"explain": True})).json()

    contract: Contract = served.live.version.contract
    assert list(answer["explanation"]["contributions"]) == [feature.name for feature in contract.inputs]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"role": "zz-secret"}, "role"),
        ({"role": None}, "role"),
        ({"years_experience": -1}, "years_experience"),
        ({"years_experience": "3"}, "years_experience"),
        ({"skills": ["zz-secret"]}, "skills.0"),
        ({"zz-secret": 1}, "$"),
        ({"desired_hours_week": 1.5}, "desired_hours_week"),
    ],
)
async def test_an_ill_formed_profile_is_422_with_field_and_rule(serve: Any, change: dict[str, Any], field: str) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post("/v1/estimate", json=PROFILE | change)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert "zz-secret" not in response.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"\xff", 400),
        (b"[]", 422),
        (b'{"role": "backend_engineer", "years_experience": NaN}', 422),
        (b"[" * 100_000, 400),
    ],
)
async def test_what_is_no_profile_at_all_is_a_problem(serve: Any, body: bytes, status: int) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post("/v1/estimate", content=body, headers={"content-type": "application/json"})

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


async def test_without_a_model_it_is_503_with_retry_after(serve: Any) -> None:
    served = serve(ready=False)
    async with served.started() as client:
        response = await client.post("/v1/estimate", json=PROFILE)

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


async def test_another_media_type_and_a_missing_key_are_refused(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        media = await client.post("/v1/estimate", content=b"role=x", headers={"content-type": "text/plain"})
        del client.headers["x-api-key"]
        key = await client.post("/v1/estimate", json=PROFILE)

    assert media.status_code == 415
    assert key.status_code == 401

"""Failures are RFC 9457 problems, and say nothing of what came in."""

import asyncio
from typing import Any

import httpx
import pytest
import structlog

from inference.errors import FeatureStoreError

pytestmark = pytest.mark.anyio

SECRET = "zz-not-for-your-eyes"


def assert_problem(response: httpx.Response, status: int, name: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    problem: dict[str, Any] = response.json()
    assert problem["type"] == f"/problems/{name}"
    assert problem["status"] == status
    assert problem["title"]
    assert SECRET not in response.text
    return problem


def assert_retry_after(response: httpx.Response) -> None:
    assert int(response.headers["retry-after"]) >= 1


async def test_no_or_a_wrong_key_is_401(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        del client.headers["x-api-key"]
        for headers in ({}, {"X-API-Key": SECRET}, {"Authorization": f"Bearer {SECRET}"}, {"Authorization": "Basic x"}):
            for path in ("/v1/score", "/v1/score/bulk"):
                response = await client.post(path, json={}, headers=headers)
                assert_problem(response, 401, "unauthenticated")
                assert "www-authenticate" in response.headers
        assert_problem(await client.get("/v1/model"), 401, "unauthenticated")


async def test_a_key_may_come_as_a_bearer_token(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        key = client.headers.pop("x-api-key")
        response = await client.post("/v1/score", json=served.key(), headers={"Authorization": f"Bearer {key}"})

    assert response.status_code == 200


async def test_an_unknown_entity_is_404(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        key = dict.fromkeys(served.service.entities, SECRET)
        assert_problem(await client.post("/v1/score", json=key), 404, "unknown-entity")


async def test_an_unknown_path_is_404_and_a_wrong_method_405(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        assert_problem(await client.get(f"/{SECRET}"), 404, "no-route")
        assert_problem(await client.post("/v1/score/", json=served.key()), 404, "no-route")
        response = await client.put("/v1/score", json=served.key())
        assert_problem(response, 405, "method-not-allowed")
        assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/v1/score", "/v1/score/bulk"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"candidate_id": "\xff"}',
        b"nonsense",
        b'{"features": {"x": NaN}}',
        b"{}{}",
    ],
)
async def test_what_is_not_json_in_utf_8_is_400(serve: Any, path: str, body: bytes) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post(path, content=body, headers={"content-type": "application/json"})

    if b"features" in body and path.endswith("bulk"):
        assert_problem(response, 422, "invalid-request")
    else:
        assert response.status_code in {400, 422}
        assert_problem(
            response, response.status_code, {400: "malformed-request", 422: "invalid-request"}[response.status_code]
        )


@pytest.mark.parametrize("path", ["/v1/score", "/v1/score/bulk"])
@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"', b"[" * 100_000, b'{"a":' * 100_000])
async def test_json_of_another_form_is_422_or_400_however_deep(serve: Any, path: str, body: bytes) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post(path, content=body, headers={"content-type": "application/json"})

    assert_problem(response, 422, "invalid-request")


async def test_a_list_instead_of_an_object_is_422(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        problem = assert_problem(await client.post("/v1/score", json=[served.key()]), 422, "invalid-request")

    assert problem["errors"] == [{"field": "$", "rule": "Expected object, got array"}]


async def test_missing_unknown_and_ill_typed_fields_are_422_and_named(serve: Any) -> None:
    served = serve()
    entity = served.service.entities[-1]
    async with served.started() as client:
        missing = await client.post("/v1/score", json={})
        unknown = await client.post("/v1/score", json=served.key() | {SECRET: 1})
        number = await client.post("/v1/score", json=served.key() | {entity: 17})
        empty = await client.post("/v1/score", json=served.key() | {entity: ""})
        long = await client.post("/v1/score", json=served.key() | {entity: "c" * 129})
        nested = await client.post("/v1/score", json=served.key() | {"features": {SECRET: [SECRET]}})

    assert assert_problem(missing, 422, "invalid-request")["errors"][0]["field"] == served.service.entities[0]
    assert "declared" in assert_problem(unknown, 422, "invalid-request")["errors"][0]["rule"]
    for response in (number, empty, long):
        assert assert_problem(response, 422, "invalid-request")["errors"][0]["field"] == entity
    assert assert_problem(nested, 422, "invalid-request")["errors"][0]["field"].startswith("features")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("years_experience", -1),
        ("years_experience", 61),
        ("years_experience", SECRET),
        ("years_experience", True),
        ("years_experience", 10**400),
        ("desired_rate_yen", 1.5),
        ("role", SECRET),
        ("role", 3),
        ("has_github", 2),
    ],
)
async def test_an_override_that_the_contract_forbids_is_422_with_feature_and_rule(
    serve: Any, name: str, value: object
) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post("/v1/score", json=served.key() | {"features": {name: value}})

    (error,) = assert_problem(response, 422, "contract-violation")["errors"]
    assert error["field"] == f"features.{name}"
    assert error["rule"].startswith("must be")


async def test_an_override_of_no_feature_is_422_without_its_name(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post("/v1/score", json=served.key() | {"features": {SECRET: 1}})

    assert_problem(response, 422, "contract-violation")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
async def test_another_media_type_is_415(serve: Any, content_type: str) -> None:
    served = serve()
    async with served.started() as client:
        for path in ("/v1/score", "/v1/score/bulk"):
            response = await client.post(path, content=b"{}", headers={"content-type": content_type})
            assert_problem(response, 415, "unsupported-media-type")


async def test_json_with_charset_utf_8_is_read_and_another_charset_is_415(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        headers = {"content-type": "application/json; charset=UTF-8"}
        good = await client.post("/v1/score", json=served.key(), headers=headers)
        bad = await client.post(
            "/v1/score", json=served.key(), headers={"content-type": "application/json; charset=shift_jis"}
        )

    assert good.status_code == 200
    assert_problem(bad, 415, "unsupported-media-type")


async def test_an_unknown_content_encoding_is_415(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post("/v1/score", json=served.key(), headers={"content-encoding": "compress"})

    assert_problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize("path", ["/v1/score", "/v1/score/bulk"])
async def test_a_large_body_is_413_declared_or_chunked(serve: Any, path: str) -> None:
    served = serve(body_bytes_max=1000)

    async def chunks() -> Any:
        for _ in range(20):
            yield b" " * 100

    async with served.started() as client:
        declared = await client.post(path, content=b" " * 1001, headers={"content-type": "application/json"})
        chunked = await client.post(path, content=chunks(), headers={"content-type": "application/json"})

    assert_problem(declared, 413, "too-large")
    assert_problem(chunked, 413, "too-large")


async def test_a_caller_over_its_quota_is_429_with_retry_after(serve: Any) -> None:
    served = serve(quota_per_second=0.001, quota_burst=2)
    async with served.started() as client:
        statuses = [(await client.post("/v1/score", json=served.key())).status_code for _ in range(2)]
        response = await client.post("/v1/score", json=served.key())
        operations = await client.get("/livez")

    assert statuses == [200, 200]
    assert_problem(response, 429, "quota-exceeded")
    assert_retry_after(response)
    assert operations.status_code == 200


async def test_too_many_in_flight_are_shed_with_503_and_the_others_answered(serve: Any) -> None:
    served = serve(in_flight_max=2)
    served.reader.gate = asyncio.Event()
    async with served.started() as client:
        waiting = [asyncio.create_task(client.post("/v1/score", json=served.key())) for _ in range(2)]
        while served.app.state.shell.runtime.admission.in_flight < 2:  # noqa: ASYNC110  # no event tells it
            await asyncio.sleep(0)
        shed = await client.post("/v1/score", json=served.key())
        served.reader.gate.set()
        answered = await asyncio.gather(*waiting)
        after = await client.post("/v1/score", json=served.key())

    assert_problem(shed, 503, "overloaded")
    assert_retry_after(shed)
    assert [response.status_code for response in answered] == [200, 200]
    assert after.status_code == 200


async def test_the_deadline_is_504(serve: Any) -> None:
    served = serve(deadline_seconds=0.05, bulk_deadline_seconds=0.05)
    served.reader.gate = asyncio.Event()
    async with served.started() as client:
        single = await client.post("/v1/score", json=served.key())
        bulk = await client.post("/v1/score/bulk", json=served.bulk([1, 2]))
        served.reader.gate.set()
        after = await client.post("/v1/score", json=served.key())

    assert_problem(single, 504, "deadline-exceeded")
    assert_problem(bulk, 504, "deadline-exceeded")
    assert after.status_code == 200


async def test_without_a_model_scoring_is_503_with_retry_after(serve: Any) -> None:
    served = serve(ready=False)
    async with served.started() as client:
        for path, body in (
            ("/v1/score", served.key()),
            ("/v1/score/bulk", served.bulk([1])),
            ("/v1/score/bulk", served.bulk([])),
        ):
            response = await client.post(path, json=body)
            assert_problem(response, 503, "not-ready")
            assert_retry_after(response)


async def test_without_the_feature_store_scoring_is_503_with_retry_after(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        served.reader.fail_with(FeatureStoreError(SECRET))
        response = await client.post("/v1/score", json=served.key())
        served.reader.fail_with(None)
        after = await client.post("/v1/score", json=served.key())

    assert_problem(response, 503, "feature-store-unavailable")
    assert_retry_after(response)
    assert after.status_code == 200


async def test_a_bug_is_500_without_a_trace(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        served.reader.fail_with(RuntimeError(SECRET))
        with structlog.testing.capture_logs() as events:
            response = await client.post("/v1/score", json=served.key())

    problem = assert_problem(response, 500, "internal-error")
    assert [event["event"] for event in events].count("request_failed") == 1
    assert "Traceback" not in response.text
    assert set(problem) == {"type", "title", "status"}

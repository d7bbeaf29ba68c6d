"""Routes of the model's life, in every service."""

import json
import time
from typing import Any

import pytest

from serving.webhooks import sign

pytestmark = pytest.mark.anyio

SECRET = "a-webhook-secret"  # of this test


def _delivery(model: str, secret: str = SECRET) -> dict[str, Any]:
    data = {"name": model, "alias": "champion", "version": "2"}
    body = json.dumps({"entity": "model_version_alias", "action": "created", "data": data}).encode()
    timestamp = str(int(time.time()))
    signature = sign(secret.encode(), b"d1", timestamp.encode(), body).decode()
    headers = {"X-MLflow-Signature": signature, "X-MLflow-Delivery-Id": "d1", "X-MLflow-Timestamp": timestamp}
    return {"content": body, "headers": {"content-type": "application/json", **headers}}


async def test_a_signed_delivery_needs_no_key_and_is_taken_once(serve: Any) -> None:
    served = serve(webhook_secret=SECRET)
    delivery = _delivery(served.service.name)
    async with served.started() as client:
        del client.headers["x-api-key"]
        first = await client.post("/v1/model/webhook", **delivery)
        replayed = await client.post("/v1/model/webhook", **delivery)
        forged = await client.post("/v1/model/webhook", **_delivery(served.service.name, "another"))
        unsigned = await client.post("/v1/model/webhook", json={})
        large = await client.post("/v1/model/webhook", content=b" " * 100_000)

    assert first.status_code == 202
    assert [answer.status_code for answer in (replayed, forged, unsigned, large)] == [401, 401, 401, 413]
    assert "seen before" in replayed.json()["detail"]


async def test_without_a_secret_no_delivery_is_taken(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        answer = await client.post("/v1/model/webhook", **_delivery(served.service.name))

    assert answer.status_code == 403


async def test_the_history_asks_a_key_and_is_empty_where_nothing_moved(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        answer = await client.get("/v1/model/history")
        del client.headers["x-api-key"]
        without = await client.get("/v1/model/history")

    assert answer.json() == {"name": served.service.name, "promotions": [], "next": None}
    assert without.status_code == 401


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("limit=-1", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("before=yesterday", "before"),
        ("before=", "before"),
    ],
)
async def test_a_page_that_cannot_be_is_said(serve: Any, query: str, field: str) -> None:
    served = serve()
    async with served.started() as client:
        answer = await client.get(f"/v1/model/history?{query}")

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]

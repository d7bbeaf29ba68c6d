"""`POST /v1/feedback` of every service: what is acknowledged is on the disk, and what cannot be is refused."""

import asyncio
import gzip
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.prediction_log import decode_feedback
from inference.prediction_log.spool_frames import scan

pytestmark = pytest.mark.anyio

ID = "01999999-9999-7999-8999-999999999999"
NDJSON = {"content-type": "application/x-ndjson"}
JSON = {"content-type": "application/json"}


def feedback(**more: Any) -> dict[str, Any]:
    return {"prediction_id": ID, "outcome": 1, "observed_at": "2026-10-01T09:00:00+09:00", **more}


def on_disk(home: Path) -> list[Any]:
    """Everything in the journals."""
    files = sorted(home.glob("spool/feedback/*/*/*.frames"))
    return [row for file in files for frame in scan(file.read_bytes()).frames for row in decode_feedback(frame.message)]


def assert_refused(response: httpx.Response, status: int, field: str | None = None) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    if field is not None:
        assert response.json()["errors"][0]["field"] == field


async def test_feedback_is_on_the_disk_when_it_is_acknowledged(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post("/v1/feedback", json=feedback())
        kept = on_disk(served.settings.home)

    assert (response.status_code, response.json()) == (200, {"accepted": 1})
    (row,) = kept
    assert (row.prediction_id, row.outcome, row.caller) == (ID, 1.0, "tests")
    assert datetime.fromtimestamp(row.observed_at_us / 1e6, UTC) == datetime(2026, 10, 1, tzinfo=UTC)


async def test_the_id_that_a_score_gave_is_taken(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        scored = (await client.post("/v1/score", json=served.key())).json()
        bulk = (await client.post("/v1/score/bulk", json=served.bulk([3, 4]))).json()["rows"]
        ids = [scored["prediction_id"], *(row["prediction_id"] for row in bulk)]
        responses = [await client.post("/v1/feedback", json=feedback(prediction_id=one)) for one in ids]

    assert [response.status_code for response in responses] == [200, 200, 200]


async def test_lists_and_ndjson_are_taken_whole(serve: Any) -> None:
    served = serve()
    rows = [feedback(prediction_id=f"01999999-9999-7999-8999-{number:012x}") for number in range(3)]
    lines = "\n".join(map(json.dumps, rows)).encode()
    async with served.started() as client:
        listed = await client.post("/v1/feedback", json=rows)
        streamed = await client.post("/v1/feedback", content=lines, headers=NDJSON)
        folded = await client.post(
            "/v1/feedback", content=gzip.compress(lines, mtime=0), headers={**NDJSON, "content-encoding": "gzip"}
        )

    assert [one.json() for one in (listed, streamed, folded)] == [{"accepted": 3}] * 3
    assert len(on_disk(served.settings.home)) == 9


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prediction_id": 17}, "prediction_id"),
        ({"prediction_id": ""}, "prediction_id"),
        ({"prediction_id": "c0000001"}, "prediction_id"),
        ({"prediction_id": "9" * 10_000}, "prediction_id"),
        ({"prediction_id": str(uuid.UUID(int=1, version=4))}, "prediction_id"),
        ({"prediction_id": "ffffffff-ffff-7999-8999-999999999999"}, "prediction_id"),
        ({"outcome": "yes"}, "outcome"),
        ({"outcome": None}, "outcome"),
        ({"outcome": [1]}, "outcome"),
        ({"observed_at": "yesterday"}, "observed_at"),
        ({"observed_at": "2026-10-01T09:00:00"}, "observed_at"),
        ({"observed_at": "2126-10-01T09:00:00Z"}, "observed_at"),
        ({"observed_at": "1926-10-01T09:00:00Z"}, "observed_at"),
        ({"observed_at": 1_790_000_000}, "observed_at"),
    ],
)
async def test_what_is_no_feedback_is_422_with_its_field(serve: Any, change: Mapping[str, Any], field: str) -> None:
    served = serve()
    async with served.started() as client:
        one = await client.post("/v1/feedback", json=feedback(**change))
        second = await client.post("/v1/feedback", json=[feedback(), feedback(**change)])

    assert_refused(one, 422, field)
    assert_refused(second, 422, f"[1].{field}")
    assert on_disk(served.settings.home) == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"outcome": NaN}', b"nonsense", b"{}{}", b"[" * 100_000])
async def test_what_is_not_json_in_utf_8_is_refused(serve: Any, body: bytes) -> None:
    served = serve()
    async with served.started() as client:
        responses = [await client.post("/v1/feedback", content=body, headers=kind) for kind in (JSON, NDJSON)]

    for response in responses:
        assert response.status_code in {400, 422}
        assert response.headers["content-type"] == "application/problem+json"


async def test_numbers_beyond_all_bounds_are_refused(serve: Any) -> None:
    served = serve()
    text = json.dumps(feedback())
    async with served.started() as client:
        for number in ("NaN", "Infinity", "1e999", "1" + 400 * "0"):
            content = text.replace('"outcome": 1', f'"outcome": {number}').encode()
            response = await client.post("/v1/feedback", content=content, headers=JSON)
            assert response.status_code in {400, 422}

    assert on_disk(served.settings.home) == []


async def test_the_outcome_fits_what_the_model_predicts(serve: Any) -> None:
    served = serve()
    task = served.live.version.contract.task
    async with served.started() as client:
        yes = await client.post("/v1/feedback", json=feedback(outcome=True))
        number = await client.post("/v1/feedback", json=feedback(outcome=5400.5))

    assert (yes.status_code, number.status_code) == ((422, 200) if task == "regression" else (200, 422))


async def test_nothing_a_field_too_many_and_too_much_are_refused(serve: Any) -> None:
    served = serve(bulk_rows_max=2, body_bytes_max=1000)
    async with served.started() as client:
        assert_refused(await client.post("/v1/feedback", json={}), 422, "prediction_id")
        assert_refused(await client.post("/v1/feedback", json=[]), 422, "$")
        assert_refused(await client.post("/v1/feedback", content=b"\n", headers=NDJSON), 422, "$")
        assert_refused(await client.post("/v1/feedback", json=feedback(candidate_id="c1")), 422)
        assert_refused(await client.post("/v1/feedback", json=[feedback()] * 3), 413)
        assert_refused(await client.post("/v1/feedback", content=b" " * 1001, headers=JSON), 413)
        unfolding = {**NDJSON, "content-encoding": "gzip"}
        bomb = gzip.compress(b" " * 100_000, mtime=0)
        assert_refused(await client.post("/v1/feedback", content=bomb, headers=unfolding), 413)
        arrow = {"content-type": "application/vnd.apache.arrow.stream"}
        for headers in (arrow, {"content-type": "text/plain"}, {**JSON, "content-encoding": "br"}):
            assert_refused(await client.post("/v1/feedback", content=b"{}", headers=headers), 415)
        assert_refused(await client.post("/v1/feedback", json=feedback(), headers={"x-api-key": "wrong"}), 401)
        assert_refused(await client.get("/v1/feedback"), 405)


async def test_a_clock_that_is_a_little_ahead_is_no_lie(serve: Any) -> None:
    served = serve()
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    async with served.started() as client:
        response = await client.post("/v1/feedback", json=feedback(observed_at=soon))

    assert response.status_code == 200


async def test_a_full_journal_is_503_and_holds_what_was_acknowledged(serve: Any) -> None:
    served = serve(feedback_journal_bytes_max=500)
    async with served.started() as client:
        responses = [await client.post("/v1/feedback", json=feedback()) for _ in range(12)]
        score = await client.post("/v1/score", json=served.key())

    statuses = [response.status_code for response in responses]
    assert set(statuses) == {200, 503}
    assert statuses == sorted(statuses)
    assert int(responses[-1].headers["retry-after"]) >= 1
    assert responses[-1].json()["type"] == "/problems/feedback-not-kept"
    assert len(on_disk(served.settings.home)) == statuses.count(200)
    assert score.status_code == 200


async def test_a_disk_that_cannot_be_written_is_503_and_scoring_goes_on(serve: Any) -> None:
    served = serve()
    # A file where the folder should be: as with a read-only disk nothing can be written, by root neither.
    (served.settings.home / "spool").write_text("")
    async with served.started() as client:
        refused = await client.post("/v1/feedback", json=feedback())
        score = await client.post("/v1/score", json=served.key())
        metrics = (await client.get("/metrics")).text

    assert_refused(refused, 503)
    assert score.status_code == 200
    name = served.service.name
    assert f'scoring_feedback_refused_rows_total{{service="{name}"}} 1.0' in metrics
    assert f'scoring_feedback_rows_total{{service="{name}"}} 0.0' in metrics


async def test_many_at_once_share_few_writes(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        responses = await asyncio.gather(*(client.post("/v1/feedback", json=feedback()) for _ in range(100)))
        kept = on_disk(served.settings.home)

    assert {response.status_code for response in responses} == {200}
    assert len(kept) == 100


async def test_feedback_is_taken_without_a_model(serve: Any) -> None:
    served = serve(ready=False)
    async with served.started() as client:
        response = await client.post("/v1/feedback", json=feedback())

    assert response.status_code == 200

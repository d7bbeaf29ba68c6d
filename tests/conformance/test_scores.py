"""The answers of `/v1/score` and `/v1/score/bulk`."""

import dataclasses
import math
import uuid
from typing import Any

import msgspec
import numpy as np
import pytest

pytestmark = pytest.mark.anyio


async def test_a_score_has_the_promised_form(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post("/v1/score", json=served.key())

    answer = response.json()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert list(answer) == [
        "prediction_id", *served.service.entities, "prediction", "model", "features", "degraded", "explanation",
    ]  # fmt: skip
    assert uuid.UUID(answer["prediction_id"]).version == 7
    assert {entity: answer[entity] for entity in served.service.entities} == served.key()
    assert answer["model"] == {"name": served.service.name, "version": "1", "alias": "champion"}
    assert answer["features"] == {"as_of": "2026-09-21T14:13:20Z", "missing": [], "stale": []}
    assert answer["degraded"] is False
    assert answer["explanation"] is None
    msgspec.convert(answer["prediction"], served.service.prediction, strict=True)
    assert tuple(answer["prediction"]) == served.service.prediction.__struct_fields__


async def test_a_score_is_the_booster_s_number_after_post_processing(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        answer = (await client.post("/v1/score", json=served.key(5))).json()

    keys = {entity: [identity] for entity, identity in served.key(5).items()}
    stored = await served.live.reader.read(keys)
    version = served.live.version
    raw = version.booster.predict(version.assembly.assemble(stored).matrix)
    expected = served.service.postprocess(raw, version.contract.output)
    assert answer["prediction"] == {name: column.tolist()[0] for name, column in expected.items()}


async def test_a_score_names_what_is_missing_and_is_degraded_without_a_required_feature(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        lacking_required = (await client.post("/v1/score", json=served.key(1))).json()
        lacking_other = (await client.post("/v1/score", json=served.key(2))).json()

    assert lacking_required["features"]["missing"] == ["years_experience"]
    assert lacking_required["degraded"] is True
    assert lacking_other["features"]["missing"] == ["desired_rate_yen"]
    assert lacking_other["degraded"] is False


async def test_a_score_names_what_is_stale(serve: Any) -> None:
    served = serve()
    key = tuple(served.key().values())
    served.reader.put(key, {"role": "qa_engineer"}, stale=["years_experience"], as_of_us=1)
    async with served.started() as client:
        answer = (await client.post("/v1/score", json=served.key())).json()

    assert answer["features"]["stale"] == ["years_experience"]
    assert answer["degraded"] is True


async def test_an_explanation_adds_up_to_the_booster_s_margin(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        answer = (await client.post("/v1/score", json=served.key() | {"explain": True})).json()

    version = served.live.version
    explanation = answer["explanation"]
    assert list(explanation["contributions"]) == [feature.name for feature in version.contract.inputs]
    stored = await served.live.reader.read({entity: [one] for entity, one in served.key().items()})
    raw = float(version.booster.predict(version.assembly.assemble(stored).matrix)[0])
    margin = math.log(raw / (1 - raw)) if version.contract.task == "binary" else raw
    assert explanation["base"] + sum(explanation["contributions"].values()) == pytest.approx(margin)


async def test_overrides_replace_the_store_s_values(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        overridden = await client.post("/v1/score", json=served.key(1) | {"features": {"years_experience": 7}})
        removed = await client.post("/v1/score", json=served.key(3) | {"features": {"years_experience": None}})

    assert overridden.json()["features"]["missing"] == []
    assert overridden.json()["degraded"] is False
    assert removed.json()["features"]["missing"] == ["years_experience"]
    assert removed.json()["degraded"] is True


async def test_bulk_keeps_its_good_rows_beside_unknown_ids(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post("/v1/score/bulk", json=served.bulk([3, 999, 1]))
        single = (await client.post("/v1/score", json=served.key(3))).json()

    answer = response.json()
    assert response.status_code == 200
    assert list(answer) == ["model", "rows"]
    assert [row["status"] for row in answer["rows"]] == ["ok", "not_found", "degraded"]
    good, unknown, degraded = answer["rows"]
    assert list(good) == ["prediction_id", *served.service.entities, "status", "prediction", "features"]
    assert good["prediction"] == single["prediction"]
    assert good["features"] == single["features"]
    assert unknown | {"status": ""} == served.key(999) | {
        "prediction_id": None, "status": "", "prediction": None, "features": None,
    }  # fmt: skip
    assert degraded["features"]["missing"] == ["years_experience"]
    assert good["prediction_id"] != degraded["prediction_id"]


async def test_bulk_answers_in_the_order_of_the_request_however_large(serve: Any) -> None:
    served = serve()
    numbers = [int(number) for number in np.random.default_rng(1).integers(1, 60, 3000)]
    async with served.started() as client:
        answer = (await client.post("/v1/score/bulk", json=served.bulk(numbers))).json()

    assert [row["candidate_id"] for row in answer["rows"]] == [served.key(number)["candidate_id"] for number in numbers]
    by_id: dict[str, Any] = {}
    for row in answer["rows"]:
        assert by_id.setdefault(row["candidate_id"], row["prediction"]) == row["prediction"]
    assert len({row["prediction_id"] for row in answer["rows"] if row["status"] != "not_found"}) == sum(
        row["status"] != "not_found" for row in answer["rows"]
    )


async def test_bulk_of_nothing_answers_no_rows(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post("/v1/score/bulk", json=served.bulk([]))

    assert response.status_code == 200
    assert response.json() == {
        "model": {"name": served.service.name, "version": "1", "alias": "champion"},
        "rows": [],
    }


async def test_the_largest_bulk_is_served_and_one_more_row_is_refused(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        largest = await client.post("/v1/score/bulk", json=served.bulk(range(1, 10_001)))
        larger = await client.post("/v1/score/bulk", json=served.bulk(range(1, 10_002)))

    assert largest.status_code == 200
    assert len(largest.json()["rows"]) == 10_000
    assert larger.status_code == 413
    assert larger.json()["type"] == "/problems/too-large"


async def test_a_not_a_number_of_the_model_is_null(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        text = (await client.post("/v1/score/bulk", json=served.bulk([1, 2, 999]))).text

    assert "NaN" not in text
    assert "Infinity" not in text


async def test_scores_are_of_the_version_that_serves_now(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        before = (await client.post("/v1/score", json=served.key())).json()
        other = type(served.live)(dataclasses.replace(served.live.version, version="2"), served.reader)
        served.models.live = other
        after = (await client.post("/v1/score", json=served.key())).json()

    assert (before["model"]["version"], after["model"]["version"]) == ("1", "2")

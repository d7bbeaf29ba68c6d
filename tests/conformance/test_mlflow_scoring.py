"""MLflow's scoring protocol on every service."""

import gzip
import io
import json
import math
from typing import Any

import httpx
import mlflow.version
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference.errors import FeatureStoreError
from serving.mlflow_scoring import MLFLOW_VERSION

pytestmark = pytest.mark.anyio

SECRET = "zz-secret"


def records_of(served: Any, rows: int = 4) -> list[dict[str, Any]]:
    """Golden rows by column, null where missing."""
    contract = served.live.version.contract
    names = [feature.name for feature in contract.inputs]
    return [dict(zip(names, row, strict=True)) for row in contract.golden.inputs[:rows]]


def expected_of(served: Any, records: list[dict[str, Any]]) -> list[float]:
    """The booster's own output, defaults filled in."""
    version = served.live.version
    matrix = np.array([list(record.values()) for record in records], dtype=np.float64)
    defaults = [math.nan if one.default is None else one.default for one in version.contract.inputs]
    predictions: list[float] = version.booster.predict(np.where(np.isnan(matrix), defaults, matrix)).tolist()
    return predictions


def assert_error(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error_code", "message"}
    assert all(isinstance(value, str) and value for value in body.values())
    assert "Traceback" not in response.text
    assert SECRET not in response.text
    return str(body["message"])


def parquet_of(records: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), sink)
    return sink.getvalue()


def csv_of(records: list[dict[str, Any]]) -> bytes:
    lines = [",".join(records[0])]
    lines += [",".join("" if value is None else repr(value) for value in record.values()) for record in records]
    return "\n".join(lines).encode()


async def test_every_form_gives_the_booster_s_own_output(serve: Any) -> None:
    served = serve()
    records = records_of(served)
    columns = {name: [record[name] for record in records] for name in records[0]}
    split = {"columns": [*columns], "data": [[*record.values()] for record in records]}
    reversed_split = {"columns": [*columns][::-1], "data": [[*record.values()][::-1] for record in records]}
    extra = [{"more": SECRET, **record} for record in records]
    forms: list[dict[str, Any]] = [
        {"dataframe_split": split},
        {"dataframe_split": {**split, "index": [3, 4, 5, 6]}},
        {"dataframe_split": reversed_split},
        {"dataframe_records": records},
        {"dataframe_records": extra},
        {"instances": records},
        {"instances": columns},
        {"inputs": columns},
        {"inputs": records},
        {"inputs": columns, "params": {"anything": 1}},
    ]
    async with served.started() as client:
        answers = [await client.post("/invocations", json=form) for form in forms]
        for body, media_type in (
            (csv_of(records), "text/csv"),
            (csv_of(extra), "text/csv; charset=utf-8"),
            (parquet_of(records), "application/vnd.apache.parquet"),
            (parquet_of(extra), "application/vnd.apache.parquet"),
        ):
            answers.append(await client.post("/invocations", content=body, headers={"content-type": media_type}))
        single = await client.post("/invocations", json={"inputs": records[0]})

    expected = expected_of(served, records)
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {"predictions": expected}
    assert single.json() == {"predictions": expected[:1]}


async def test_null_nan_and_an_absent_value_are_the_same_missing_value(serve: Any) -> None:
    served = serve()
    first, second = records_of(served, 2)
    null = [first, {**second, "years_experience": None}]
    absent = [first, {name: value for name, value in second.items() if name != "years_experience"}]
    nan = json.dumps({"dataframe_records": [first, {**second, "years_experience": math.nan}]})
    headers = {"content-type": "application/json"}
    async with served.started() as client:
        answers = [
            await client.post("/invocations", json={"dataframe_records": null}),
            await client.post("/invocations", json={"dataframe_records": absent}),
            await client.post("/invocations", content=nan.encode(), headers=headers),
            await client.post("/invocations", content=csv_of(null), headers={"content-type": "text/csv"}),
        ]

    assert "NaN" in nan
    for answer in answers:
        assert answer.json() == {"predictions": expected_of(served, null)}


async def test_categories_may_come_as_the_contract_s_words_in_every_body(serve: Any) -> None:
    served = serve()
    contract = served.live.version.contract
    records = [{**record, "role": code} for record, code in zip(records_of(served), (0, 1, 2, None), strict=True)]
    categories = contract.inputs[0].categories
    worded = [{**one, "role": None if one["role"] is None else categories[one["role"]]} for one in records]
    csv = csv_of(worded).replace(b"'", b"")
    async with served.started() as client:
        answers = [
            await client.post("/invocations", json={"dataframe_records": worded}),
            await client.post("/invocations", content=csv, headers={"content-type": "text/csv"}),
            await client.post(
                "/invocations",
                content=parquet_of(worded),
                headers={"content-type": "application/vnd.apache.parquet"},
            ),
        ]
        wrong = await client.post("/invocations", json={"dataframe_records": [{**worded[0], "role": SECRET}]})

    for answer in answers:
        assert answer.json() == {"predictions": expected_of(served, records)}
    assert "role" in assert_error(wrong, 400)


async def test_a_missing_column_is_400_and_named(serve: Any) -> None:
    served = serve()
    records = [{name: value for name, value in one.items() if name != "role"} for one in records_of(served)]
    async with served.started() as client:
        for body, media_type in (
            (json.dumps({"dataframe_records": records}).encode(), "application/json"),
            (csv_of(records), "text/csv"),
            (parquet_of(records), "application/vnd.apache.parquet"),
        ):
            response = await client.post("/invocations", content=body, headers={"content-type": media_type})
            assert assert_error(response, 400) == "Model is missing inputs: role."


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"1", b"\xff", b"{}", b"[" * 100_000,
        b'{"inputs": {}, "instances": []}', b'{"inputs": {}}', b'{"inputs": 1}', b'{"inputs": [1]}',
        b'{"instances": []}', b'{"instances": [[1]]}', b'{"instances": [{"role": 1}, {"zz-secret": 1}]}',
        b'{"dataframe_records": []}', b'{"dataframe_records": {"zz-secret": 1}}', b'{"dataframe_records": [1]}',
        b'{"dataframe_split": []}', b'{"dataframe_split": {"columns": ["a"]}}', b'{"dataframe_split": {"data": [[1]]}}',
        b'{"dataframe_split": {"columns": ["a"], "data": [[1]], "zz-secret": 1}}',
        b'{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}',
        b'{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}',
        b'{"dataframe_split": {"columns": ["a"], "data": [[1]], "index": [1, 2]}}',
    ],
)  # fmt: skip
async def test_what_has_none_of_the_forms_is_400(serve: Any, body: bytes) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post("/invocations", content=body, headers={"content-type": "application/json"})

    assert_error(response, 400)


@pytest.mark.parametrize(
    "change",
    [
        {"years_experience": -1},
        {"years_experience": SECRET},
        {"years_experience": [1]},
        {"role": 1e6},
        {"desired_rate_yen": 10**400},
    ],
)
async def test_values_that_the_contract_forbids_are_400(serve: Any, change: dict[str, Any]) -> None:
    served = serve()
    records = [{**record, **change} for record in records_of(served, 2)]
    async with served.started() as client:
        for form in ("dataframe_records", "instances"):
            assert_error(await client.post("/invocations", json={form: records}), 400)


async def test_other_media_types_are_415_and_broken_bodies_400(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        for media_type in ("text/plain", "", "application/json; charset=latin-1", "application/json; version=2"):
            response = await client.post("/invocations", content=b"{}", headers={"content-type": media_type})
            assert_error(response, 415)
        for body, media_type in (
            (b"", "text/csv"),
            (b"a,b\n1\n", "text/csv"),
            (b"role\n\xff", "text/csv"),
            (b"PAR1", "application/vnd.apache.parquet"),
            (b"", "application/vnd.apache.parquet"),
            (parquet_of(records_of(served))[:-9], "application/vnd.apache.parquet"),
        ):
            assert_error(await client.post("/invocations", content=body, headers={"content-type": media_type}), 400)


async def test_bodies_are_bounded_in_bytes_and_rows_and_may_be_compressed(serve: Any) -> None:
    served = serve(body_bytes_max=10_000, bulk_rows_max=5)
    records = records_of(served, 1)
    good = gzip.compress(json.dumps({"dataframe_records": records * 5}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    async with served.started() as client:
        most = await client.post("/invocations", content=good, headers=headers)
        more = await client.post("/invocations", json={"dataframe_records": records * 6})
        large = await client.post("/invocations", json={"dataframe_records": records * 500})

    assert most.json() == {"predictions": expected_of(served, records * 5)}
    assert_error(more, 413)
    assert_error(large, 413)


async def test_health_and_version_need_no_credential_and_scoring_does(serve: Any) -> None:
    served = serve()
    key = served.headers["X-API-Key"]
    body = {"dataframe_records": records_of(served)}
    async with served.started() as client:
        del client.headers["x-api-key"]
        open_routes = [await client.get(path) for path in ("/ping", "/health", "/version")]
        stranger = await client.post("/invocations", json=body)
        wrong = await client.post("/invocations", json=body, auth=("anyone", SECRET))
        malformed = await client.post("/invocations", json=body, headers={"authorization": "Basic !"})
        basic = await client.post("/invocations", json=body, auth=("anyone", key))
        bearer = await client.post("/invocations", json=body, headers={"authorization": f"Bearer {key}"})
        method = await client.get("/invocations", auth=("anyone", key))

    assert [response.status_code for response in open_routes] == [200] * 3
    assert open_routes[2].text == MLFLOW_VERSION
    for response in (stranger, wrong, malformed):
        assert_error(response, 401)
    assert basic.json() == bearer.json() == {"predictions": expected_of(served, body["dataframe_records"])}
    assert_error(method, 405)


def test_the_version_is_that_of_the_mlflow_that_it_is_held_against() -> None:
    assert mlflow.version.VERSION == MLFLOW_VERSION


async def test_without_a_model_or_store_it_says_so(serve: Any) -> None:
    served = serve()
    body = {"dataframe_records": records_of(served)}
    async with served.started() as client:
        served.reader.fail_with(FeatureStoreError(SECRET))
        away = await client.get("/ping")
        without_store = await client.post("/invocations", json=body)
        served.models.live = None
        no_model = await client.get("/health")
        not_scored = await client.post("/invocations", json=body)

    assert without_store.status_code == 200
    for response in (away, no_model, not_scored):
        assert_error(response, 503)
        assert int(response.headers["retry-after"]) >= 1


async def test_a_bug_is_500_without_a_trace(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    async with served.started() as client:

        async def fail(*_: object) -> None:
            raise RuntimeError(SECRET)

        predictor = served.app.state.shell.runtime.predictor
        monkeypatch.setattr(predictor, "score_values", fail)
        response = await client.post("/invocations", json={"dataframe_records": records_of(served)})

    assert_error(response, 500)

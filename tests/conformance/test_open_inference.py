"""The Open Inference Protocol, version 2, on every service."""

import asyncio
import gzip
import json
import math
import struct
import zlib
from typing import Any

import httpx
import numpy as np
import pytest

from inference.errors import FeatureStoreError

pytestmark = pytest.mark.anyio

HEADER = "Inference-Header-Content-Length"
NUMPY = {
    "BOOL": "?", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "<i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip


def matrix_of(served: Any, rows: int = 3) -> Any:
    """Golden rows, as the model's matrix."""
    contract = served.live.version.contract
    inputs = np.array(contract.golden.inputs[:rows], dtype=np.float64)
    return inputs[:rows]


def tensors(served: Any, matrix: Any) -> list[dict[str, Any]]:
    """One JSON tensor a column."""
    return [
        {
            "name": feature.name,
            "shape": [len(matrix)],
            "datatype": "FP64",
            "data": [None if math.isnan(value) else value for value in matrix[:, column].tolist()],
        }
        for column, feature in enumerate(served.live.version.contract.inputs)
    ]


def keys(served: Any, numbers: list[int]) -> list[dict[str, Any]]:
    """The entity keys as JSON tensors."""
    rows = [served.key(number) for number in numbers]
    return [
        {"name": entity, "shape": [len(rows)], "datatype": "BYTES", "data": [row[entity] for row in rows]}
        for entity in served.service.entities
    ]


def infer_path(served: Any, suffix: str = "") -> str:
    return f"/v2/models/{served.service.name}{suffix}/infer"


def output(answer: dict[str, Any], name: str) -> Any:
    (found,) = [one for one in answer["outputs"] if one["name"] == name]
    return found["data"]


def binary(header: dict[str, Any], *parts: bytes) -> dict[str, Any]:
    """Arguments of a POST with raw tensors."""
    encoded = json.dumps(header).encode()
    return {
        "content": b"".join([encoded, *parts]),
        "headers": {HEADER: str(len(encoded)), "content-type": "application/octet-stream"},
    }


def split(response: httpx.Response) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Take a binary answer apart."""
    length = int(response.headers[HEADER])
    header = json.loads(response.content[:length])
    raw, start = {}, length
    for one in header["outputs"]:
        size = one.get("parameters", {}).get("binary_data_size")
        if size is not None:
            raw[one["name"]] = response.content[start : start + size]
            start += size
    assert start == len(response.content)
    return header, raw


def words(raw: bytes) -> list[str]:
    found, start = [], 0
    while start < len(raw):
        (length,) = struct.unpack_from("<I", raw, start)
        found.append(raw[start + 4 : start + 4 + length].decode())
        start += 4 + length
    return found


def assert_error(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"]
    assert isinstance(body["error"], str)
    assert body["error"]
    assert "zz-secret" not in response.text
    return str(body["error"])


async def test_health_server_and_model_metadata(serve: Any) -> None:
    served = serve()
    name = served.service.name
    async with served.started() as client:
        server = [await client.get(path) for path in ("/v2", "/v2/")]
        model = await client.get(f"/v2/models/{name}")
        versioned = await client.get(f"/v2/models/{name}/versions/1")
        by_id = await client.get(f"/v2/models/{name}_by_id")
        ready = [await client.get(f"/v2/models/{name}{path}/ready") for path in ("", "/versions/1", "_by_id")]
        del client.headers["x-api-key"]
        health = [await client.get(f"/v2/health/{path}") for path in ("live", "ready")]

    for response in server:
        assert response.status_code == 200
        assert response.json()["extensions"] == ["binary_tensor_data", "model_repository"]
    contract = served.live.version.contract
    assert model.json() == versioned.json()
    assert model.json()["versions"] == ["1"]
    expected = [{"name": one.name, "datatype": "FP64", "shape": [-1]} for one in contract.inputs]
    assert model.json()["inputs"] == expected
    outputs = [one["name"] for one in model.json()["outputs"]]
    assert outputs == [*served.service.prediction.__struct_fields__, "raw"]
    assert by_id.json()["inputs"] == [{"name": e, "datatype": "BYTES", "shape": [-1]} for e in contract.entities]
    assert [one["name"] for one in by_id.json()["outputs"]] == [*outputs, "status"]
    assert [response.status_code for response in ready] == [200] * 3
    assert [response.json() for response in health] == [{"live": True}, {"ready": True, "live": True}]


async def test_rows_of_features_are_scored_as_the_booster_and_the_service_score_them(serve: Any) -> None:
    served = serve()
    matrix = matrix_of(served, 16)
    async with served.started() as client:
        response = await client.post(infer_path(served), json={"id": "mine", "inputs": tensors(served, matrix)})
        column = [{**one, "shape": [16, 1]} for one in tensors(served, matrix)]
        nested = [{**one, "data": [[value] for value in one["data"]]} for one in column]
        whole = {"name": "matrix", "shape": [*matrix.shape], "datatype": "FP64"}
        data = [[None if math.isnan(value) else value for value in row] for row in matrix.tolist()]
        flat = [value for row in data for value in row]
        others = [
            await client.post(infer_path(served), json={"inputs": inputs})
            for inputs in (column, nested, [{**whole, "data": data}], [{**whole, "data": flat}])
        ]

    answer = response.json()
    version = served.live.version
    assert response.status_code == 200
    assert list(answer) == ["model_name", "model_version", "id", "outputs"]
    assert (answer["model_name"], answer["model_version"], answer["id"]) == (served.service.name, "1", "mine")
    raw = np.array(version.contract.golden.raw)
    defaults = np.array([math.nan if one.default is None else one.default for one in version.contract.inputs])
    raw = version.booster.predict(np.where(np.isnan(matrix), defaults, matrix))
    assert output(answer, "raw") == raw.tolist()
    expected = served.service.postprocess(raw, version.contract.output)
    for name, values in expected.items():
        assert output(answer, name) == values.tolist()
    for other in others:
        assert other.status_code == 200, other.text
        assert other.json()["outputs"] == answer["outputs"]
        assert isinstance(other.json()["id"], str)
        assert other.json()["id"]


async def test_binary_tensors_go_both_ways_and_say_the_same_as_json(serve: Any) -> None:
    served = serve()
    matrix = matrix_of(served, 8)
    inputs = tensors(served, matrix)
    parts = [matrix[:, column].tobytes() for column in range(matrix.shape[1])]
    for one, part in zip(inputs, parts, strict=True):
        del one["data"]
        one["parameters"] = {"binary_data_size": len(part)}
    async with served.started() as client:
        plain = (await client.post(infer_path(served), json={"inputs": tensors(served, matrix)})).json()
        everything = {"inputs": inputs, "parameters": {"binary_data_output": True}}
        both = await client.post(infer_path(served), **binary(everything, *parts))
        only_in = await client.post(infer_path(served), **binary({"inputs": inputs}, *parts))
        some = {"outputs": [{"name": "raw", "parameters": {"binary_data": False}}], **everything}
        mixed = await client.post(infer_path(served), **binary(some, *parts))

    header, raw = split(both)
    assert both.headers["content-type"] == "application/octet-stream"
    for one in header["outputs"]:
        assert one["shape"] == [8]
        assert "data" not in one
        got = np.frombuffer(raw[one["name"]]).tolist() if one["datatype"] == "FP64" else words(raw[one["name"]])
        assert got == output(plain, one["name"])
    assert only_in.json()["outputs"] == plain["outputs"]
    assert HEADER not in only_in.headers
    assert [one["name"] for one in mixed.json()["outputs"]] == ["raw"]
    assert output(mixed.json(), "raw") == output(plain, "raw")


@pytest.mark.parametrize("datatype", [*NUMPY, "BF16"])
async def test_every_numeric_datatype_is_read_from_json_and_raw(serve: Any, datatype: str) -> None:
    served = serve()
    contract = served.live.version.contract
    ones = np.ones(2, dtype="<u2" if datatype == "BF16" else NUMPY[datatype])
    raw = (ones * 0x3F80).astype("<u2").tobytes() if datatype == "BF16" else ones.tobytes()
    inputs = [{"name": one.name, "shape": [2], "datatype": datatype} for one in contract.inputs]
    sized = [{**one, "parameters": {"binary_data_size": len(raw)}} for one in inputs]
    value: Any = True if datatype == "BOOL" else 1
    async with served.started() as client:
        as_json = await client.post(
            infer_path(served), json={"inputs": [{**one, "data": [value] * 2} for one in inputs]}
        )
        as_raw = await client.post(infer_path(served), **binary({"inputs": sized}, *[raw] * len(sized)))

    expected = served.live.version.booster.predict(np.ones((2, len(contract.inputs)))).tolist()
    assert output(as_json.json(), "raw") == expected
    assert output(as_raw.json(), "raw") == expected


async def test_categories_may_come_as_words_and_an_empty_word_is_missing(serve: Any) -> None:
    served = serve()
    contract = served.live.version.contract
    matrix = matrix_of(served, 2)
    matrix[1] = matrix[0]
    matrix[0, 0], matrix[1, 0] = 2, math.nan
    worded = tensors(served, matrix)
    assert worded[0]["name"] == "role"
    worded[0] |= {"datatype": "BYTES", "data": [contract.inputs[0].categories[2], ""]}
    async with served.started() as client:
        codes = (await client.post(infer_path(served), json={"inputs": tensors(served, matrix)})).json()
        named = (await client.post(infer_path(served), json={"inputs": worded})).json()
        worded[0] |= {"data": ["zz-secret", ""]}
        wrong = await client.post(infer_path(served), json={"inputs": worded})

    assert named["outputs"] == codes["outputs"]
    assert "role" in assert_error(wrong, 400)


async def test_the_second_model_reads_the_store_and_an_unknown_id_fails_nobody(serve: Any) -> None:
    served = serve()
    numbers = [3, 999, 1]
    async with served.started() as client:
        bulk = (await client.post("/v1/score/bulk", json=served.bulk(numbers))).json()
        response = await client.post(infer_path(served, "_by_id"), json={"inputs": keys(served, numbers)})
        raw = [struct.pack("<I", len(word)) + word.encode() for key in keys(served, numbers) for word in key["data"]]
        sized = []
        for position, key in enumerate(keys(served, numbers)):
            del key["data"]
            size = sum(map(len, raw[position * 3 : position * 3 + 3]))
            sized.append({**key, "shape": [3, 1], "parameters": {"binary_data_size": size}})
        message = {"inputs": sized, "parameters": {"binary_data_output": True}}
        packed = await client.post(infer_path(served, "_by_id"), **binary(message, *raw))

    answer = response.json()
    assert response.status_code == 200
    assert answer["model_name"] == f"{served.service.name}_by_id"
    assert output(answer, "status") == ["ok", "not_found", "degraded"]
    for name in served.service.prediction.__struct_fields__:
        expected = [row["prediction"] and row["prediction"][name] for row in bulk["rows"]]
        got = output(answer, name)
        assert got[0] == expected[0]
        assert got[1] in {None, ""}
        assert got[2] == expected[2]
    header, parts = split(packed)
    assert words(parts["status"]) == ["ok", "not_found", "degraded"]
    assert np.isnan(np.frombuffer(parts["raw"])[1])
    assert [one["name"] for one in header["outputs"]] == [one["name"] for one in answer["outputs"]]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_bodies_may_be_compressed_both_ways(serve: Any, encoding: str) -> None:
    served = serve()
    body = json.dumps({"inputs": keys(served, [3] * 200)}).encode()
    folded = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    path = infer_path(served, "_by_id")
    async with served.started() as client:
        plain = await client.post(path, content=body, headers={"accept-encoding": "identity"})
        both = await client.post(
            path, content=folded, headers={"content-encoding": encoding, "accept-encoding": encoding}
        )
        broken = await client.post(path, content=folded[:-9], headers={"content-encoding": encoding})
        unknown = await client.post(path, content=body, headers={"content-encoding": "br"})

    assert "content-encoding" not in plain.headers
    assert both.headers["content-encoding"] == encoding
    assert both.json()["outputs"] == plain.json()["outputs"]
    assert_error(broken, 400)
    assert_error(unknown, 415)


async def test_a_small_body_that_unfolds_to_too_much_is_413(serve: Any) -> None:
    served = serve(body_bytes_max=100_000)
    bomb = gzip.compress(b" " * 10_000_000)
    async with served.started() as client:
        response = await client.post(infer_path(served), content=bomb, headers={"content-encoding": "gzip"})
        plain = await client.post(infer_path(served), content=b" " * 100_001)

    assert_error(response, 413)
    assert_error(plain, 413)


WRONG: dict[str, Any] = {
    "missing input": lambda t: t[1:],
    "no input": lambda _: [],
    "unknown input": lambda t: [*t, {**t[0], "name": "zz-secret"}],
    "given twice": lambda t: [*t, t[0]],
    "wrong shape": lambda t: [{**t[0], "shape": [3]}, *t[1:]],
    "wide shape": lambda t: [{**one, "shape": [1, 2]} for one in t],
    "negative shape": lambda t: [{**t[0], "shape": [-1]}, *t[1:]],
    "no shape": lambda t: [{**t[0], "shape": []}, *t[1:]],
    "rows differ": lambda t: [{**t[0], "shape": [1], "data": [1]}, *t[1:]],
    "no rows": lambda t: [{**one, "shape": [0], "data": []} for one in t],
    "unknown datatype": lambda t: [{**t[0], "datatype": "zz-secret"}, *t[1:]],
    "words for a number": lambda t: [t[0], {**t[1], "datatype": "BYTES", "data": ["1", "2"]}, *t[2:]],
    "string data": lambda t: [t[0], {**t[1], "data": ["1", "2"]}, *t[2:]],
    "null whole number": lambda t: [t[0], {**t[1], "datatype": "INT64", "data": [1, None]}, *t[2:]],
    "null word": lambda t: [{**t[0], "datatype": "BYTES", "data": [None, ""]}, *t[1:]],
    "fraction": lambda t: [t[0], {**t[1], "datatype": "INT64", "data": [1.5, 2]}, *t[2:]],
    "overflow": lambda t: [t[0], {**t[1], "datatype": "INT8", "data": [1000, 2]}, *t[2:]],
    "inexact": lambda t: [t[0], {**t[1], "datatype": "INT64", "data": [2**60 + 1, 2]}, *t[2:]],
    "ragged": lambda t: [{**t[0], "data": [[1], [2, 3]]}, *t[1:]],
    "out of bounds": lambda t: [t[0], {**t[1], "data": [-5, 1]}, *t[2:]],
    "no such code": lambda t: [{**t[0], "data": [1e6, 0]}, *t[1:]],
    "infinite": lambda t: [{**t[0], "datatype": "FP32", "data": [1e300, 0]}, *t[1:]],
    "no data": lambda t: [{"name": t[0]["name"], "shape": [2], "datatype": "FP64"}, *t[1:]],
    "raw without header": lambda t: [{**t[0], "data": None, "parameters": {"binary_data_size": 16}}, *t[1:]],
    "shared memory": lambda t: [{**t[0], "parameters": {"shared_memory_region": "zz-secret"}}, *t[1:]],
    "narrow matrix": lambda _: [{"name": "matrix", "shape": [2, 1], "datatype": "FP64", "data": [1, 2]}],
}


@pytest.mark.parametrize("change", list(WRONG))
async def test_inputs_that_do_not_fit_are_400(serve: Any, change: str) -> None:
    served = serve()
    inputs = WRONG[change](tensors(served, matrix_of(served, 2)))
    async with served.started() as client:
        response = await client.post(infer_path(served), json={"inputs": inputs})

    assert_error(response, 400)


async def test_raw_tensors_that_do_not_fit_are_400(serve: Any) -> None:
    served = serve()
    entity = served.service.entities[-1]
    sized = [
        {"name": one, "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}}
        for one in served.service.entities
    ]
    good = [b"\x02\x00\x00\x00c1"] * len(sized)
    cases: list[dict[str, Any]] = [
        binary({"inputs": sized}, *good, b"more"),
        binary({"inputs": sized}, *good[:-1], good[-1][:-1]),
        binary({"inputs": sized}, *good[:-1], b"\x03\x00\x00\x00c1"),
        binary({"inputs": sized}, *good[:-1], b"\x02\x00\x00\x00\xff\xfe"),
        binary({"inputs": sized}, *good[:-1], b"\x00\x00\x00\x00c1"),
        binary({"inputs": [*sized[:-1], {**sized[-1], "parameters": {"binary_data_size": "6"}}]}, *good),
        binary({"inputs": [*sized[:-1], {**sized[-1], "datatype": "FP64"}]}, *good),
        binary({"inputs": [{**one, "name": "x"} if one["name"] == entity else one for one in sized]}, *good),
    ]
    cases.append({**cases[0], "headers": {HEADER: "10000000"}})
    cases.append({**cases[0], "headers": {HEADER: "-1"}})
    async with served.started() as client:
        for case in cases:
            assert_error(await client.post(infer_path(served, "_by_id"), **case), 400)
        fine = await client.post(infer_path(served, "_by_id"), **binary({"inputs": sized}, *good))

    assert fine.status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"inputs": 1}', b'{"inputs": [{"name": 1}]}'],
)
async def test_what_is_no_inference_request_is_400(serve: Any, body: bytes) -> None:
    served = serve()
    async with served.started() as client:
        assert_error(await client.post(infer_path(served), content=body), 400)


async def test_a_bare_nan_as_python_writes_it_is_a_missing_value(serve: Any) -> None:
    served = serve()
    matrix = matrix_of(served, 2)
    matrix[0, 2] = math.nan
    bare = json.dumps(
        {"inputs": [{**one, "data": matrix[:, i].tolist()} for i, one in enumerate(tensors(served, matrix))]}
    )
    async with served.started() as client:
        null = await client.post(infer_path(served), json={"inputs": tensors(served, matrix)})
        nan = await client.post(infer_path(served), content=bare.encode())

    assert "NaN" in bare
    assert nan.json()["outputs"] == null.json()["outputs"]


async def test_unknown_outputs_are_400_and_unknown_models_versions_and_paths_404(serve: Any) -> None:
    served = serve()
    name = served.service.name
    message = {"inputs": keys(served, [3])}
    async with served.started() as client:
        for wanted in ([{"name": "zz-secret"}], [{"name": "raw"}, {"name": "raw"}]):
            assert_error(await client.post(infer_path(served, "_by_id"), json={**message, "outputs": wanted}), 400)
        for path in (f"{name}/versions/2", "zz-secret", f"{name}_by_id/versions/zz-secret"):
            assert_error(await client.get(f"/v2/models/{path}"), 404)
            assert_error(await client.get(f"/v2/models/{path}/ready"), 404)
            assert_error(await client.post(f"/v2/models/{path}/infer", json=message), 404)
        versioned = await client.post(f"/v2/models/{name}_by_id/versions/1/infer", json=message)
        assert_error(await client.get("/v2/zz-secret"), 404)
        method = await client.get(infer_path(served))

    assert versioned.status_code == 200
    assert_error(method, 405)
    assert method.headers["allow"] == "POST"


async def test_the_repository_lists_both_models_and_loads_none(serve: Any) -> None:
    served = serve()
    name = served.service.name
    async with served.started() as client:
        index = await client.post("/v2/repository/index")
        ready = await client.post("/v2/repository/index", json={"ready": True})
        load = await client.post(f"/v2/repository/models/{name}/load")
        served.reader.fail_with(FeatureStoreError("zz-secret"))
        away = await client.post("/v2/repository/index")
        none = await client.post("/v2/repository/index", json={"ready": True})

    entries = [{"name": one, "version": "1", "state": "READY", "reason": ""} for one in (name, f"{name}_by_id")]
    assert index.json() == ready.json() == entries
    assert_error(load, 400)
    assert {entry["state"] for entry in away.json()} == {"UNAVAILABLE"}
    assert none.json() == []


async def test_the_timeout_parameter_is_in_microseconds(serve: Any) -> None:
    served = serve()
    message = {"inputs": keys(served, [3])}
    path = infer_path(served, "_by_id")
    async with served.started() as client:
        served.reader.gate = asyncio.Event()
        late = await client.post(path, json={**message, "parameters": {"timeout": 20_000}})
        served.reader.gate.set()
        fine = await client.post(path, json={**message, "parameters": {"timeout": 5_000_000}})
        none = await client.post(path, json={**message, "parameters": {"timeout": 0}})
        wrong = await client.post(path, json={**message, "parameters": {"timeout": "1"}})

    assert_error(late, 504)
    assert [fine.status_code, none.status_code] == [200, 200]
    assert_error(wrong, 400)


async def test_without_credential_model_store_or_room_it_fails_in_the_protocol_s_form(serve: Any) -> None:
    served = serve(quota_per_second=0.001, quota_burst=2)
    message = {"inputs": keys(served, [3])}
    path = infer_path(served, "_by_id")
    async with served.started() as client:
        served.reader.fail_with(FeatureStoreError("zz-secret"))
        away = await client.post(path, json=message)
        not_ready = await client.get("/v2/health/ready")
        served.reader.fail_with(None)
        served.models.live = None
        no_model = await client.post(path, json=message)
        over = await client.post(path, json=message)
        del client.headers["x-api-key"]
        for stranger in (path, infer_path(served)):
            assert_error(await client.post(stranger, json=message), 401)
        for stranger in ("/v2", f"/v2/models/{served.service.name}", "/v2/zz-secret"):
            assert_error(await client.get(stranger), 401)

    for response in (away, not_ready, no_model):
        assert_error(response, 503)
        assert int(response.headers["retry-after"]) >= 1
    assert_error(over, 429)


async def test_more_rows_than_a_bulk_request_may_have_are_413(serve: Any) -> None:
    served = serve(bulk_rows_max=5)
    async with served.started() as client:
        most = await client.post(infer_path(served, "_by_id"), json={"inputs": keys(served, [3] * 5)})
        more = await client.post(infer_path(served, "_by_id"), json={"inputs": keys(served, [3] * 6)})

    assert most.status_code == 200
    assert_error(more, 413)


async def test_requests_are_counted_by_route_template(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        await client.post(infer_path(served, "_by_id"), json={"inputs": keys(served, [3])})
        await client.get("/v2/zz-secret")
        text = (await client.get("/metrics")).text

    assert f'route="/v2/models/{{model}}/infer",service="{served.service.name}",status="200"' in text
    assert "zz-secret" not in text

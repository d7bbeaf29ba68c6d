"""The streams of `/v1/score/bulk`: what JSON says, NDJSON and Arrow say too, of any length and in bounded memory."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.errors import FeatureStoreError

pytestmark = pytest.mark.anyio

BULK = "/v1/score/bulk"
NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"


def lines(served: Any, numbers: Sequence[int]) -> bytes:
    return b"".join(json.dumps(served.key(number)).encode() + b"\n" for number in numbers)


def arrow(served: Any, numbers: Sequence[int], batch_rows: int = 1000, *, dictionary: bool = False) -> bytes:
    keys = [served.key(number) for number in numbers]
    columns = {entity: pa.array([key[entity] for key in keys], pa.string()) for entity in served.service.entities}
    if dictionary:
        columns = {entity: column.dictionary_encode() for entity, column in columns.items()}
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=batch_rows)
    return bytes(sink.getvalue())


def of_lines(content: bytes) -> dict[str, Any]:
    first, *rows = map(json.loads, content.splitlines())
    return {"model": first["model"], "rows": rows}


def of_arrow(content: bytes, served: Any) -> dict[str, Any]:
    table = pa.ipc.open_stream(content).read_all()
    table.validate(full=True)
    rows = []
    for row in table.to_pylist():
        known = row["status"] != "not_found"
        as_of = row["as_of"] and row["as_of"].isoformat().replace("+00:00", "Z")
        features = {"as_of": as_of, "missing": row["missing"], "stale": row["stale"]}
        rows.append(
            {
                "prediction_id": row["prediction_id"],
                **{entity: row[entity] for entity in served.service.entities},
                "status": row["status"],
                "prediction": {name: row[name] for name in served.service.prediction.__struct_fields__}
                if known
                else None,
                "features": features if known else None,
            }
        )
    return {"model": json.loads(table.schema.metadata[b"model"]), "rows": rows}


def without_ids(answer: dict[str, Any]) -> dict[str, Any]:
    ids = [row["prediction_id"] for row in answer["rows"]]
    assert all((id_ is None) == (row["status"] == "not_found") for id_, row in zip(ids, answer["rows"], strict=True))
    given = [id_ for id_ in ids if id_ is not None]
    assert len({*given}) == len(given)
    return {**answer, "rows": [{**row, "prediction_id": None} for row in answer["rows"]]}


async def pieces(content: bytes, sizes: Sequence[int]) -> AsyncIterator[bytes]:
    start = 0
    for size in sizes:
        yield content[start : start + size]
        start += size
    yield content[start:]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=st.lists(st.integers(1, 60), max_size=40),
    sizes=st.lists(st.integers(1, 300), max_size=8),
    batch_rows=st.integers(1, 50),
    dictionary=st.booleans(),
)
def test_the_three_forms_give_the_same_answer_however_the_bytes_are_cut(
    serve: Any, numbers: list[int], sizes: list[int], batch_rows: int, dictionary: bool
) -> None:
    served = serve()

    async def answers() -> list[dict[str, Any]]:
        async with served.started() as client:
            as_json = await client.post(BULK, json=served.bulk(numbers))
            body = pieces(lines(served, numbers), sizes)
            as_lines = await client.post(BULK, content=body, headers={"Content-Type": NDJSON})
            body = pieces(arrow(served, numbers, batch_rows, dictionary=dictionary), sizes)
            as_arrow = await client.post(BULK, content=body, headers={"Content-Type": ARROW})
        assert [answer.status_code for answer in (as_json, as_lines, as_arrow)] == [200, 200, 200]
        return [as_json.json(), of_lines(as_lines.content), of_arrow(as_arrow.content, served)]

    found = [without_ids(answer) for answer in asyncio.run(answers())]

    assert found[0] == found[1]
    assert found[0] == found[2]


@pytest.mark.parametrize("form", [NDJSON, ARROW])
async def test_a_long_stream_comes_back_whole_and_in_order(serve: Any, form: str) -> None:
    served = serve()
    numbers = [1 + number % 60 for number in range(12_000)]
    body = lines(served, numbers) if form == NDJSON else arrow(served, numbers)
    async with served.started() as client:
        response = await client.post(BULK, content=body, headers={"Content-Type": form})

    answer = of_lines(response.content) if form == NDJSON else of_arrow(response.content, served)
    assert response.headers["content-type"] == form
    assert [row["candidate_id"] for row in answer["rows"]] == [served.key(number)["candidate_id"] for number in numbers]
    without_ids(answer)


@pytest.mark.parametrize("sent", ["application/json", NDJSON, ARROW])
@pytest.mark.parametrize("wanted", ["application/json", NDJSON, ARROW])
async def test_accept_chooses_the_form_of_the_answer(serve: Any, sent: str, wanted: str) -> None:
    served = serve()
    bodies = {
        "application/json": json.dumps(served.bulk([1, 2, 999])).encode(),
        NDJSON: lines(served, [1, 2, 999]),
        ARROW: arrow(served, [1, 2, 999]),
    }
    async with served.started() as client:
        response = await client.post(BULK, content=bodies[sent], headers={"Content-Type": sent, "Accept": wanted})

    read = {"application/json": json.loads, NDJSON: of_lines, ARROW: lambda content: of_arrow(content, served)}
    assert response.headers["content-type"] == wanted
    assert [row["status"] for row in read[wanted](response.content)["rows"]] == ["degraded", "ok", "not_found"]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("form", ["application/json", NDJSON])
async def test_bodies_may_be_compressed(serve: Any, form: str, encoding: str) -> None:
    served = serve()
    numbers = [1 + number % 60 for number in range(3000)]
    body = lines(served, numbers) if form == NDJSON else json.dumps(served.bulk(numbers)).encode()
    packed = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    headers = {"Content-Type": form, "Content-Encoding": encoding, "Accept-Encoding": encoding}
    async with served.started() as client:
        response = await client.post(BULK, content=packed, headers=headers)
        cut = await client.post(BULK, content=packed[:-9], headers=headers | {"Accept-Encoding": "identity"})

    answer = response.json() if form != NDJSON else of_lines(response.content)
    assert len(answer["rows"]) == 3000
    assert response.headers.get("content-encoding") == (encoding if form == NDJSON else None)
    assert cut.status_code == 400 or b'"malformed-request"' in cut.content or b"/problems/malformed" in cut.content


@pytest.mark.parametrize("form", ["application/json", NDJSON])
async def test_a_small_body_that_unfolds_hugely_is_413(serve: Any, form: str) -> None:
    served = serve()
    folding = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = folding.compress(b" \n" * 20_000_000) + folding.flush()
    async with served.started() as client:
        for encoding, body in (("gzip", bomb), ("zstd", zstandard.compress(b" \n" * 20_000_000))):
            headers = {"Content-Type": form, "Content-Encoding": encoding}
            response = await client.post(BULK, content=body, headers=headers)
            assert response.status_code == 413


async def test_an_unknown_encoding_is_415(serve: Any) -> None:
    served = serve()
    headers = {"Content-Type": NDJSON, "Content-Encoding": "br"}
    async with served.started() as client:
        response = await client.post(BULK, content=b"", headers=headers)

    assert response.status_code == 415


@pytest.mark.parametrize(
    ("form", "body", "status"),
    [
        (NDJSON, b"{", 400),
        (NDJSON, b'{"candidate_id": 3}\n', 422),
        (NDJSON, b'{"candidate_id": "c1", "secret": 1}\n', 422),
        (NDJSON, b"\xff\n", 400),
        (NDJSON, b"x" * 100_000, 413),
        (ARROW, b"", 400),
        (ARROW, b"ARROW1\0\0" * 9, 400),
        (ARROW, b"\xff\xff\xff\xff\xff\xff\xff\x7f", 413),
        (ARROW, b"\xff\xff\xff\xff\x08\0\0\0\xff\xff\xff\x7f\0\0\0\0", 400),
    ],
)
async def test_what_is_malformed_from_the_start_is_a_problem(serve: Any, form: str, body: bytes, status: int) -> None:
    served = serve()
    async with served.started() as client:
        response = await client.post(BULK, content=body, headers={"Content-Type": form})

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text


async def test_arrow_of_another_form_is_422(serve: Any) -> None:
    served = serve()
    good = pa.array(["c0000001"])
    keys = dict.fromkeys(served.service.entities, good)
    wrong = [
        {"other": good},
        keys | {"more": good},
        keys | {"candidate_id": pa.array([1])},
        keys | {"candidate_id": pa.array([None], pa.string())},
        keys | {"candidate_id": pa.array(["x" * 129])},
    ]
    async with served.started() as client:
        for columns in wrong:
            sink = pa.BufferOutputStream()
            batch = pa.record_batch(columns)
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            response = await client.post(BULK, content=bytes(sink.getvalue()), headers={"Content-Type": ARROW})
            assert response.status_code == 422


async def test_compressed_arrow_buffers_are_refused(serve: Any) -> None:
    served = serve()
    batch = pa.record_batch({entity: pa.array(["c0000001"] * 500) for entity in served.service.entities})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(batch)
    async with served.started() as client:
        response = await client.post(BULK, content=bytes(sink.getvalue()), headers={"Content-Type": ARROW})

    assert response.status_code == 422


async def test_a_line_that_is_wrong_late_ends_the_stream_with_a_problem_line(serve: Any) -> None:
    served = serve()
    body = lines(served, [3] * 6000) + b'{"candidate_id": 3}\n'
    async with served.started() as client:
        response = await client.post(BULK, content=body, headers={"Content-Type": NDJSON})

    last = json.loads(response.content.splitlines()[-1])
    assert response.status_code == 200
    assert list(last) == ["problem"]
    assert last["problem"]["status"] == 422
    assert last["problem"]["errors"][0]["field"].startswith("rows.6000")


async def test_a_store_that_goes_away_ends_the_stream_with_a_problem_line(serve: Any) -> None:
    served = serve()

    async def body() -> AsyncIterator[bytes]:
        yield lines(served, [3] * 8192)
        served.reader.fail_with(FeatureStoreError("away"))
        yield lines(served, [3] * 8192)

    async with served.started() as client:
        response = await client.post(BULK, content=body(), headers={"Content-Type": NDJSON})

    assert json.loads(response.content.splitlines()[-1])["problem"]["status"] == 503


async def test_a_caller_who_has_gone_stops_the_work(serve: Any) -> None:
    served = serve()
    sent = []
    messages = [{"type": "http.request", "body": lines(served, [3] * 100_000), "more_body": False}]
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 3:
            gone.set()

    scope = {
        "type": "http",
        "method": "POST",
        "path": BULK,
        "headers": [(b"content-type", NDJSON.encode()), (b"x-api-key", served.headers["X-API-Key"].encode())],
    }
    async with served.started():
        await served.app(scope, receive, send)

    assert sum(served.reader.reads) < 30_000
    assert served.live.in_flight == 0


async def test_a_stream_is_read_no_faster_than_its_answers_are_taken(serve: Any) -> None:
    served = serve()
    taken = 0
    may_send = asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal taken
        if taken == 20:
            await asyncio.Event().wait()  # as a server does: after the body only a disconnect comes
        taken += 1
        return {"type": "http.request", "body": lines(served, [3] * 2048), "more_body": taken < 20}

    async def send(message: Any) -> None:
        await may_send.wait()

    scope = {
        "type": "http",
        "method": "POST",
        "path": BULK,
        "headers": [(b"content-type", NDJSON.encode()), (b"x-api-key", served.headers["X-API-Key"].encode())],
    }
    async with served.started():
        serving = asyncio.create_task(served.app(scope, receive, send))
        for _ in range(5000):
            if served.reader.reads:
                break
            await asyncio.sleep(0.001)
        for _ in range(100):
            await asyncio.sleep(0.001)
        ahead = taken
        may_send.set()
        for _ in range(5000):
            if taken == 20:
                break
            await asyncio.sleep(0.001)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    assert ahead <= 3
    assert taken == 20

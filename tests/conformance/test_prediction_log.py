"""Every row that a service scores is in its log, with the id that the caller got."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from inference.prediction_log import LoggedRows, decode_rows
from inference.prediction_log.spool_frames import scan

pytestmark = pytest.mark.anyio

ARROW = {"content-type": "application/vnd.apache.arrow.stream"}


def logged(home: Path) -> list[LoggedRows]:
    """What the spools hold."""
    files = sorted(home.glob("spool/predictions/*/*/*.frames"))
    return [decode_rows(frame.message) for file in files for frame in scan(file.read_bytes()).frames]


def by_id(rows: list[LoggedRows]) -> dict[str, tuple[LoggedRows, int]]:
    return {name: (part, place) for part in rows for place, name in enumerate(part.prediction_ids)}


async def test_a_single_score_is_logged_as_it_was_answered(serve: Any) -> None:
    served = serve()
    async with served.started() as client:
        answer = (await client.post("/v1/score", json=served.key(2))).json()
        degraded = (await client.post("/v1/score", json=served.key(1))).json()
        await client.post("/v1/score", json=dict.fromkeys(served.key(), "zz"))

    found = by_id(logged(served.settings.home))
    assert set(found) == {answer["prediction_id"], degraded["prediction_id"]}
    rows, place = found[answer["prediction_id"]]
    assert {name: ids[place] for name, ids in rows.keys.items()} == served.key(2)
    assert (rows.model, rows.version, rows.alias) == tuple(answer["model"].values())
    assert (rows.callers[place], rows.routes[place]) == ("tests", "/v1/score")
    for name, value in answer["prediction"].items():
        assert rows.outputs[name][place] == value
    assert not rows.degraded[place]
    features = dict(zip(rows.features, rows.values[place].tolist(), strict=True))
    assert features["years_experience"] == 2.0
    assert np.isnan(features["desired_rate_yen"])
    rows, place = found[degraded["prediction_id"]]
    assert rows.degraded[place]


async def test_every_form_of_bulk_is_logged_without_the_unknown(serve: Any) -> None:
    served = serve()
    body = served.bulk([1, 2, 999, 3])
    keys = [served.key(number) for number in (4, 999, 5)]
    sink = io.BytesIO()
    table = pa.table({name: [key[name] for key in keys] for name in keys[0]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    lines = "\n".join(map(json.dumps, keys)).encode()
    async with served.started() as client:
        answer = (await client.post("/v1/score/bulk", json=body)).json()
        streamed = await client.post("/v1/score/bulk", content=lines, headers={"content-type": "application/x-ndjson"})
        arrow = await client.post("/v1/score/bulk", content=sink.getvalue(), headers=ARROW)
        other = await client.post("/v1/score/bulk", json=body, headers={"accept": "application/x-ndjson"})

    ids = [row["prediction_id"] for row in answer["rows"]]
    for response in (streamed, other):
        ids += [json.loads(line).get("prediction_id") for line in response.text.splitlines()[1:]]
    ids += pa.ipc.open_stream(arrow.content).read_all()["prediction_id"].to_pylist()
    told = {one for one in ids if one is not None}
    assert len(told) == 3 + 2 + 2 + 3
    assert set(by_id(logged(served.settings.home))) == told


async def test_a_share_of_bulk_is_chosen_by_id_and_single_scores_are_always_logged(serve: Any) -> None:
    served = serve(prediction_log_bulk_share=0.5)
    async with served.started() as client:
        single = [(await client.post("/v1/score", json=served.key())).json()["prediction_id"] for _ in range(5)]
        bulk = (await client.post("/v1/score/bulk", json=served.bulk([3] * 400))).json()["rows"]

    found = set(by_id(logged(served.settings.home)))
    assert set(single) <= found
    wanted = {
        row["prediction_id"] for row in bulk if int(row["prediction_id"].replace("-", "")[16:], 16) & 1 << 61 == 0
    }
    assert found - set(single) == wanted
    assert 120 < len(wanted) < 280


async def test_other_protocols_are_logged_under_ids_of_their_own(serve: Any) -> None:
    served = serve()
    name = served.service.name
    inputs = [
        {"name": key, "shape": [2], "datatype": "BYTES", "data": [value, value]} for key, value in served.key().items()
    ]
    records = [{feature.name: 1.0 for feature in served.live.version.contract.inputs}]
    async with served.started() as client:
        one = await client.post(f"/v2/models/{name}_by_id/infer", json={"inputs": inputs})
        two = await client.post("/invocations", json={"dataframe_records": records})

    rows = logged(served.settings.home)
    assert (one.status_code, two.status_code) == (200, 200)
    assert sorted(route for part in rows for route in part.routes) == [
        "/invocations",
        *["/v2/models/{model}/infer"] * 2,
    ]
    assert len(by_id(rows)) == 3


async def test_the_routes_of_one_service_are_logged(serve: Any, declared: Any) -> None:
    bodies = {
        "hourly_rate": ("/v1/estimate", {"role": "backend_engineer", "years_experience": 6, "skills": ["python"]}),
        "recommendation": ("/v1/shortlist", {"job_id": "j0000001", "limit": 5}),
    }
    path, body = bodies.get(declared.name, ("/v1/score", None))
    served = serve()
    async with served.started() as client:
        answer = (await client.post(path, json=body or served.key())).json()

    found = by_id(logged(served.settings.home))
    assert set(found) == {one["prediction_id"] for one in answer.get("candidates", [answer])}
    assert {route for part, _ in found.values() for route in part.routes} == {path}
    if path == "/v1/estimate":
        ((rows, place),) = found.values()
        assert rows.keys == {}
        assert rows.outputs["lower"][place] == answer["prediction"]["lower"]


async def test_without_the_log_nothing_is_kept(serve: Any) -> None:
    served = serve(prediction_log=False)
    async with served.started() as client:
        response = await client.post("/v1/score", json=served.key())

    assert response.status_code == 200
    assert logged(served.settings.home) == []


async def test_what_found_no_room_in_the_spool_is_counted(serve: Any) -> None:
    served = serve(spool_bytes_max=1)
    async with served.started() as client:
        await client.post("/v1/score", json=served.key())
        await served.app.state.shell.runtime.log.close()
        metrics = (await client.get("/metrics")).text

    name = served.service.name
    assert f'scoring_prediction_log_dropped_rows_total{{reason="spool_full",service="{name}"}} 1.0' in metrics
    assert logged(served.settings.home) == []

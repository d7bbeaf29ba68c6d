"""The same requests to `mlflow models serve` and to us, with the same model: the same status class and predictions."""

import io
import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import lightgbm
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from inference import Contract, OutputSpec
from inference.testing import live_model, tiny_features, tiny_model
from serving import Service, Settings, create_app
from serving.testing import StandingModels, standing_models

pytestmark = pytest.mark.anyio

KEY = "a-secret-key"
START_SECONDS = 110.0
JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
NAMES = (
    "role",
    "years_experience",
    "desired_rate_yen",
    "has_github",
    "commits_90d",
    "articles_90d",
    "rate_per_year",
)
ROW: dict[str, Any] = dict(zip(NAMES, (1.0, 3.0, 4000.0, 1.0, 5.0, 2.0, 1000.0), strict=True))
ROWS = [ROW, {**ROW, "years_experience": 41.5, "role": 3.0}, {**ROW, "desired_rate_yen": 90_000.0, "has_github": 0.0}]
VALUES = [[*row.values()] for row in ROWS]
COLUMNS = {name: [row[name] for row in ROWS] for name in NAMES}


@dataclass(frozen=True)
class Case:
    """One request."""

    body: bytes
    media_type: str | None = JSON


def of_json(message: object) -> Case:
    return Case(json.dumps(message).encode())


def split(columns: object, data: object, **more: object) -> Case:
    return of_json({"dataframe_split": {"columns": columns, "data": data, **more}})


def records(*changes: dict[str, Any], without: str = "") -> Case:
    rows = [{name: value for name, value in {**ROW, **change}.items() if name != without} for change in changes]
    return of_json({"dataframe_records": rows})


def csv(*rows: object, header: object = NAMES) -> Case:
    lines = [",".join(header), *(",".join(map(str, row)) for row in rows)]  # type: ignore[arg-type, call-overload]
    return Case(("\n".join(lines) + "\n").encode(), CSV)


def csv_text(text: str, encoding: str = "utf-8") -> Case:
    return Case(text.encode(encoding), CSV)


def parquet(rows: "list[dict[str, Any]] | pa.Table", **options: Any) -> Case:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows) if isinstance(rows, list) else rows, sink, **options)
    return Case(sink.getvalue(), PARQUET)


def table(**changes: Any) -> Any:
    """The rows as an Arrow table, with other columns in place of some."""
    columns = {name: changes.get(name, pa.array(values)) for name, values in COLUMNS.items()}
    return pa.table({**columns, **{name: column for name, column in changes.items() if name not in columns}})


HEADER = ",".join(NAMES)
LINE = ",".join(map(str, VALUES[0]))
LESS = {name: value for name, value in ROW.items() if name != "role"}
CASES: dict[str, Case] = {
    "split": split(NAMES, VALUES),
    "split with an index": split(NAMES, VALUES, index=[7, 8, 9]),
    "split with an index of another length": split(NAMES, VALUES, index=[7]),
    "split in another order": split(NAMES[::-1], [row[::-1] for row in VALUES]),
    "split with more columns": split([*NAMES, "x"], [[*row, "y"] for row in VALUES]),
    "split with another key": split(NAMES, VALUES, other=1),
    "split without columns": of_json({"dataframe_split": {"data": VALUES}}),
    "split without data": of_json({"dataframe_split": {"columns": NAMES}}),
    "split with a column twice": split([*NAMES, "role"], [[*row, 1] for row in VALUES]),
    "split with too long a row": split(NAMES, [VALUES[0], [*VALUES[1], 1]]),
    "split of no rows": split(NAMES, []),
    "split that is a list": of_json({"dataframe_split": VALUES}),
    "records": of_json({"dataframe_records": ROWS}),
    "records with more columns": records({"x": "y"}),
    "records of which one lacks a value": of_json({"dataframe_records": [ROW, LESS]}),
    "records without a required column": records({}, {}, without="role"),
    "records of nothing": of_json({"dataframe_records": []}),
    "records that are an object": of_json({"dataframe_records": ROW}),
    "null": records({"role": None}),
    "NaN": records({"years_experience": math.nan}),
    "all null but one": records(dict.fromkeys(set(NAMES) - {"articles_90d"})),
    "a number as text": records({"years_experience": "3.5"}),
    "text for a number": records({"years_experience": "three"}),
    "true for a number": records({"has_github": True}),
    "a list for a number": records({"has_github": [1]}),
    "an unknown word": records({"role": "astronaut"}),
    "a whole number beyond float64": records({"years_experience": 10**400}),
    "instances by row": of_json({"instances": ROWS}),
    "instances by column": of_json({"instances": COLUMNS}),
    "instances without names": of_json({"instances": VALUES}),
    "instances of which one lacks a value": of_json({"instances": [ROW, LESS]}),
    "instances with null": of_json({"instances": [{**ROW, "role": None}]}),
    "instances of nothing": of_json({"instances": []}),
    "instances with text": of_json({"instances": [{**ROW, "years_experience": "three"}]}),
    "inputs by column": of_json({"inputs": COLUMNS}),
    "inputs by column with more": of_json({"inputs": {**COLUMNS, "x": ["y"] * 3}}),
    "inputs by column with null": of_json({"inputs": {**COLUMNS, "role": [None, 1, 2]}}),
    "inputs of one row": of_json({"inputs": ROW}),
    "inputs with one value for all rows": of_json({"inputs": {**ROW, "role": [0, 1]}}),
    "inputs by row": of_json({"inputs": ROWS}),
    "inputs by row of which one lacks a value": of_json({"inputs": [ROW, LESS]}),
    "inputs without names": of_json({"inputs": VALUES}),
    "inputs of different lengths": of_json({"inputs": {**COLUMNS, "role": [1]}}),
    "inputs of two dimensions": of_json({"inputs": {name: [[v] for v in column] for name, column in COLUMNS.items()}}),
    "inputs of nothing": of_json({"inputs": {}}),
    "inputs that are a number": of_json({"inputs": 1}),
    "two forms": of_json({"inputs": COLUMNS, "instances": ROWS}),
    "no form": of_json({"x": 1}),
    "params": of_json({"dataframe_records": ROWS, "params": {"x": 1}}),
    "params null": of_json({"dataframe_records": ROWS, "params": None}),
    "another field": of_json({"dataframe_records": ROWS, "x": 1}),
    "a list": of_json([]),
    "a null": of_json(None),
    "a string": of_json("x"),
    "no JSON": Case(b"{"),
    "nothing": Case(b""),
    "no UTF-8": Case(b"\xff"),
    "csv": csv(*VALUES),
    "csv with more columns": csv(*[[*row, "y"] for row in VALUES], header=[*NAMES, "x"]),
    "csv in another order": csv(*[row[::-1] for row in VALUES], header=NAMES[::-1]),
    "csv with nulls": csv(["", 1, 2, 0, "NaN", "1", "NA"]),
    "csv with a column twice": csv([*VALUES[0], 2], header=[*NAMES, "role"]),
    "csv with text for a number": csv([1, "three", 2, 3, 4, 5, 6]),
    "csv without a required column": csv([1, 2], header=["a", "b"]),
    "csv without rows": csv(),
    "csv of nothing": Case(b"", CSV),
    "csv with charset": Case(csv(*VALUES).body, "text/csv; charset=UTF-8"),
    "csv that is not UTF-8": Case(b"role\n\xff\n", CSV),
    "csv with semicolons": Case(csv(*VALUES).body.replace(b",", b";"), CSV),
    "csv with quotes": csv_text("\n".join(",".join(f'"{cell}"' for cell in row) for row in (NAMES, VALUES[0]))),
    "csv with a quoted comma": csv_text(f'{HEADER},x\n{LINE},"a,b"\n'),
    "csv with a quoted line break": csv_text(f'{HEADER},x\n{LINE},"a\nb"\n'),
    "csv with a quote inside": csv_text(f'{HEADER},x\n{LINE},"a""b"\n'),
    "csv with a quote that does not end": csv_text(f'{HEADER},x\n{LINE},"a\n'),
    "csv with CRLF": csv_text(f"{HEADER}\r\n{LINE}\r\n"),
    "csv without a last line break": csv_text(f"{HEADER}\n{LINE}"),
    "csv with empty lines": csv_text(f"\n{HEADER}\n\n{LINE}\n\n{LINE}\n\n"),
    "csv with a BOM": csv_text(f"\ufeff{HEADER}\n{LINE}\n"),
    "csv in UTF-16": csv_text(f"{HEADER}\n{LINE}\n", "utf-16"),
    "csv in Shift JIS": csv_text(f"{HEADER},備考\n{LINE},東京\n", "shift_jis"),
    "csv with Japanese": csv_text(f"{HEADER},備考\n{LINE},東京\n"),
    "csv with blanks around": csv_text(f"{HEADER}\n{LINE.replace(',', ' , ')}\n"),
    "csv with blanks in the header": csv_text(f"{HEADER.replace(',', ', ')}\n{LINE}\n"),
    "csv with tabs": csv_text(f"{HEADER}\n{LINE}\n".replace(",", "\t")),
    "csv with a comma at the end of lines": csv_text(f"{HEADER}\n{LINE},\n"),
    "csv with a comma at the end of all lines": csv_text(f"{HEADER},\n{LINE},\n"),
    "csv with too long a row": csv_text(f"{HEADER}\n{LINE}\n{LINE},1\n"),
    "csv with words for nothing": csv(["null", "None", "#N/A", "nan", "-nan", 2, "<NA>"]),
    "csv with true and false": csv([1, 3, 4000, "True", 5, 2, 1000], [1, 3, 4000, "False", 5, 2, 1000]),
    "csv with exponents": csv(["1e0", "3.", "+4e3", "1", ".5e1", "2", "1E3"]),
    "csv with thousands": csv_text(f'{HEADER}\n1,3,"4,000",1,5,2,1000\n'),
    "csv with a hexadecimal number": csv([1, 3, "0x10", 1, 5, 2, 1000]),
    "csv with infinity": csv([1, "inf", 4000, 1, 5, 2, 1000]),
    "csv with a whole number beyond int64": csv([1, 3, 4000, 1, 10**25, 2, 1000]),
    "csv with a NUL": csv_text(f"{HEADER}\n{LINE}\0\n"),
    "csv of blanks": csv_text("  \n"),
    "json with a BOM": Case(b"\xef\xbb\xbf" + split(NAMES, VALUES).body),
    "json in UTF-16": Case(split(NAMES, VALUES).body.decode().encode("utf-16")),
    "json with a member twice": Case(b'{"dataframe_records": [], ' + records({}).body[1:]),
    "json with more after it": Case(split(NAMES, VALUES).body + b" x"),
    "json with blanks around": Case(b" \n" + split(NAMES, VALUES).body + b"\n "),
    "json with a comma too much": Case(split(NAMES, VALUES).body[:-1] + b",}"),
    "split with columns that are no list": split("role", VALUES),
    "split with numbers as columns": split(list(range(len(NAMES))), VALUES),
    "split with null as a column": split([*NAMES[:-1], None], VALUES),
    "split with data that are no list": split(NAMES, 1),
    "split with rows that are no lists": split(NAMES, [1, 2]),
    "split with one flat row": split(NAMES, VALUES[0]),
    "split with data nested too deeply": split(NAMES, [VALUES]),
    "split with rows that are objects": split(NAMES, ROWS),
    "split with data null": split(NAMES, None),
    "split with a row null": split(NAMES, [VALUES[0], None]),
    "split with null": split(NAMES, [[None, *VALUES[0][1:]]]),
    "split with rows of nothing": split(NAMES, [[], []]),
    "split of no columns": split([], []),
    "split that is null": of_json({"dataframe_split": None}),
    "records that are null": of_json({"dataframe_records": None}),
    "records of lists": of_json({"dataframe_records": VALUES}),
    "records with a null row": of_json({"dataframe_records": [ROW, None]}),
    "records with a number as a row": of_json({"dataframe_records": [1]}),
    "records in another order": of_json({"dataframe_records": [dict(reversed(ROW.items())), ROW]}),
    "an object for a number": records({"has_github": {"a": 1}}),
    "an empty string for a number": records({"role": ""}),
    "2^53 + 1": records({"commits_90d": 2**53 + 1}),
    "2^63": records({"commits_90d": 2**63}),
    "2^64": records({"commits_90d": 2**64}),
    "a float beyond float64": Case(records({}).body.replace(b"4000.0", b"1e400")),
    "minus infinity": records({"years_experience": -math.inf}),
    "all of a column NaN": records({"role": math.nan}, {"role": math.nan}),
    "instances that are null": of_json({"instances": None}),
    "instances that are a number": of_json({"instances": 1}),
    "instances of numbers": of_json({"instances": [1, 2]}),
    "instances of one object": of_json({"instances": ROW}),
    "instances of other names": of_json({"instances": [{**LESS, "rôle": 1.0}]}),
    "inputs that are null": of_json({"inputs": None}),
    "inputs that are a string": of_json({"inputs": "x"}),
    "inputs with an object": of_json({"inputs": {**COLUMNS, "role": {"a": 1}}}),
    "inputs with a column of nothing": of_json({"inputs": {name: [] for name in NAMES}}),
    "inputs as base64": of_json({"inputs": {**COLUMNS, "role": [{"b64": "eA=="}] * 3}}),
    "params that are a list": of_json({"dataframe_records": ROWS, "params": [1]}),
    "params that are text": of_json({"dataframe_records": ROWS, "params": "x"}),
    "params of nothing": of_json({"dataframe_records": ROWS, "params": {}}),
    "params with inputs": of_json({"inputs": COLUMNS, "params": {"x": 1}}),
    "params alone": of_json({"params": {}}),
    "parquet": parquet(ROWS),
    "parquet in groups": parquet(ROWS, row_group_size=1),
    "parquet by gzip": parquet(ROWS, compression="gzip"),
    "parquet by zstd": parquet(ROWS, compression="zstd"),
    "parquet without compression": parquet(ROWS, compression="none"),
    "parquet in another order": parquet([dict(reversed(row.items())) for row in ROWS]),
    "parquet without rows": parquet(table().slice(0, 0)),
    "parquet with NaN": parquet([{**ROW, "role": math.nan}]),
    "parquet with float32": parquet(table(years_experience=pa.array([3.0, 41.5, 3.0], pa.float32()))),
    "parquet with text for a number": parquet(table(role=pa.array(["1", "2", "3"]))),
    "parquet with true and false": parquet(table(has_github=pa.array([True, True, False]))),
    "parquet with lists": parquet(table(role=pa.array([[1.0], [2.0], [3.0]]))),
    "parquet with a column of nulls": parquet(table(role=pa.nulls(3))),
    "parquet with times": parquet(table(role=pa.array([1, 2, 3], pa.timestamp("us")))),
    "parquet of pandas with an index": parquet(table(__index_level_0__=pa.array([5, 6, 7]))),
    "parquet cut short": Case(parquet(ROWS).body[:-20], PARQUET),
    "parquet of nothing": Case(b"", PARQUET),
    "parquet with more columns": parquet([{**row, "x": "y"} for row in ROWS]),
    "parquet with whole numbers": parquet([{**ROW, "desired_rate_yen": 4000, "role": 1}]),
    "parquet with null": parquet([ROW, {**ROW, "role": None}]),
    "parquet without a required column": parquet([LESS]),
    "parquet that is none": Case(b"PAR1", PARQUET),
    "another media type": Case(b"x", "text/plain"),
    "another charset": Case(split(NAMES, VALUES).body, "application/json; charset=latin-1"),
    "another parameter": Case(split(NAMES, VALUES).body, "application/json; version=2"),
    # Known to differ.
    "a category's word": records({"role": "frontend"}),
    "a value below the contract's bounds": records({"years_experience": -5}),
    "a code of no category": records({"role": 77}),
    "infinity": records({"years_experience": math.inf}),
    "null where the contract has a default": records({"articles_90d": None}),
    "a column that is computed on demand is absent": records({}, without="rate_per_year"),
    "split with too short a row": split(NAMES, [VALUES[0], VALUES[1][:-1]]),
    "csv with too short a row": csv(VALUES[0], VALUES[1][:-1]),
    "no media type": Case(split(NAMES, VALUES).body, None),
    "deep nesting": Case(b"[" * 100_000),
}


@dataclass(frozen=True)
class Difference:
    """A difference that is meant: status classes of theirs and ours, and why."""

    theirs: int
    ours: int
    reason: str


DIFFERENCES: dict[str, Difference] = {
    "a category's word": Difference(4, 2, "The contract knows the words, MLflow's signature of doubles does not."),
    "a value below the contract's bounds": Difference(2, 4, "What the model was never shown is not scored."),
    "a code of no category": Difference(2, 4, "LightGBM takes it for missing; it is rather a caller's mistake."),
    "infinity": Difference(2, 4, "It comes of a division by zero on the caller's side, and is no value."),
    "null where the contract has a default": Difference(2, 2, "Training filled the default in, so does a score."),
    "a column that is computed on demand is absent": Difference(4, 2, "It is computed as for a score by id."),
    "split with too short a row": Difference(2, 4, "pandas fills up with NaN, which hides a shifted row."),
    "csv with too short a row": Difference(2, 4, "As above."),
    "parquet with whole numbers": Difference(
        4, 2, "MLflow holds int64 to double unsafe, even for 1; JSON's 1 it takes."
    ),
    "csv with a comma at the end of lines": Difference(2, 4, "pandas takes the first column for an index."),
    "csv with a hexadecimal number": Difference(4, 2, "Arrow reads the number that it is."),
    "csv with infinity": Difference(2, 4, "As in JSON."),
    "csv with a NUL": Difference(2, 4, "pandas drops the rest of the cell, which is no number as it stands."),
    "json in UTF-16": Difference(2, 4, "JSON is UTF-8 (RFC 8259, 8.1)."),
    "split with rows that are objects": Difference(2, 4, "The form has lists of values; objects are records."),
    "a float beyond float64": Difference(2, 4, "It is infinity."),
    "minus infinity": Difference(2, 4, "As above."),
    "parquet with true and false": Difference(4, 2, "As for whole numbers; in JSON and CSV MLflow takes both."),
    "no media type": Difference(5, 4, "MLflow fails on the absent header."),
    "deep nesting": Difference(5, 4, "MLflow fails on its parser's recursion limit."),
}


class Estimate(msgspec.Struct, frozen=True):
    """A prediction of the service under test."""

    estimate: float


def postprocess(raw: NDArray[np.float64], _: OutputSpec) -> dict[str, NDArray[Any]]:
    """Leave the booster's output as it is."""
    return {"estimate": raw}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as training publishes it: MLflow's flavour, a signature of doubles, and the contract beside it."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    directory = tmp_path_factory.mktemp("model")
    features = [
        msgspec.structs.replace(feature, default=50.0) if feature.name == "articles_90d" else feature
        for feature in tiny_features()
    ]
    contract: Contract = tiny_model(directory / "native", features=features, on_demand=True)
    assert [feature.name for feature in contract.inputs] == [*NAMES]
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.double, name) for name in NAMES]),
        outputs=Schema([TensorSpec(np.dtype(np.float64), (-1,))]),
    )
    booster = lightgbm.Booster(model_file=directory / "native" / contract.booster.file)
    mlflow.lightgbm.save_model(
        booster, str(directory / "mlflow"), signature=signature, pip_requirements=["lightgbm"]
    )  # fmt: skip
    for file in ("contract.json", contract.booster.file):
        (directory / "mlflow" / file).write_bytes((directory / "native" / file).read_bytes())
    return directory / "mlflow"


@pytest.fixture(scope="module")
def mlflow_serve(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `mlflow models serve`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    programs = Path(sys.executable).parent
    log = tmp_path_factory.mktemp("log") / "serve.log"
    command = [programs / "mlflow", "models", "serve", "-m", model, "--env-manager", "local", "-h", "127.0.0.1"]
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*map(str, command), "-p", str(port)], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, process, log)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
async def theirs(mlflow_serve: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it. A connection a request: where MLflow fails with 500, it drops the connection too."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=mlflow_serve, limits=limits, timeout=30) as client:
        yield client


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{address}/ping").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture
async def ours(model: Path, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service over the same files."""
    (tmp_path / "api-key").write_text(KEY)
    service = Service(
        name="hourly_rate",
        title="Rates",
        summary="Rates",
        port=0,
        entities=("candidate_id",),
        prediction=Estimate,
        postprocess=postprocess,
        bulk_key="candidate_ids",
    )
    models = StandingModels(service.name, live_model(model))
    app = create_app(service, Settings(home=tmp_path, prediction_log=False), open_models=standing_models(models))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service", headers={"X-API-Key": KEY}) as client,
    ):
        yield client


def headers_of(case: Case) -> dict[str, str]:
    return {} if case.media_type is None else {"content-type": case.media_type}


async def test_status_class_and_predictions_are_the_same_but_for_the_differences_that_are_meant(
    theirs: httpx.AsyncClient, ours: httpx.AsyncClient
) -> None:
    found: dict[str, tuple[int, int]] = {}
    wrong: list[str] = []
    for name, case in CASES.items():
        their = await theirs.post("/invocations", content=case.body, headers=headers_of(case))
        our = await ours.post("/invocations", content=case.body, headers=headers_of(case))
        classes = (their.status_code // 100, our.status_code // 100)
        same = classes[0] == classes[1] and (classes != (2, 2) or their.json() == our.json())
        if not same:
            found[name] = classes
            wrong.append(f"{name}: {their.status_code} {their.text[:200]} / {our.status_code} {our.text[:200]}")

    expected = {name: (one.theirs, one.ours) for name, one in DIFFERENCES.items()}
    assert found == expected, "\n".join(wrong)


async def test_415_is_415_and_health_and_version_answer_alike(
    theirs: httpx.AsyncClient, ours: httpx.AsyncClient
) -> None:
    refused = [name for name in CASES if name.startswith("another ") and name != "another field"]
    for name in refused:
        case = CASES[name]
        their = await theirs.post("/invocations", content=case.body, headers=headers_of(case))
        our = await ours.post("/invocations", content=case.body, headers=headers_of(case))
        assert (their.status_code, our.status_code) == (415, 415)
    for method, path in (("GET", "/ping"), ("GET", "/health"), ("GET", "/version"), ("GET", "/invocations")):
        their = await theirs.request(method, path)
        our = await ours.request(method, path)
        assert our.status_code == their.status_code
        if our.status_code == 200:
            assert our.text == their.text
            assert our.headers["content-type"] == their.headers["content-type"]

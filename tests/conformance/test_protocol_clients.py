"""Other people's clients, unchanged, over loopback against a real server of every service."""

import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray

DEADLINE_SECONDS = 20.0


@contextmanager
def no_arguments() -> Iterator[None]:
    """Hide the command line: kserve parses it as it is imported, and ends the process at pytest's `-p …`."""
    given, sys.argv = sys.argv, sys.argv[:1]
    try:
        yield
    finally:
        sys.argv = given


with warnings.catch_warnings(), no_arguments():
    # tritonclient, kserve and what they import warn of deprecated parts of their own dependencies as they are imported.
    warnings.simplefilter("ignore")
    import tritonclient.http as triton
    import tritonclient.http.aio as triton_aio
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
    from kserve.protocol.infer_type import RequestedOutput
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient


@dataclass
class Listening:
    """A service that listens."""

    served: Any
    port: int

    @property
    def name(self) -> str:
        name: str = self.served.service.name
        return name

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Golden rows."""
        return np.array(self.served.live.version.contract.golden.inputs, dtype=np.float64)

    @property
    def columns(self) -> list[str]:
        return [feature.name for feature in self.served.live.version.contract.inputs]

    @property
    def raw(self) -> list[float]:
        """What the booster gives for the golden rows, defaults filled in."""
        version = self.served.live.version
        defaults = [np.nan if one.default is None else one.default for one in version.contract.inputs]
        predictions: list[float] = version.booster.predict(
            np.where(np.isnan(self.matrix), defaults, self.matrix)
        ).tolist()
        return predictions

    @property
    def expected(self) -> dict[str, list[Any]]:
        """The prediction for the golden rows."""
        output = self.served.live.version.contract.output
        columns = self.served.service.postprocess(np.array(self.raw), output)
        return {name: column.tolist() for name, column in columns.items()}

    def ids(self, numbers: list[int]) -> dict[str, list[str]]:
        rows = [self.served.key(number) for number in numbers]
        return {entity: [row[entity] for row in rows] for entity in self.served.service.entities}


@pytest.fixture
def listening(serve: Any) -> Iterator[Listening]:
    served = serve()
    with serving(served.app) as port:
        yield Listening(served, port)


@contextmanager
def serving(app: Any) -> Iterator[int]:
    """Run uvicorn in a thread, on a free port."""
    config = uvicorn.Config(app, port=0, lifespan="on", ws="none", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(DEADLINE_SECONDS)


def feature_inputs(module: Any, listening: Listening) -> list[Any]:
    """One tensor a column, in the client's default binary mode."""
    inputs = []
    for position, name in enumerate(listening.columns):
        tensor = module.InferInput(name, [len(listening.matrix)], "FP64")
        inputs.append(tensor.set_data_from_numpy(listening.matrix[:, position].copy()) or tensor)
    return inputs


def key_inputs(module: Any, listening: Listening, numbers: list[int], *, binary_data: bool = True) -> list[Any]:
    inputs = []
    for entity, ids in listening.ids(numbers).items():
        tensor = module.InferInput(entity, [len(ids)], "BYTES")
        tensor.set_data_from_numpy(np.array(ids, dtype=np.object_), binary_data=binary_data)
        inputs.append(tensor)
    return inputs


def as_words(column: NDArray[Any]) -> list[Any]:
    return [value.decode() if isinstance(value, bytes) else value for value in column.tolist()]


def assert_expected(listening: Listening, result: Any) -> None:
    for name, values in listening.expected.items():
        assert as_words(result.as_numpy(name)) == values
    assert result.as_numpy("raw").tolist() == listening.raw
    assert result.get_response()["model_version"] == "1"


def test_tritonclient(listening: Listening) -> None:
    # tritonclient writes into the headers that it is given.
    headers = listening.served.headers
    client = triton.InferenceServerClient(f"127.0.0.1:{listening.port}")
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(listening.name, headers={**headers})
        assert not client.is_model_ready("another", headers={**headers})
        assert client.get_server_metadata(headers={**headers})["extensions"][0] == "binary_tensor_data"
        metadata = client.get_model_metadata(listening.name, "1", headers={**headers})
        assert [one["name"] for one in metadata["inputs"]] == listening.columns
        names = {one["name"] for one in client.get_model_repository_index(headers={**headers})}
        assert names == {listening.name, f"{listening.name}_by_id"}

        inputs = feature_inputs(triton, listening)
        assert_expected(listening, client.infer(listening.name, inputs, headers={**headers}, request_id="7"))
        timed = client.infer(listening.name, inputs, headers={**headers}, timeout=10_000_000)
        assert_expected(listening, timed)
        for algorithm in ("gzip", "deflate"):
            folded = client.infer(
                listening.name,
                inputs,
                headers={**headers},
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
            )
            assert_expected(listening, folded)
        matrix = triton.InferInput("matrix", [*listening.matrix.shape], "FP64")
        matrix.set_data_from_numpy(listening.matrix)
        assert_expected(listening, client.infer(listening.name, [matrix], headers={**headers}))

        by_id = f"{listening.name}_by_id"
        keyed = client.infer(by_id, key_inputs(triton, listening, [3, 999]), headers={**headers})
        assert as_words(keyed.as_numpy("status")) == ["ok", "not_found"]
        assert np.isnan(keyed.as_numpy("raw")).tolist() == [False, True]
        wanted = [triton.InferRequestedOutput("raw", binary_data=False), triton.InferRequestedOutput("status")]
        some = client.infer(
            by_id, key_inputs(triton, listening, [3], binary_data=False), outputs=wanted, headers={**headers}
        )
        assert some.as_numpy("raw").tolist() == keyed.as_numpy("raw").tolist()[:1]

        with pytest.raises(triton.InferenceServerException) as refused:
            client.infer(listening.name, inputs[1:], headers={**headers})
        assert refused.value.status() == "400"
        assert refused.value.message() == f"Inputs are missing: {listening.columns[0]}."
        with pytest.raises(triton.InferenceServerException) as stranger:
            client.infer(listening.name, inputs)
        assert stranger.value.status() == "401"
    finally:
        client.close()


@pytest.mark.anyio
async def test_tritonclient_aio(listening: Listening) -> None:
    # tritonclient writes into the headers that it is given.
    headers = listening.served.headers
    async with triton_aio.InferenceServerClient(f"127.0.0.1:{listening.port}") as client:
        assert await client.is_server_ready()
        assert await client.is_model_ready(listening.name, headers={**headers})
        result = await client.infer(listening.name, feature_inputs(triton_aio, listening), headers={**headers})
        folded = await client.infer(
            listening.name,
            feature_inputs(triton_aio, listening),
            headers={**headers},
            request_compression_algorithm="gzip",
            response_compression_algorithm="gzip",
        )
        keyed = await client.infer(
            f"{listening.name}_by_id", key_inputs(triton_aio, listening, [3, 999]), headers={**headers}
        )
        with pytest.raises(triton.InferenceServerException) as unknown:
            await client.infer("another", feature_inputs(triton_aio, listening), headers={**headers})

    assert_expected(listening, result)
    assert_expected(listening, folded)
    assert as_words(keyed.as_numpy("status")) == ["ok", "not_found"]
    assert unknown.value.status() == "404"


@pytest.mark.anyio
@pytest.mark.parametrize("binary_data", [False, True])
async def test_kserve_s_rest_client(listening: Listening, *, binary_data: bool) -> None:
    base = f"http://127.0.0.1:{listening.port}"
    headers = {**listening.served.headers}
    inputs = []
    for position, name in enumerate(listening.columns):
        tensor = InferInput(name, [len(listening.matrix)], "FP64")
        tensor.set_data_from_numpy(listening.matrix[:, position].copy(), binary_data=binary_data)
        inputs.append(tensor)
    outputs = [
        RequestedOutput(name, parameters={"binary_data": binary_data})
        for name in (*listening.expected, "raw")
    ]  # fmt: skip
    features = InferRequest(listening.name, inputs, request_id="7", request_outputs=outputs)
    keys = []
    for entity, ids in listening.ids([3, 999]).items():
        tensor = InferInput(entity, [2], "BYTES")
        tensor.set_data_from_numpy(np.array(ids, dtype=np.object_), binary_data=binary_data)
        keys.append(tensor)
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(base)
        assert await client.is_server_ready(base)
        assert await client.is_model_ready(base, listening.name, headers={**headers})
        assert not await client.is_model_ready(base, "another", headers={**headers})
        result = await client.infer(base, features, model_name=listening.name, headers={**headers})
        by_id = f"{listening.name}_by_id"
        keyed = await client.infer(base, InferRequest(by_id, keys), model_name=by_id, headers={**headers})

    assert result.id == "7"
    got = {output.name: as_words(output.as_numpy()) for output in result.outputs}
    assert got == {**listening.expected, "raw": listening.raw}
    (status,) = [output for output in keyed.outputs if output.name == "status"]
    assert as_words(status.as_numpy()) == ["ok", "not_found"]


def test_mlflow_s_scoring_server_client(listening: Listening) -> None:
    """The client can send no header: the key goes as a password in the address."""
    import pandas as pd

    key = listening.served.headers["X-API-Key"]
    client = ScoringServerClient(f"anyone:{key}@127.0.0.1", listening.port)
    client.ping()
    frame = pd.DataFrame(listening.matrix, columns=listening.columns)

    assert client.get_version()
    assert list(client.invoke(frame).get_predictions(predictions_format="ndarray")) == listening.raw
    records = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    assert list(client.invoke(records, params={"any": 1})["predictions"]) == listening.raw
    with pytest.raises(Exception, match=r"error code 400.*missing inputs"):
        client.invoke(frame[listening.columns[1:]])
    with pytest.raises(Exception, match="error code 401"):
        ScoringServerClient("127.0.0.1", listening.port).invoke(frame)

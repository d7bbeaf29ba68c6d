"""The other systems: how each is started, and what it is asked for one row and for many."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson

from bench.dataset import FEATURE_SERVICE, FEATURES, entity_ids, feature_rows
from bench.environments import PEERS, python_of
from bench.load import encode_request

__all__ = ["Launch", "Peer", "PeerPaths", "ids_of", "peers", "save_mlflow_model", "uvicorn"]


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
class Launch:
    """One start of a peer."""

    python: Path
    """Interpreter of its environment."""
    folder: Path
    """Its working directory."""
    port: int
    paths: PeerPaths


def no_environment(launch: Launch) -> Mapping[str, str]:
    """Nothing beyond what every process gets."""
    del launch
    return {}


def no_preparation(launch: Launch) -> None:
    """Nothing to write first."""
    del launch


@dataclass(frozen=True, slots=True)
class Peer:
    """One system under comparison."""

    name: str
    environment: str
    command: Callable[[Launch], Sequence[str]]
    ready_path: str
    path: str
    body: Callable[[Sequence[int]], bytes]
    """Encodes the request for entities, given by their numbers."""
    note: str = "features come with the request (favours it)"
    """What is unlike ours in what it is asked."""
    env: Callable[[Launch], Mapping[str, str]] = no_environment
    prepare: Callable[[Launch], None] = no_preparation
    """Writes what the peer reads at its start."""

    def python(self, home: Path) -> Path:
        """Interpreter of the peer's environment."""
        return python_of(self.environment, home)

    def request(self, entities: Sequence[int]) -> bytes:
        """Encode one request for these entities."""
        return encode_request("POST", self.path, self.body(entities))


@cache
def known_rows() -> list[list[float]]:
    """Rows of the first entities as Python numbers, for peers that read no features themselves."""
    rows: list[list[float]] = feature_rows(0)[:20_000].tolist()
    return rows


def rows_of(entities: Sequence[int]) -> list[list[float]]:
    """Feature rows of entities by number."""
    known = known_rows()
    return [known[entity] for entity in entities]


def ids_of(entities: Sequence[int]) -> list[str]:
    """Ids of entities by number."""
    return [entity_ids(entity, entity + 1)[0] for entity in entities]


def feast_ids(entities: Sequence[int]) -> bytes:
    """Body of the FastAPI route over Feast and MLflow."""
    return orjson.dumps({"candidate_ids": ids_of(entities)})


def feast_online_request(entities: Sequence[int]) -> bytes:
    """Body of Feast's own feature server."""
    return orjson.dumps({"feature_service": FEATURE_SERVICE, "entities": {"candidate_id": ids_of(entities)}})


def dataframe_split(entities: Sequence[int]) -> bytes:
    """Body of MLflow's scoring server."""
    return orjson.dumps({"dataframe_split": {"columns": FEATURES, "data": rows_of(entities)}})


def rows_body(entities: Sequence[int]) -> bytes:
    """Body of the servers whose route we wrote."""
    return orjson.dumps({"rows": rows_of(entities)})


def open_inference(entities: Sequence[int]) -> bytes:
    """Body of the Open Inference Protocol."""
    flat = [value for row in rows_of(entities) for value in row]
    tensor = {"name": "rows", "shape": [len(entities), len(FEATURES)], "datatype": "FP64", "data": flat}
    return orjson.dumps({"inputs": [tensor]})


def write_mlserver(launch: Launch) -> None:
    """Write MLServer's two settings files."""
    settings = {
        "host": "127.0.0.1",
        "http_port": launch.port,
        "grpc_port": launch.port + 1,
        "metrics_port": launch.port + 2,
        "parallel_workers": 0,
        "debug": False,
    }
    model = {
        "name": "bench",
        "implementation": "mlserver_lightgbm.LightGBMModel",
        "parameters": {"uri": str(launch.paths.model)},
    }
    (launch.folder / "settings.json").write_bytes(orjson.dumps(settings))
    (launch.folder / "model-settings.json").write_bytes(orjson.dumps(model))


def save_mlflow_model(paths: PeerPaths) -> None:
    """Save the booster as an MLflow model, once."""
    if not (paths.mlflow_model / "MLmodel").exists():
        script = PEERS / "mlflow" / "save.py"
        python = python_of("mlflow", paths.home)
        subprocess.run([python, script, paths.model, paths.mlflow_model], check=True, capture_output=True)


def uvicorn(python: Path, folder: Path, port: int) -> list[str]:
    """Command line of uvicorn as everybody runs it here."""
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level", "warning"]
    return [str(python), "-m", "uvicorn", "app:app", "--app-dir", str(folder), *options]


def feast_serve(launch: Launch) -> list[str]:
    """Command line of Feast's feature server; by default it resets its connections every 1,000 requests or so."""
    repository = ["-c", str(launch.paths.feast_repository)]
    options = ["--host", "127.0.0.1", "--port", str(launch.port), "--no-access-log", "--workers", "1"]
    options += ["--max-requests", "0", "--max-requests-jitter", "0"]
    return [str(launch.python), "-m", "feast.cli.cli", *repository, "serve", *options]


def mlflow_serve(launch: Launch) -> list[str]:
    """Command line of MLflow's scoring server."""
    model = ["--model-uri", str(launch.paths.mlflow_model), "--env-manager", "local"]
    options = ["--host", "127.0.0.1", "--port", str(launch.port), "--workers", "1"]
    return [str(launch.python), "-m", "mlflow", "models", "serve", *model, *options]


def bentoml_serve(launch: Launch) -> list[str]:
    """Command line of BentoML."""
    options = ["--host", "127.0.0.1", "--port", str(launch.port), "--working-dir", str(PEERS / "bentoml")]
    return [str(launch.python), "-m", "bentoml", "serve", "service:Bench", *options]


def peers() -> tuple[Peer, ...]:
    """All of them but the empty endpoint, which runs in the project's own environment."""
    return (
        Peer(
            name="Feast SDK + MLflow pyfunc in FastAPI",
            environment="feast",
            command=lambda launch: uvicorn(launch.python, PEERS / "feast", launch.port),
            ready_path="/ready",
            path="/score",
            body=feast_ids,
            note="",
            env=lambda launch: {
                "BENCH_FEAST_REPO": str(launch.paths.feast_repository),
                "BENCH_MLFLOW_MODEL": str(launch.paths.mlflow_model),
            },
            prepare=lambda launch: save_mlflow_model(launch.paths),
        ),
        Peer(
            name="feast serve",
            environment="feast",
            command=feast_serve,
            ready_path="/health",
            path="/get-online-features",
            body=feast_online_request,
            note="reads features, has no model",
        ),
        Peer(
            name="mlflow models serve",
            environment="mlflow",
            command=mlflow_serve,
            ready_path="/ping",
            path="/invocations",
            body=dataframe_split,
            env=lambda launch: {"PATH": f"{launch.python.parent}:/usr/bin:/bin"},
            prepare=lambda launch: save_mlflow_model(launch.paths),
        ),
        Peer(
            name="MLServer",
            environment="mlserver",
            command=lambda launch: [str(launch.python.with_name("mlserver")), "start", "."],
            ready_path="/v2/models/bench/ready",
            path="/v2/models/bench/infer",
            body=open_inference,
            prepare=write_mlserver,
        ),
        Peer(
            name="BentoML",
            environment="bentoml",
            command=bentoml_serve,
            ready_path="/readyz",
            path="/predict",
            body=rows_body,
            env=lambda launch: {"BENCH_MODEL": str(launch.paths.model), "BENTOML_HOME": str(launch.folder / "home")},
        ),
        Peer(
            name="LitServe",
            environment="litserve",
            command=lambda launch: [str(launch.python), str(PEERS / "litserve" / "server.py"), str(launch.port)],
            ready_path="/health",
            path="/predict",
            body=rows_body,
            env=lambda launch: {"BENCH_MODEL": str(launch.paths.model)},
        ),
    )

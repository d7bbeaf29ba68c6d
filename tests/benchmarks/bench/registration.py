"""A real MLflow server, and the benchmark's booster registered in it with its contract under the alias `champion`."""

import contextlib
import hashlib
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import lightgbm
import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.dataset import ENTITY, FEATURE_SERVICE, VIEWS, feature_rows
from bench.processes import LOAD_CORE, Server, free_port
from inference.contract import (
    CONTRACT_FILE,
    CONTRACT_VERSION,
    BoosterSpec,
    Contract,
    FeatureSpec,
    GoldenRows,
    OutputSpec,
    ProhibitedStatement,
    ReferenceBins,
    TrainingRecord,
)

__all__ = ["bench_contract", "mlflow_server", "register"]

MODEL = "bench"
GOLDEN = 5
REFERENCE_ROWS = 20_000


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run an MLflow server over a database and artefacts of its own and yield its address."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = [
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    with Server.running(
        "MLflow",
        command + store,
        port=port,
        ready_path="/health",
        log=folder / "mlflow.log",
        cwd=folder,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        core=LOAD_CORE,
    ):
        yield f"http://127.0.0.1:{port}"


def register(address: str, contract: Contract, model: Path, folder: Path) -> str:
    """Register a booster with its contract as champion and return the version."""
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(model, folder / model.name)
    (folder / CONTRACT_FILE).write_bytes(msgspec.json.encode(contract))
    mlflow.set_tracking_uri(address)
    client = mlflow.MlflowClient(address)
    client.create_registered_model(contract.model)
    run = client.create_run(client.create_experiment(contract.model))
    client.log_artifacts(run.info.run_id, str(folder), "model")
    version = client.create_model_version(contract.model, f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_terminated(run.info.run_id)
    client.set_registered_model_alias(contract.model, "champion", version.version)
    return str(version.version)


def bins(values: NDArray[np.float64]) -> ReferenceBins:
    """Ten bins by the values' own deciles, and one for missing values."""
    edges = np.unique(np.quantile(values, np.linspace(0.1, 0.9, 9)))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    shares = (*(counts / len(values)).tolist(), 0.0)
    return ReferenceBins(edges=tuple(edges.tolist()), shares=shares, rows=len(values))


def bench_contract(model: Path) -> Contract:
    """Contract of the benchmark's booster: 32 stored features, with reference bins for each and for the output."""
    rows = feature_rows(0)[:REFERENCE_ROWS]
    raw = np.asarray(lightgbm.Booster(model_file=model).predict(rows, num_threads=1))
    columns = [(view, column) for view in VIEWS for column in view.columns]
    features = tuple(
        FeatureSpec(
            name=column.name,
            reference=f"{view.name}:{column.name}",
            source="stored",
            dtype="int" if column.dtype == "Int64" else "float",
            bins=bins(rows[:, index]),
        )
        for index, (view, column) in enumerate(columns)
    )
    return Contract(
        contract_version=CONTRACT_VERSION,
        model=MODEL,
        task="regression",
        entities=(ENTITY,),
        feature_service=FEATURE_SERVICE,
        features=features,
        on_demand=(),
        booster=BoosterSpec(library="lightgbm", file=model.name, sha256=hashlib.sha256(model.read_bytes()).hexdigest()),
        output=OutputSpec(name="score", unit="", tables={"score_x": (-1000.0, 1000.0)}, bins=bins(raw)),
        golden=GoldenRows(inputs=tuple(tuple(row) for row in rows[:GOLDEN].tolist()), raw=tuple(raw[:GOLDEN].tolist())),
        training=TrainingRecord(
            fingerprint=hashlib.sha256(rows.tobytes()).hexdigest(),
            rows=len(rows),
            started_at="2026-10-01T00:00:00Z",
            ended_at="2026-11-01T00:00:00Z",
            label_query="",
        ),
        prohibited=ProhibitedStatement(attributes=(), checked="made data"),
    )

"""The platform's own flow over one data set: feature repository, training, online store, a real process, HTTP."""

import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deploy.local import child
from deploy.local.api_key import local_api_key
from deploy.local.platform_specs import platform_specs
from deploy.local.process_spec import ProcessSpec
from deploy.local.settings import DEFAULT_PORTS, LocalSettings

from pipelines.training import train
from real_data.dataset import Dataset, RealDataError, Tables
from real_data.drift import DriftReplay, replay_drift
from real_data.waiting import wait_ready

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["Predictions", "evaluation_platform", "run_flow"]

_KEYS = ("candidate_id", "event_timestamp", "created_timestamp")
_ROWS_A_REQUEST = 5_000


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the service answered for the held-out rows, in one order."""

    label: Sequence[float]
    model: Sequence[float]
    naive: Sequence[float]
    known_rows: int
    """Rows that training was given."""
    lower: Sequence[float] | None = None
    upper: Sequence[float] | None = None
    drift: DriftReplay | None = None


@contextmanager
def evaluation_platform(home: Path) -> Iterator[LocalSettings]:
    """Run an online store and an MLflow server of their own, on free ports, in an emptied `home`."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    settings = LocalSettings(home=home, host="127.0.0.1", ports=_free_ports())
    local_api_key(settings.api_key_file)
    with _running(settings, "valkey"), _running(settings, "mlflow"):
        yield settings


def run_flow(dataset: Dataset, settings: LocalSettings, real_data: Path) -> Predictions:
    """Train on the known rows, serve, and score the held-out rows over HTTP.

    Raises `RealDataError` where the file is absent or a row stays unanswered.
    """
    tables = dataset.tables(real_data)
    home = settings.home / dataset.name
    own = replace(settings, home=home)
    held_out = tables.labels.filter(tables.labels["held_out"])
    known = tables.labels.filter(pc.invert(tables.labels["held_out"]))
    _write(known, home / "labels" / f"{dataset.declaration.name}.parquet")
    store = _feature_repository(dataset, tables, home, settings.redis_url)
    train(dataset.declaration, store=store, labels=home / "labels", mlflow_url=settings.mlflow_url, promotion="always")
    times = pc.min_max(tables.features["event_timestamp"]).as_py()
    store.materialize(times["min"] - timedelta(days=1), times["max"] + timedelta(days=1))

    environment = {
        "OFFERS_FEAST_PROJECT": dataset.name,
        "OFFERS_HOME": str(home),
        "OFFERS_API_KEYS_FILE": str(settings.api_key_file),
    }
    with _running(own, dataset.declaration.name, environment) as url:
        key, ids = local_api_key(settings.api_key_file), held_out["candidate_id"].to_pylist()
        quiet = dataset.quiet(tables)
        drift = None
        if quiet:
            drift = replay_drift(
                quiet,
                ids,
                lambda some: _score(url, key, some),
                lambda: httpx.get(f"{url}/metrics").text,
                home / "drift",
            )
        answers = _score(url, key, ids)
    naive = _by_id(dataset.naive(tables), "prediction")
    label = _by_id(held_out, "label")
    interval = dataset.measure == "amount"
    return Predictions(
        label=[label[i] for i in answers],
        model=[row["estimate" if interval else "probability"] for row in answers.values()],
        naive=[naive[i] for i in answers],
        known_rows=known.num_rows,
        lower=[row["lower"] for row in answers.values()] if interval else None,
        upper=[row["upper"] for row in answers.values()] if interval else None,
        drift=drift,
    )


def _feature_repository(dataset: Dataset, tables: Tables, home: Path, redis_url: str) -> "FeatureStore":
    """Declare one view of all features and the model's feature service, and apply them."""
    from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64, String

    path = home / "features.parquet"
    _write(tables.features, path)
    candidate = Entity(name="candidate", join_keys=["candidate_id"], value_type=ValueType.STRING)
    view = FeatureView(
        name="answers",
        entities=[candidate],
        ttl=timedelta(0),  # a survey's answers do not age
        schema=[
            Field(
                name=column.name,
                dtype=String if pa.types.is_string(column.type) else Float64,
                tags={"unit": dataset.units.get(column.name, "")},
            )
            for column in tables.features.schema
            if column.name not in _KEYS
        ],
        source=FileSource(
            path=str(path), timestamp_field="event_timestamp", created_timestamp_column="created_timestamp"
        ),
    )
    host = redis_url.removeprefix("redis://").split("/")[0]
    store = FeatureStore(
        config=RepoConfig(
            project=dataset.name,
            provider="local",
            registry=str(home / "registry.db"),
            offline_store={"type": "duckdb"},
            online_store={"type": "online_features.PackedRedisOnlineStore", "connection_string": host},
            entity_key_serialization_version=3,
        )
    )
    store.apply([candidate, view, FeatureService(name=dataset.declaration.feature_service, features=[view])])
    return store


def _score(url: str, api_key: str, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    answers: dict[str, Mapping[str, Any]] = {}
    with httpx.Client(base_url=url, headers={"X-API-Key": api_key}, timeout=60.0) as client:
        for start in range(0, len(ids), _ROWS_A_REQUEST):
            chunk = list(ids[start : start + _ROWS_A_REQUEST])
            response = client.post("/v1/score/bulk", json={"candidate_ids": chunk})
            response.raise_for_status()
            for row in response.json()["rows"]:
                if row["status"] == "not_found":
                    raise RealDataError(f"the service does not know {row['candidate_id']}, which was materialised")
                answers[row["candidate_id"]] = row["prediction"]
    return answers


def _by_id(table: pa.Table, column: str) -> dict[str, float]:
    return dict(zip(table["candidate_id"].to_pylist(), table[column].to_pylist(), strict=True))


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, coerce_timestamps="us")


@contextmanager
def _running(settings: LocalSettings, name: str, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run one process of the platform until the end of the block; yields its base URL."""
    spec: ProcessSpec = next(spec for spec in platform_specs(settings) if spec.name == name)
    spec = replace(spec, environment={**spec.environment, **(environment or {})})
    process = child.start(spec, {}, settings.home / "log" / f"{name}.log")
    try:
        wait_ready(process, settings.host, spec, settings.home / "log" / f"{name}.log")
        yield settings.service_url(name)
    finally:
        process.terminate()
        process.wait(20)
        child.end_group(process.pid)


def _free_ports() -> dict[str, int]:
    with _reserved_ports(len(DEFAULT_PORTS)) as ports:
        return dict(zip(DEFAULT_PORTS, ports, strict=True))


@contextmanager
def _reserved_ports(count: int) -> Iterator[list[int]]:
    """Yield ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        yield [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()

"""A small Feast project of its own, a real MLflow server, and models declared over them."""

import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines.training import (
    BoosterChoice,
    CalibratedProbability,
    ConformalInterval,
    FeatureHint,
    Gate,
    GroupMedian,
    MaskedCopies,
    MeanLabel,
    ModelDeclaration,
    OnDemandFunction,
)

HERE = Path(__file__).parent
WEEKS, PEOPLE = 40, 300
LAG = timedelta(days=3)
START = datetime(2025, 1, 6, tzinfo=UTC)
CITIES = ("tokyo", "osaka", "sapporo")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let third parties' own deprecations pass: ibis calls DuckDB's old name, Feast calls its views experimental."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore:On demand feature view:RuntimeWarning"))


@dataclass(frozen=True)
class Project:
    """A Feast store over people whose pay and departure follow from their facts."""

    directory: Path
    store: Any

    @property
    def labels(self) -> Path:
        return self.directory / "labels"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Weekly facts of 300 people over 40 weeks, labels on days between, one on-demand view."""
    directory = tmp_path_factory.mktemp("feast")
    (directory / "labels").mkdir()
    facts = _facts()
    pq.write_table(facts, directory / "facts.parquet")
    pq.write_table(_pay(facts), directory / "labels" / "pay.parquet")
    module = ModuleType("seniority_of_people")
    exec(  # noqa: S102  a module that serving and Feast can both import
        "def seniority(values):\n    return {'seniority': values['years'] / values['age_of_account']}\n",
        module.__dict__,
    )
    sys.modules[module.__name__] = module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Feast's experimental views
        yield Project(directory, _apply(directory))
    del sys.modules[module.__name__]


def _facts() -> pa.Table:
    rng = np.random.default_rng(0)
    week, person = (grid.ravel() for grid in np.meshgrid(np.arange(WEEKS), np.arange(PEOPLE)))
    years = rng.uniform(0, 20, PEOPLE)[person] + week / 52
    holes = rng.random(len(week)) < 0.1
    moments = np.datetime64(START.replace(tzinfo=None), "us") + week.astype("timedelta64[W]")
    at = pa.array(moments).cast(pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "person_id": [f"p{i:04d}" for i in person],
            "event_timestamp": at,
            "created_timestamp": at,
            "years": pa.array(years, mask=holes),
            "city": pa.array(rng.choice(CITIES, PEOPLE, p=[0.6, 0.3, 0.1])[person]),
            "leads": pa.array((rng.random(PEOPLE) < 0.3)[person]),
            "age_of_account": pa.array(week + 1, pa.int64()),
            "mood": rng.normal(size=len(week)),
        }
    )


def _pay(facts: pa.Table) -> pa.Table:
    """Pay in USD a month, three days after a quarter of the facts: log-linear in them, with noise of 0.1."""
    rng = np.random.default_rng(1)
    years = facts["years"].fill_null(10.0).to_numpy()
    leads = facts["leads"].to_numpy(zero_copy_only=False)
    tokyo = facts["city"].to_numpy(zero_copy_only=False) == "tokyo"
    log_pay = 7.0 + 0.05 * years + 0.3 * leads + 0.3 * tokyo + rng.normal(0.0, 0.1, len(years))
    pay = facts.select(["person_id"]).append_column("label", pa.array(np.exp(log_pay)))
    pay = pay.append_column("label_id", pa.array([f"l{i:06d}" for i in range(len(years))]))
    pay = pay.append_column("label_time", pc.add(facts["event_timestamp"], pa.scalar(LAG)))
    return pay.filter(pa.array(rng.random(len(years)) < 0.25))


def _apply(directory: Path) -> Any:
    import pandas as pd
    from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.types import Bool, Float64, Int64, String

    person = Entity(name="person", join_keys=["person_id"], value_type=ValueType.STRING)
    facts = FeatureView(
        name="person_facts",
        entities=[person],
        ttl=timedelta(days=30),
        schema=[
            Field(name="years", dtype=Float64, tags={"unit": "years", "minimum": "0"}),
            Field(name="city", dtype=String),
            Field(name="leads", dtype=Bool),
            Field(name="age_of_account", dtype=Int64, tags={"unit": "weeks"}),
            Field(name="mood", dtype=Float64),
        ],
        source=FileSource(
            path=str(directory / "facts.parquet"),
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
        ),
    )

    @on_demand_feature_view(sources=[facts], schema=[Field(name="seniority", dtype=Float64)], mode="pandas")
    def person_seniority(inputs: pd.DataFrame) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame({"seniority": inputs["years"] / inputs["age_of_account"]})

    store = FeatureStore(
        config=RepoConfig(
            project="people",
            provider="local",
            registry=str(directory / "registry.db"),
            offline_store={"type": "duckdb"},
            online_store={"type": "sqlite", "path": str(directory / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    # `age_of_account` is not in the service: it comes along as an input of the on-demand view.
    served = facts[["years", "city", "leads", "mood"]]
    store.apply([person, facts, person_seniority, FeatureService(name="pay", features=[served, person_seniority])])
    return store


@pytest.fixture
def pay() -> ModelDeclaration:
    """Pay in USD a month, with intervals and an anonymous profile."""
    return ModelDeclaration(
        name="pay",
        entities=("person_id",),
        feature_service="pay",
        label_query="SELECT person_id, label_id, label_time, label FROM labels.pay",
        task="regression",
        label_transform="log",
        booster=BoosterChoice("lightgbm", rounds=120, parameters={"num_leaves": 7, "min_data_in_leaf": 20}),
        output="estimate",
        unit="USD/month",
        tables=ConformalInterval(coverage=0.8, round_to=10.0, groups=2),
        naive=GroupMedian(by={"city": ()}),
        gates=(Gate("mae", of_naive=0.8), Gate("coverage_known", at_least=0.6)),
        headline=("mae", "mdape"),
        population_query="""
            SELECT person_id, max(event_timestamp) AS label_time FROM features.person_facts GROUP BY person_id
        """,
        hints={"years": FeatureHint(required=True, maximum=70.0)},
        on_demand=(OnDemandFunction("person_seniority", "seniority_of_people:seniority", ("years", "age_of_account")),),
        masked=MaskedCopies(keep=("years", "city")),
    )


@pytest.fixture
def wealth(project: Project, pay: ModelDeclaration) -> ModelDeclaration:
    """Whether pay is above 2,500 USD a month, by XGBoost."""
    return replace(
        pay,
        name="wealth",
        label_query="SELECT person_id, label_id, label_time, (label > 2500)::DOUBLE AS label FROM labels.pay",
        task="binary",
        label_transform="none",
        booster=BoosterChoice("xgboost", rounds=60, parameters={"max_depth": 3}),
        output="probability",
        unit="probability",
        tables=CalibratedProbability(low_error=0.1, high_error=0.1),
        naive=MeanLabel(),
        gates=(Gate("log_loss", of_naive=0.9),),
        headline=("log_loss", "roc_auc"),
        masked=None,
    )


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server with its artefact proxy, on a free port."""
    directory = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{directory}/mlflow.db"),
        *("--artifacts-destination", str(directory / "artifacts"), "--serve-artifacts"),
    ]
    quiet = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(command, env=quiet, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/health", server, directory / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"MLflow did not come up: {log.read_text()[-2000:]}")

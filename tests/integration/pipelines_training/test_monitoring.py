"""What training published is what monitoring holds the log against: real versions in a real MLflow server."""

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hourly_rate.intervals import postprocess
from pipelines.defs.monitoring import monitoring_assets
from pipelines.monitoring.flow import make_figures, make_reports
from pipelines.monitoring.watched import WatchedService, watched_service
from pipelines.training import ModelDeclaration, TrainedModel, train
from pipelines.training.fitting import with_defaults
from pipelines.training.splitting import Part

API = "/api/2.0/mlflow"
UNTIL = datetime(2026, 11, 24, tzinfo=UTC)
NOWHERE = "http://127.0.0.1:1"


def _write(directory: Path, columns: dict[str, Any]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), directory / "part.parquet")


def _moments(end: datetime, count: int) -> list[datetime]:
    """Evenly over the two days before `end`."""
    return [end - timedelta(days=2) * (count - i) / count for i in range(count)]


def write_log(home: Path, service: str, end: datetime, columns: dict[str, Any], outcome: np.ndarray) -> None:
    """Rows of two days and their outcomes of the day after."""
    n = len(outcome)
    at = pa.array(_moments(end - timedelta(days=2), n), pa.timestamp("us", tz="UTC"))
    day = f"day={(end - timedelta(days=3)).date()}"
    ids = [f"p{i:06}" for i in range(n)]
    known = {"prediction_id": ids, "scored_at": at, "version": ["1"] * n, "status": ["ok"] * n}
    # A row of the day before lies in the file of the day after: readers go by the time, and by the day roughly.
    _write(home / "predictions" / service / day, known | columns)
    later = pa.array([end - timedelta(days=1)] * n, pa.timestamp("us", tz="UTC"))
    feedback = {"prediction_id": ids, "outcome": pa.array(outcome), "observed_at": later, "received_at": later}
    _write(home / "feedback" / service / f"day={(end - timedelta(days=1)).date()}", feedback)


@dataclass(frozen=True)
class Watched:
    home: Path
    service: WatchedService
    trained: TrainedModel


@pytest.fixture(scope="module")
def shared() -> dict[str, TrainedModel]:
    return {}


@pytest.fixture
def watched(
    project: Any, pay: ModelDeclaration, mlflow_url: str, shared: dict[str, TrainedModel], tmp_path: Path
) -> Watched:
    """The test slice of `pay`, scored by its champion as the service scores, with the pay that came true."""
    declaration = replace(pay, name="watched_pay")
    if "pay" not in shared:
        shared["pay"] = train(declaration, store=project.store, labels=project.labels, mlflow_url=mlflow_url)
    trained = shared["pay"]
    chosen = trained.training_set.part == Part.TEST
    matrix = trained.training_set.matrix[chosen]
    rows = with_defaults(trained.training_set, matrix[:, trained.training_set.input_columns].copy())
    answers = postprocess(trained.fitted.booster.predict(np.ascontiguousarray(rows)), trained.published.contract.output)
    columns = {
        "prediction": np.asarray(answers["estimate"], dtype=np.float64),
        **{f"output.{name}": pa.array(answers[name].tolist()) for name in ("estimate", "lower", "upper", "coverage")},
        **{
            f"feature.{feature.name}": pa.array(matrix[:, place], mask=np.isnan(matrix[:, place]))
            for place, feature in enumerate(trained.training_set.features)
        },
    }
    write_log(tmp_path, "watched_pay", UNTIL, columns, trained.training_set.label[chosen])
    return Watched(tmp_path, watched_service(declaration, "報酬"), trained)


def test_realised_figures_are_those_of_the_test_slice(watched: Watched, mlflow_url: str) -> None:
    figures = make_figures(watched.home, mlflow_url, UNTIL, [watched.service])

    (month,) = figures.services[0].windows_of("1", "28d")
    metrics = watched.trained.fitted.metrics
    # The service rounds to ten dollars, the trainer does not.
    assert month.figure("mae", "realised").value == pytest.approx(metrics["mae"], abs=5)
    assert month.figure("mdape", "realised").value == pytest.approx(metrics["mdape"], abs=0.005)
    assert month.figure("coverage", "realised").value == pytest.approx(metrics["coverage_known"], abs=0.02)
    assert figures.services[0].coverage == 0.8
    bounds = {bound.metric: bound for bound in figures.services[0].bounds}
    assert bounds["mae"].at_most == pytest.approx(0.8 * watched.trained.fitted.naive["mae"])
    assert bounds["coverage"].at_least == 0.6


def test_the_estimate_without_outcomes_is_near_what_came_true(watched: Watched, mlflow_url: str) -> None:
    figures = make_figures(watched.home, mlflow_url, UNTIL, [watched.service])

    (month,) = figures.services[0].windows_of("1", "28d")
    for metric in ("mae", "mdape"):
        expected, realised = month.figure(metric, "estimated"), month.figure(metric, "realised")
        assert expected.value == pytest.approx(realised.value, rel=0.15)


def test_the_report_lies_in_mlflow_with_its_figures(watched: Watched, mlflow_url: str) -> None:
    make_figures(watched.home, mlflow_url, UNTIL, [watched.service])

    (made,) = make_reports(watched.home, mlflow_url, [watched.service])

    with httpx.Client(base_url=mlflow_url) as client:
        run = client.get(f"{API}/runs/get", params={"run_id": made.run_id}).json()["run"]
        listed = client.get(f"{API}/artifacts/list", params={"run_id": made.run_id}).json()["files"]
        root = client.get(f"{API}/experiments/get", params={"experiment_id": run["info"]["experiment_id"]}).json()
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    metrics = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    assert root["experiment"]["name"] == "monitoring"
    assert (tags["service"], tags["model_version"]) == ("watched_pay", "1")
    assert tags["model_run"] == watched.trained.published.run_id
    assert [entry["path"] for entry in listed] == ["watched_pay.html"]
    assert int(listed[0]["file_size"]) == made.path.stat().st_size
    assert metrics["realised_mae"] > 0
    assert metrics["estimated_mae"] > 0
    assert metrics["psi_years"] >= 0
    text = made.path.read_text()
    assert "報酬" in text
    assert made.rows == int(np.sum(watched.trained.training_set.part == Part.TEST))


def test_an_absent_registry_costs_neither_figures_nor_reports(
    watched: Watched, mlflow_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    known = make_figures(watched.home, mlflow_url, UNTIL, [watched.service])

    # What was asked once is kept.
    assert make_figures(watched.home, NOWHERE, UNTIL, [watched.service]) == known
    with pytest.raises(MlflowException):
        make_reports(watched.home, NOWHERE, [watched.service])
    report = watched.home / "reports" / "monitoring" / "watched_pay.html"
    assert "Data drift by feature" in report.read_text()


def test_dagster_makes_figures_and_reports_and_checks_them(
    tmp_path: Path, mlflow_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A version that MLflow does not know, with too few outcomes: said by checks, no failure."""
    monkeypatch.setitem(os.environ, "OFFERS_HOME", str(tmp_path))
    monkeypatch.setitem(os.environ, "OFFERS_MLFLOW_URL", mlflow_url)
    monkeypatch.setitem(os.environ, "DAGSTER_DISABLE_TELEMETRY", "yes")
    write_log(tmp_path, "residency", datetime.now(UTC), {"prediction": np.full(20, 0.2)}, np.zeros(20))

    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        result = dg.materialize(monitoring_assets, instance=instance)

    assert result.success
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert len(checks) == 15
    assert [name for name, check in checks.items() if not check.passed] == ["labels_residency"]
    reasons = checks["labels_residency"].metadata["reasons"].value
    assert reasons == "version 1: 20 outcomes for 20 predictions of the last 28 days: figures need 30."
    assert (tmp_path / "monitoring" / "performance.json").is_file()
    assert (tmp_path / "reports" / "monitoring" / "residency.html").is_file()


def test_dagster_makes_nothing_of_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setitem(os.environ, "OFFERS_HOME", str(tmp_path))
    monkeypatch.setitem(os.environ, "OFFERS_MLFLOW_URL", NOWHERE)

    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        result = dg.materialize(monitoring_assets, instance=instance)

    assert result.success
    assert all(check.passed for check in result.get_asset_check_evaluations())
    assert not (tmp_path / "reports").exists()

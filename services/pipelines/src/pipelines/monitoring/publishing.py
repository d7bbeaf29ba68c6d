"""Keeps a report in MLflow: a run of the experiment `monitoring` with the HTML and its figures as metrics."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.monitoring.figures import Figure
from pipelines.monitoring.findings import span_of
from pipelines.monitoring.report_data import ServiceReport
from pipelines.monitoring.tracking import tracking_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["EXPERIMENT", "log_report"]

EXPERIMENT = "monitoring"


def log_report(report: ServiceReport, file: Path, mlflow_url: str) -> str:
    """Log one run and return its id; tags name service, version and the version's own run.

    Raises mlflow.exceptions.MlflowException when the server refuses or is away.
    """
    from mlflow.entities import Metric, RunTag

    client = tracking_client(mlflow_url)
    name = f"{report.service.name} {report.until:%Y-%m-%d}"
    run = client.create_run(_experiment(client), run_name=name)
    now = int(time.time() * 1000)
    tags = {
        "service": report.service.name,
        "model_version": report.version,
        "model_run": report.facts.run_id if report.facts is not None else "",
        "until": report.until.isoformat(),
    }
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(key, value, now, 0) for key, value in _metrics(report).items()],
        tags=[RunTag(key, value) for key, value in tags.items() if value],
    )
    client.log_artifact(run.info.run_id, str(file))
    client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)


def _metrics(report: ServiceReport) -> dict[str, float]:
    found: dict[str, float] = {}
    month = span_of(report.figures, report.version, "28d")
    if month is not None:
        found |= {"rows": float(month.rows), "labels": float(month.labels)}
        for figure in month.figures:
            found |= _of_figure(figure)
    if report.drift is not None:
        columns = {f"psi_{one.column.name}": one.drift[0] for one in report.drift.features}
        if report.drift.prediction is not None:
            columns["prediction_psi"] = report.drift.prediction.drift[0]
        found |= {name: drift.psi for name, drift in columns.items() if drift is not None}
    return {name: value for name, value in found.items() if _nameable(name)}


def _of_figure(figure: Figure) -> dict[str, float]:
    name = f"{figure.kind}_{figure.metric}"
    parts = ((name, figure.value), (f"{name}_lower", figure.lower), (f"{name}_upper", figure.upper))
    return {key: value for key, value in parts if value is not None}


def _nameable(name: str) -> bool:
    """MLflow refuses a whole batch for one name of other signs; the report has such a feature all the same."""
    return len(name) <= 250 and all(sign.isalnum() or sign in "_-. " for sign in name)


def _experiment(client: "MlflowClient") -> str:
    known = client.get_experiment_by_name(EXPERIMENT)
    return str(known.experiment_id) if known is not None else str(client.create_experiment(EXPERIMENT))

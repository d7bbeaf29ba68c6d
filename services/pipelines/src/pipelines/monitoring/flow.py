"""What the two assets do: figures of all services, then a report a service with its place in MLflow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pipelines.monitoring.figures import PerformanceFigures, read_figures
from pipelines.monitoring.findings import Finding
from pipelines.monitoring.performance import make_performance
from pipelines.monitoring.publishing import log_report
from pipelines.monitoring.report import findings_of, write_report
from pipelines.monitoring.report_data import gather
from pipelines.monitoring.version_facts import champion_of, version_facts
from pipelines.monitoring.watched import WATCHED, WatchedService

__all__ = ["MadeReport", "make_figures", "make_reports"]


@dataclass(frozen=True, slots=True)
class MadeReport:
    """One service's report."""

    service: str
    version: str
    path: Path
    run_id: str
    findings: tuple[Finding, ...]
    rows: int
    """Predictions of the last seven days that drift was counted over."""


def make_figures(
    home: Path, mlflow_url: str, until: datetime, services: Sequence[WatchedService] = WATCHED
) -> PerformanceFigures:
    """Measure all services that have a log. Raises PredictionLogError."""
    return make_performance(home, partial(version_facts, home, mlflow_url), until, services)


def make_reports(home: Path, mlflow_url: str, services: Sequence[WatchedService] = WATCHED) -> tuple[MadeReport, ...]:
    """Write and log the reports that the figures on disk ask for: `<home>/reports/monitoring/<service>.html`.

    Raises MonitoringError, and mlflow.exceptions.MlflowException when the server is away.
    """
    figures = read_figures(home / "monitoring")
    if figures is None:
        return ()
    until = datetime.fromisoformat(figures.made_at).astimezone(UTC)
    gathered = [
        gather(
            home,
            service,
            of_service,
            until,
            facts_of=partial(version_facts, home, mlflow_url),
            champion_of=partial(champion_of, mlflow_url),
        )
        for service in services
        for of_service in figures.services
        if of_service.service == service.name
    ]
    # All are on the disk before the first needs the server.
    written = [
        (report, write_report(report, home / "reports" / "monitoring")) for report in gathered if report is not None
    ]
    return tuple(
        MadeReport(
            service=report.service.name,
            version=report.version,
            path=path,
            run_id=log_report(report, path, mlflow_url),
            findings=findings_of(report),
            rows=0 if report.drift is None else report.drift.rows,
        )
        for report, path in written
    )

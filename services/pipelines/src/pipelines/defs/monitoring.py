"""Figures of the models in service, and a report of each: due when there is a prediction log, once a day."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from pipelines.models import MODELS
from pipelines.warehouse.settings import offers_home

__all__ = ["monitoring_assets", "monitoring_schedule"]

_SERVICES = tuple(declaration.name for declaration in MODELS)
_PERFORMANCE, _REPORT = dg.AssetKey("model_performance"), dg.AssetKey("monitoring_report")


def _mlflow_url() -> str:
    return os.environ.get("OFFERS_MLFLOW_URL", "http://127.0.0.1:5000")


def _checks(asset: dg.AssetKey, about: str, what: str) -> list[dg.AssetCheckSpec]:
    return [dg.AssetCheckSpec(f"{about}_{service}", asset=asset, description=what) for service in _SERVICES]


def _result(asset: dg.AssetKey, name: str, reasons: list[str], rows: int) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=not reasons,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"reasons": "\n".join(reasons) or "none", "rows": rows},
    )


@dg.asset(
    key=_PERFORMANCE,
    group_name="monitoring",
    deps=["prediction_log", *(["promoted_models", service] for service in _SERVICES)],
    kinds={"duckdb"},
    check_specs=[
        *_checks(_PERFORMANCE, "gates", "28 days of outcomes against gates, nominal coverage and calibration"),
        *_checks(_PERFORMANCE, "labels", "Outcomes of 28 days are enough for figures"),
    ],
)
def model_performance() -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Predictions against outcomes by service, version and window: `monitoring/performance.json`."""
    from pipelines.monitoring.findings import label_findings, performance_findings, span_of
    from pipelines.monitoring.flow import make_figures

    started = time.perf_counter()
    figures = make_figures(offers_home(), _mlflow_url(), datetime.now(UTC))
    live = [
        (one, version, month)
        for one in figures.services
        for version in one.versions
        if span_of(one, version, "7d") is not None and (month := span_of(one, version, "28d")) is not None
    ]
    yield dg.MaterializeResult(
        metadata={
            "seconds": time.perf_counter() - started,
            "dagster/row_count": sum(month.rows for _, _, month in live),
            "outcomes": sum(month.labels for _, _, month in live),
        }
    )
    for service in _SERVICES:
        own = [(one, version, month) for one, version, month in live if one.service == service]
        gates = [
            f"version {version}: {it.text}" for one, version, _ in own for it in performance_findings(one, version)
        ]
        labels = [f"version {version}: {it.text}" for one, version, _ in own for it in label_findings(one, version)]
        yield _result(_PERFORMANCE, f"gates_{service}", gates, sum(month.labels for *_, month in own))
        yield _result(_PERFORMANCE, f"labels_{service}", labels, sum(month.rows for *_, month in own))


@dg.asset(
    key=_REPORT,
    group_name="monitoring",
    deps=[_PERFORMANCE],
    kinds={"html", "mlflow"},
    check_specs=_checks(_REPORT, "drift", "No feature and no prediction is beyond what chance makes of seven days"),
)
def monitoring_report() -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Drift and performance of each service: `reports/monitoring/<service>.html`, logged to MLflow."""
    from pipelines.monitoring.flow import make_reports

    started = time.perf_counter()
    made = {report.service: report for report in make_reports(offers_home(), _mlflow_url())}
    yield dg.MaterializeResult(
        metadata={
            "seconds": time.perf_counter() - started,
            **{name: dg.MetadataValue.path(str(report.path)) for name, report in made.items()},
        }
    )
    for service in _SERVICES:
        report = made.get(service)
        reasons = [finding.text for finding in report.findings if finding.about == "drift"] if report else []
        yield _result(_REPORT, f"drift_{service}", reasons, report.rows if report else 0)


monitoring_assets = [model_performance, monitoring_report]

monitoring_schedule = dg.ScheduleDefinition(
    name="monitoring",
    target=dg.AssetSelection.assets(_PERFORMANCE, _REPORT),
    cron_schedule="30 3 * * *",
    execution_timezone="Asia/Tokyo",
)
"""Every night; a log that is not there makes neither figure nor report."""

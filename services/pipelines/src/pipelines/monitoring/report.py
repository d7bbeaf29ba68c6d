"""Writes a service's report: one HTML file that opens offline, runs nothing, and is the same for the same log."""

import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipelines.monitoring.figures import ServiceFigures
from pipelines.monitoring.findings import (
    Finding,
    drift_findings,
    label_findings,
    performance_findings,
    span_of,
)
from pipelines.monitoring.plots import calibration_plot, performance_plot
from pipelines.monitoring.realised import FEWEST_LABELS
from pipelines.monitoring.report_data import ServiceReport
from pipelines.monitoring.report_view import (
    by_excess,
    drift_view,
    number,
    performance_rows,
    share,
    weeks_view,
)

__all__ = ["findings_of", "render_report", "write_report"]

_MOST_FINDINGS = 12
_TITLES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "calibration_error": "Calibration error (ECE, ten bins)",
    "ndcg_at_10": "NDCG@10 a job",
    "rmse": "RMSE",
    "mae": "Mean absolute error",
    "spearman": "Spearman correlation",
    "mdape": "Median absolute percentage error",
    "coverage": "Coverage of intervals",
    "interval_width": "Mean width of intervals",
}


def findings_of(report: ServiceReport) -> tuple[Finding, ...]:
    """Return all that is out of its bounds."""
    version = report.version
    return (
        *performance_findings(report.figures, version),
        *label_findings(report.figures, version),
        *drift_findings(report),
    )


def write_report(report: ServiceReport, directory: Path) -> Path:
    """Write `<directory>/<service>.html` at once, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / f"{report.service.name}.html"
    unfinished = target.with_suffix(".unfinished")
    unfinished.write_text(render_report(report), encoding="utf-8")
    unfinished.replace(target)
    return target


def render_report(report: ServiceReport) -> str:
    """Return the HTML. All that comes from data is escaped; a policy in the file forbids scripts and any request."""
    environment = Environment(
        loader=PackageLoader("pipelines.monitoring", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        name=report.service.name,
        title=report.service.title,
        version=report.version,
        others=[version for version in report.figures.versions if version != report.version],
        until=report.until.strftime("%Y-%m-%d %H:%M UTC"),
        findings=findings_of(report),
        reason=report.reason,
        fewest=FEWEST_LABELS,
        most=_MOST_FINDINGS,
        kind=report.service.kind,
        ranked=report.service.rank_by is not None,
        **_performance(report),
        **_plots(report),
        **_drift(report),
    )


def _performance(report: ServiceReport) -> dict[str, Any]:
    week, month = (span_of(report.figures, report.version, span) for span in ("7d", "28d"))
    figures = month.figures if month is not None else ()
    bounds = [bound for bound in report.figures.bounds if bound.version == report.version]
    found = performance_findings(report.figures, report.version)
    off = frozenset(finding.text.partition(" ")[0] for finding in found)
    counts = [
        ("Predictions of 7 days", f"{week.rows:,}" if week else "0"),
        ("of 28 days", f"{month.rows:,}" if month else "0"),
        ("Outcomes of 28 days", f"{month.labels:,}" if month else "0"),
    ]
    if month is not None and month.lag_median_seconds is not None:
        counts.append(("Outcome after, median", f"{month.lag_median_seconds / 86400:.1f} days"))
    notes = [
        f"{one.metric}: a perfect model would show about {number(one.noise)} on {one.rows:,} outcomes."
        for one in figures
        if one.noise is not None
    ]
    if report.figures.coverage is not None:
        notes.append(f"coverage: nominal {report.figures.coverage:.0%}.")
    return {
        "performance": performance_rows(report.service.metrics, figures, bounds, off),
        "performance_notes": notes,
        "labels": f"{month.labels:,}" if month else "0",
        "rows": f"{month.rows:,}" if month else "0",
        "counts": counts,
    }


def _plots(report: ServiceReport) -> dict[str, Any]:
    shares = report.service.kind == "probability"
    plots = [
        {"title": _TITLES[metric], "svg": Markup(svg)}  # noqa: S704  drawn here, and escaped by matplotlib
        for metric in report.service.metrics
        if (svg := performance_plot(report.figures, metric, _nominal(report.figures, metric))) is not None
    ]
    calibration = calibration_plot(report.labelled, shares=shares)
    return {
        "plots": plots,
        "calibration": None if calibration is None else Markup(calibration),  # noqa: S704  as above
        "calibration_note": f"{len(report.labelled.outcome):,} outcomes of 28 days; 95 % intervals.",
    }


def _nominal(figures: ServiceFigures, metric: str) -> float | None:
    return figures.coverage if metric == "coverage" else None


def _drift(report: ServiceReport) -> dict[str, Any]:
    tables = report.drift
    if tables is None:
        return {"prediction": None, "features": [], "few_features": 0}
    importance = _importance_shares(report)
    ordered = by_excess(tables.features)
    prediction = tables.prediction
    return {
        "prediction": None if prediction is None else drift_view(prediction, None, 420, 90),
        "features": [drift_view(column, importance.get(column.column.name), 190, 30) for column in ordered],
        "few_features": sum(column.drift[0] is None or not column.drift[0].enough for column in ordered),
        "unlogged": tables.unlogged,
        "degraded": "" if math.isnan(report.degraded) else share(report.degraded),
        **weeks_view(tables, [*([prediction] if prediction is not None else []), *ordered]),
    }


def _importance_shares(report: ServiceReport) -> dict[str, float]:
    gains = report.facts.importance if report.facts is not None else {}
    total: float = sum(gains.values())
    return {name: gain / total for name, gain in gains.items()} if total > 0 else {}

"""What a report or an asset check has to say: sentences with their figures and the rows that these stand on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pipelines.monitoring.figures import Figure, GateBound, ServiceFigures, VersionWindow
from pipelines.monitoring.psi import Drift
from pipelines.monitoring.realised import FEWEST_LABELS
from pipelines.monitoring.report_data import ServiceReport

__all__ = ["Finding", "drift_findings", "label_findings", "performance_findings", "span_of"]

_BEYOND_NOISE = 0.02
_COVERAGE_MATTERS = 0.03
_DEVIATIONS = 3.0
_OWN_RULES = frozenset({"coverage", "calibration_error"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    about: Literal["performance", "labels", "drift"]
    text: str


def span_of(figures: ServiceFigures, version: str, span: str) -> VersionWindow | None:
    """Return a version's window that ends now; None if it has no rows."""
    return next(iter(figures.windows_of(version, span)), None)


def performance_findings(figures: ServiceFigures, version: str) -> tuple[Finding, ...]:
    """Hold 28 days against gates, nominal coverage and calibration, as the alert rules do."""
    window = span_of(figures, version, "28d")
    if window is None:
        return ()
    return tuple(Finding("performance", text) for text in _of_window(figures, window))


def label_findings(figures: ServiceFigures, version: str) -> tuple[Finding, ...]:
    """Say when 28 days have too few outcomes for any figure."""
    window = span_of(figures, version, "28d")
    if window is None or window.labels >= FEWEST_LABELS:
        return ()
    text = (
        f"{window.labels:,} outcomes for {window.rows:,} predictions of the last 28 days: figures need {FEWEST_LABELS}."
    )
    return (Finding("labels", text),)


def drift_findings(report: ServiceReport) -> tuple[Finding, ...]:
    """Name what drifted in the last seven days, worst first."""
    if report.drift is None:
        return ()
    columns = [("PSI of", column) for column in report.drift.features]
    if report.drift.prediction is not None:
        columns.append(("PSI of the prediction", report.drift.prediction))
    drifted = [(f"{what} {column.column.name}", column.drift[0]) for what, column in columns]
    found = [(what, drift) for what, drift in drifted if drift is not None and drift.drifted]
    return tuple(
        Finding("drift", _of_drift(what, drift)) for what, drift in sorted(found, key=lambda one: -one[1].excess)
    )


def _of_drift(what: str, drift: Drift) -> str:
    return (
        f"{what} is {drift.psi:.2f} over {drift.rows:,} rows of the last 7 days: "
        f"threshold {drift.threshold:.2f}, by chance {drift.noise:.3f}."
    )


def _of_window(figures: ServiceFigures, window: VersionWindow) -> Iterator[str]:
    for bound in figures.bounds:
        figure = window.figure(bound.metric, "realised")
        if (
            bound.version == window.version
            and figure is not None
            and bound.metric not in {"coverage", "calibration_error"}
        ):
            yield from _of_bound(bound, figure)
    yield from _of_coverage(window.figure("coverage", "realised"), figures.coverage)
    yield from _of_calibration(window.figure("calibration_error", "realised"))


def _of_coverage(figure: Figure | None, nominal: float | None) -> Iterator[str]:
    if figure is None or figure.value is None or nominal is None:
        return
    # As ScoringIntervalCoverageOff has it.
    noise = _DEVIATIONS * (nominal * (1 - nominal) / figure.rows) ** 0.5
    if abs(figure.value - nominal) > max(noise, _COVERAGE_MATTERS):
        yield (
            f"coverage is {figure.value:.1%} on {figure.rows:,} outcomes, nominal {nominal:.0%}: more than the noise, "
            f"{noise:.1%}."
        )


def _of_calibration(figure: Figure | None) -> Iterator[str]:
    if figure is None or figure.lower is None or figure.noise is None:
        return
    if figure.lower > figure.noise + _BEYOND_NOISE:
        yield (
            f"calibration_error is {figure.value:.3f} on {figure.rows:,} outcomes; a perfect model would show "
            f"{figure.noise:.3f}."
        )


def _of_bound(bound: GateBound, figure: Figure) -> Iterator[str]:
    if bound.at_least is not None and figure.upper is not None and figure.upper < bound.at_least:
        yield (
            f"{bound.metric} is {figure.value:.4g} on {figure.rows:,} outcomes, at best {figure.upper:.4g}: "
            f"the gate asks at least {bound.at_least:.4g}."
        )
    if bound.at_most is not None and figure.lower is not None and figure.lower > bound.at_most:
        yield (
            f"{bound.metric} is {figure.value:.4g} on {figure.rows:,} outcomes, at best {figure.lower:.4g}: "
            f"the gate asks at most {bound.at_most:.4g}."
        )

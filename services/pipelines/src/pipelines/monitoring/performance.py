"""Makes the figures of all services that have a prediction log: `<home>/monitoring/performance.json`."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipelines.monitoring.errors import MonitoringError
from pipelines.monitoring.estimated import estimated_figures
from pipelines.monitoring.figures import (
    GateBound,
    PerformanceFigures,
    ServiceFigures,
    VersionWindow,
    performance_figures,
    write_figures,
)
from pipelines.monitoring.log_tables import has_predictions
from pipelines.monitoring.prediction_rows import PredictionRows, WindowRows, open_predictions
from pipelines.monitoring.realised import realised_figures
from pipelines.monitoring.version_facts import VersionFacts
from pipelines.monitoring.watched import WATCHED, WatchedService, bounds_of
from pipelines.monitoring.windows import Window, calendar_windows, trailing_windows

__all__ = ["FactsOf", "make_performance", "service_figures"]

FactsOf = Callable[[str, str], VersionFacts]
"""(model, version) to what is known of it; raises MonitoringError."""
MOST_VERSIONS = 4
"""Versions of a service that are watched: the last that scored. It bounds the series of an export."""
_ESTIMATED = frozenset({"week", "7d", "28d"})


def make_performance(
    home: Path, facts_of: FactsOf, until: datetime, services: Sequence[WatchedService] = WATCHED
) -> PerformanceFigures:
    """Measure and write the figures up to `until`; services without a log are left out.

    Raises PredictionLogError. A version that `facts_of` does not know has figures, but no gates.
    """
    made = tuple(
        service_figures(home, service, facts_of, until) for service in services if has_predictions(home, service.name)
    )
    figures = performance_figures(rfc3339(until), made)
    write_figures(home / "monitoring", figures)
    return figures


def service_figures(home: Path, service: WatchedService, facts_of: FactsOf, until: datetime) -> ServiceFigures:
    """Measure one service. Raises PredictionLogError."""
    windows = (*calendar_windows(until), *trailing_windows(until))
    since = min(window.start for window in windows)
    with open_predictions(home, service, since, until) as rows:
        versions = rows.versions(MOST_VERSIONS)
        facts = {version: _facts(facts_of, service.name, version) for version in versions}
        made = [one for version in versions for one in _windows(rows, service, version, facts[version], windows)]
        awaited = rows.awaited_since()
    nominal = next(
        (found.contract.output.tables.get("coverage") for found in facts.values() if found is not None), None
    )
    return ServiceFigures(
        service=service.name,
        windows=tuple(made),
        bounds=tuple(bound for version in versions for bound in _bounds(service, version, facts[version])),
        coverage=nominal[0] if nominal else None,
        awaited_since=None if awaited is None else rfc3339(awaited),
    )


def rfc3339(moment: datetime) -> str:
    """Write a moment in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _facts(facts_of: FactsOf, model: str, version: str) -> VersionFacts | None:
    try:
        return facts_of(model, version)
    except MonitoringError:
        return None


def _windows(
    rows: PredictionRows, service: WatchedService, version: str, facts: VersionFacts | None, windows: Sequence[Window]
) -> Iterator[VersionWindow]:
    earliest = min(window.start for window in windows)
    test = {} if facts is None else facts.contract.training.metrics
    for window in windows:
        found = rows.window(version, window)
        if found.rows == 0:
            continue
        figures = realised_figures(service, found)
        if window.span in _ESTIMATED:
            figures += estimated_figures(service, found, _earlier(rows, service, version, earliest, window), test)
        lag = rows.label_lag(version, window)
        yield VersionWindow(
            version=version,
            span=window.span,
            start=rfc3339(window.start),
            end=rfc3339(window.end),
            rows=found.rows,
            labels=found.labels,
            lag_median_seconds=None if lag is None else lag.median,
            lag_p90_seconds=None if lag is None else lag.p90,
            figures=figures,
        )


def _earlier(
    rows: PredictionRows, service: WatchedService, version: str, earliest: datetime, window: Window
) -> WindowRows | None:
    """Labelled rows from before the window: what the estimate of a score's loss is learnt from."""
    if service.kind != "score" or window.start <= earliest:
        return None
    return rows.window(version, Window("week", earliest, window.start))


def _bounds(service: WatchedService, version: str, facts: VersionFacts | None) -> list[GateBound]:
    if facts is None:
        return []
    return [GateBound(version, one.metric, one.at_least, one.at_most) for one in bounds_of(service, facts.naive)]

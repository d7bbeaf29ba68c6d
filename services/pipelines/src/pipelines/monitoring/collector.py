"""The figures as Prometheus metrics: read from the small file at each scrape, so that exporting computes nothing.

scoring_performance_figure{service, version, metric, window, kind}    kind: realised | estimated
scoring_performance_lower / _upper{… as above}                        ends of the 95 % interval
scoring_performance_noise{service, version, metric, window}           of a perfect model on so many rows
scoring_performance_gate{service, version, metric, side}              side: at_least | at_most
scoring_performance_nominal_coverage{service}
scoring_performance_rows{service, version, window}
scoring_performance_labels{service, version, window}
scoring_label_lag_seconds{service, version, window, quantile}         quantile: 0.5 | 0.9
scoring_label_awaited_since_timestamp_seconds{service}                last outcome, or first prediction without any
scoring_performance_made_timestamp_seconds                            moment up to which the log was read
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipelines.monitoring.errors import FiguresError
from pipelines.monitoring.figures import FIGURES_FILE, PerformanceFigures, ServiceFigures, VersionWindow, read_figures
from pipelines.monitoring.windows import TRAILING

__all__ = ["performance_collector"]

_EXPORTED = frozenset(span for span, _ in TRAILING)
_FIGURE = ("service", "version", "metric", "window", "kind")
_WINDOW = ("service", "version", "window")


def performance_collector(directory: Path) -> Collector:
    """Return a collector of the figures file in `directory` (`<home>/monitoring`).

    Before the first file it exports nothing. A file that cannot be read leaves the last good figures, whose age tells:
    `scoring_performance_made_timestamp_seconds`.
    """
    return _PerformanceCollector(directory)


class _PerformanceCollector(Collector):
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: tuple[int, int] | None = None
        self._families: tuple[Metric, ...] = ()

    def describe(self) -> list[Metric]:
        """Nothing: registering must not read the file."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Give the families; the file is parsed only when it changed."""
        try:
            stat = (self._directory / FIGURES_FILE).stat()
            seen = (stat.st_mtime_ns, stat.st_size)
            if seen != self._seen:
                figures = read_figures(self._directory)
                self._families = () if figures is None else tuple(_families(figures))
                self._seen = seen
        except FileNotFoundError:
            self._families, self._seen = (), None
        except (OSError, FiguresError):
            pass
        yield from self._families


def _families(figures: PerformanceFigures) -> Iterator[Metric]:
    made = GaugeMetricFamily("scoring_performance_made_timestamp_seconds", "Moment up to which the log was read")
    made.add_metric([], _seconds(figures.made_at))
    yield made
    yield from _of_figures(figures)
    yield from _of_windows(figures)
    yield from _of_services(figures)


def _of_figures(figures: PerformanceFigures) -> Iterator[Metric]:
    value = GaugeMetricFamily("scoring_performance_figure", "Figure of predictions against outcomes", labels=_FIGURE)
    lower = GaugeMetricFamily("scoring_performance_lower", "Lower end of the 95 % interval", labels=_FIGURE)
    upper = GaugeMetricFamily("scoring_performance_upper", "Upper end of the 95 % interval", labels=_FIGURE)
    noise = GaugeMetricFamily("scoring_performance_noise", "Of a perfect model on so many rows", labels=_FIGURE[:-1])
    for service, window in _exported(figures):
        for figure in window.figures:
            labels = [service.service, window.version, figure.metric, window.span, figure.kind]
            for family, number in ((value, figure.value), (lower, figure.lower), (upper, figure.upper)):
                if number is not None:
                    family.add_metric(labels, number)
            if figure.noise is not None:
                noise.add_metric(labels[:-1], figure.noise)
    yield from (value, lower, upper, noise)


def _of_windows(figures: PerformanceFigures) -> Iterator[Metric]:
    rows = GaugeMetricFamily("scoring_performance_rows", "Predictions in the window", labels=_WINDOW)
    labels = GaugeMetricFamily("scoring_performance_labels", "Predictions with an outcome", labels=_WINDOW)
    lag = GaugeMetricFamily("scoring_label_lag_seconds", "From prediction to outcome", labels=(*_WINDOW, "quantile"))
    for service, window in _exported(figures):
        of = [service.service, window.version, window.span]
        rows.add_metric(of, window.rows)
        labels.add_metric(of, window.labels)
        for quantile, seconds in (("0.5", window.lag_median_seconds), ("0.9", window.lag_p90_seconds)):
            if seconds is not None:
                lag.add_metric([*of, quantile], seconds)
    yield from (rows, labels, lag)


def _of_services(figures: PerformanceFigures) -> Iterator[Metric]:
    side = ("service", "version", "metric", "side")
    gate = GaugeMetricFamily("scoring_performance_gate", "Bound of the version's test slice", labels=side)
    nominal = GaugeMetricFamily("scoring_performance_nominal_coverage", "Of the intervals", labels=("service",))
    awaited = GaugeMetricFamily(
        "scoring_label_awaited_since_timestamp_seconds",
        "When the last outcome came, or the first prediction where none has",
        labels=("service",),
    )
    for service in figures.services:
        for bound in service.bounds:
            for name, number in (("at_least", bound.at_least), ("at_most", bound.at_most)):
                if number is not None:
                    gate.add_metric([service.service, bound.version, bound.metric, name], number)
        if service.coverage is not None:
            nominal.add_metric([service.service], service.coverage)
        if service.awaited_since is not None:
            awaited.add_metric([service.service], _seconds(service.awaited_since))
    yield from (gate, nominal, awaited)


def _exported(figures: PerformanceFigures) -> Iterator[tuple[ServiceFigures, VersionWindow]]:
    for service in figures.services:
        for window in service.windows:
            if window.span in _EXPORTED:
                yield service, window


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()

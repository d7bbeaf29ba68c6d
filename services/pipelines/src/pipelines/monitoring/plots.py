"""Plots as SVG text: the same bytes for the same data, text as text, nothing loaded from elsewhere."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter, WeekdayLocator
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pipelines.monitoring.figures import Figure, GateBound, ServiceFigures, VersionWindow
from pipelines.monitoring.prediction_rows import WindowRows
from pipelines.monitoring.realised import CALIBRATION_BINS
from pipelines.monitoring.uncertainty import Z, equal_bins, mean_spread, share_spread
from pipelines.training.declaration import Array

__all__ = ["calibration_plot", "performance_plot"]

_COLOURS = ("#1f5fa8", "#c2571a", "#3a7d44", "#7b4fa3")
"""Of versions, newest first."""
_BOUND, _GRID, _TEXT = "#b3261e", "#d9dde3", "#333a45"
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "offers",  # else ids of clip paths are random
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _TEXT,
    "text.color": _TEXT,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


def performance_plot(figures: ServiceFigures, metric: str, nominal: float | None = None) -> str | None:
    """Draw one metric week by week: realised with its 95 % interval, estimated, gate. None if no week has any."""
    drawn = [
        (position, version, figures.windows_of(version, "week")) for position, version in enumerate(figures.versions)
    ]
    if not any(_points(windows, metric, kind) for _, _, windows in drawn for kind in ("realised", "estimated")):
        return None
    with _drawing(5.0, 2.5) as (canvas, axes):
        for position, version, windows in drawn:
            _draw_version(axes, windows, metric, version, _COLOURS[position % len(_COLOURS)])
        newest = figures.versions[0]
        for bound in figures.bounds:
            if (bound.version, bound.metric) == (newest, metric):
                _draw_bound(axes, bound)
        if nominal is not None:
            axes.axhline(nominal, color=_TEXT, linewidth=1, linestyle=":", label="nominal")
        locator = WeekdayLocator(byweekday=0, interval=2)  # type: ignore[no-untyped-call]  # theirs
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # theirs
        axes.legend(fontsize=8, ncols=2, loc="upper left", bbox_to_anchor=(0, 1.28), borderaxespad=0)
        return _svg(canvas)


def calibration_plot(rows: WindowRows, *, shares: bool) -> str | None:
    """Draw the outcome by tenths of the prediction, with 95 % intervals; None for fewer than 30 outcomes."""
    if len(rows.outcome) < 3 * CALIBRATION_BINS:
        return None
    bins = equal_bins(rows.prediction, CALIBRATION_BINS)
    outcome = (rows.outcome > 0.5).astype(np.float64) if shares else rows.outcome
    x: Array = np.array([np.mean(rows.prediction[part]) for part in bins])
    y: Array = np.array([np.mean(outcome[part]) for part in bins])
    spreads = [
        share_spread(int(np.sum(outcome[part])), len(part)) if shares else mean_spread(outcome[part]) for part in bins
    ]
    low, high = np.array([one[1] for one in spreads]), np.array([one[2] for one in spreads])
    with _drawing(3.4, 3.0) as (canvas, axes):
        ends = [float(min(x.min(), low.min())), float(max(x.max(), high.max()))]
        axes.plot(ends, ends, color=_TEXT, linewidth=1, linestyle=":", label="perfect")
        axes.errorbar(
            x, y, yerr=[y - low, high - y], fmt="o", markersize=4, color=_COLOURS[0], linewidth=1, label="realised"
        )
        axes.set_xlabel("mean prediction, by tenths")
        axes.set_ylabel("share that came true" if shares else "mean outcome")
        axes.legend(fontsize=8, loc="upper left")
        return _svg(canvas)


def _draw_version(axes: Axes, windows: Sequence[VersionWindow], metric: str, version: str, colour: str) -> None:
    realised = _points(windows, metric, "realised")
    if realised:
        x, found = zip(*realised, strict=True)
        y = np.array([one.value for one in found], dtype=np.float64)
        spread = [[_reach(one, upper=upper) for one in found] for upper in (False, True)]
        axes.errorbar(
            x,
            y,
            yerr=np.array(spread),
            fmt="o-",
            markersize=4,
            linewidth=1.2,
            color=colour,
            label=f"v{version} realised",
        )
    estimated = _points(windows, metric, "estimated")
    if estimated:
        x, found = zip(*estimated, strict=True)
        y = np.array([one.value for one in found], dtype=np.float64)
        axes.plot(
            x, y, "--", marker="D", markersize=3.5, markerfacecolor="white", linewidth=1, color=colour, alpha=0.75,
            label=f"v{version} estimated",
        )  # fmt: skip


def _draw_bound(axes: Axes, bound: GateBound) -> None:
    for value, what in ((bound.at_least, "gate: at least"), (bound.at_most, "gate: at most")):
        if value is not None:
            axes.axhline(value, color=_BOUND, linewidth=1, linestyle=(0, (6, 2)), label=what)


def _points(windows: Sequence[VersionWindow], metric: str, kind: Any) -> list[tuple[datetime, Figure]]:
    found = [(datetime.fromisoformat(window.start), window.figure(metric, kind)) for window in windows]
    return [(start, figure) for start, figure in found if figure is not None and figure.value is not None]


def _reach(figure: Figure, *, upper: bool) -> float:
    end = figure.upper if upper else figure.lower
    if figure.value is None or end is None:
        return Z * (figure.error or 0.0)
    return abs(end - figure.value)


@contextmanager
def _drawing(width: float, height: float) -> Iterator[tuple[Canvas, Axes]]:
    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.04))
        yield canvas, canvas.add_subplot()


def _svg(canvas: Canvas) -> str:
    text = io.StringIO()
    canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    # What stands before the element is for files of its own.
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]

"""The figures that monitoring makes, and the file that keeps them: small, so that reading it for an export is cheap."""

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from pipelines.monitoring.errors import FiguresError

__all__ = [
    "FIGURES_FILE",
    "Figure",
    "GateBound",
    "PerformanceFigures",
    "VersionWindow",
    "read_figures",
    "write_figures",
]

FIGURES_FILE = "performance.json"
_FORMAT = 1
Kind = Literal["realised", "estimated"]


class Figure(msgspec.Struct, frozen=True):
    """One metric of one version in one window. None stands for what the rows do not give."""

    metric: str
    kind: Kind
    value: float | None
    rows: int
    """Rows that it stands on."""
    error: float | None = None
    """Standard error."""
    lower: float | None = None
    """Ends of the 95 % interval."""
    upper: float | None = None
    noise: float | None = None
    """What the metric shows on so many rows of a perfect model, where that is not zero: the calibration error."""


class GateBound(msgspec.Struct, frozen=True):
    """What a version had to reach on its test slice."""

    version: str
    metric: str
    at_least: float | None
    at_most: float | None


class VersionWindow(msgspec.Struct, frozen=True):
    """What is known of one version in one window."""

    version: str
    span: Literal["day", "week", "1d", "7d", "28d"]
    start: str
    """RFC 3339."""
    end: str
    rows: int
    labels: int
    lag_median_seconds: float | None
    lag_p90_seconds: float | None
    figures: tuple[Figure, ...]

    def figure(self, metric: str, kind: Kind) -> Figure | None:
        """Return a figure by name; None where there is none."""
        return next((one for one in self.figures if (one.metric, one.kind) == (metric, kind)), None)


class ServiceFigures(msgspec.Struct, frozen=True):
    """All windows of one service."""

    service: str
    windows: tuple[VersionWindow, ...]
    bounds: tuple[GateBound, ...]
    coverage: float | None
    """Nominal coverage of the intervals, where the service gives any."""
    awaited_since: str | None
    """When the last outcome came, or the first prediction where none has; None without predictions."""

    def windows_of(self, version: str, span: str) -> tuple[VersionWindow, ...]:
        """Return a version's windows of one length, oldest first."""
        return tuple(window for window in self.windows if (window.version, window.span) == (version, span))

    @property
    def versions(self) -> tuple[str, ...]:
        """Versions with rows, newest first."""
        return tuple(dict.fromkeys(window.version for window in self.windows))


class PerformanceFigures(msgspec.Struct, frozen=True):
    """The file's content."""

    format: int
    made_at: str
    """RFC 3339: the moment up to which the log was read."""
    services: tuple[ServiceFigures, ...]


def finite(value: float) -> float | None:
    """Return the value, or None for what JSON cannot hold."""
    return float(value) if np.isfinite(value) else None


def performance_figures(made_at: str, services: tuple[ServiceFigures, ...]) -> PerformanceFigures:
    """Return the content of a file of this version."""
    return PerformanceFigures(_FORMAT, made_at, services)


def write_figures(directory: Path, figures: PerformanceFigures) -> None:
    """Write the file at once, so that a reader never sees half of it."""
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = directory / f"{FIGURES_FILE}.unfinished"
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")
    unfinished.replace(directory / FIGURES_FILE)


def read_figures(directory: Path) -> PerformanceFigures | None:
    """Return the figures; None before the first. Raises FiguresError."""
    try:
        found = msgspec.json.decode((directory / FIGURES_FILE).read_bytes(), type=PerformanceFigures)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise FiguresError(f"{directory / FIGURES_FILE}: {error}") from error
    if found.format != _FORMAT:
        raise FiguresError(f"{directory / FIGURES_FILE}: format {found.format}, but {_FORMAT} is read here")
    return found

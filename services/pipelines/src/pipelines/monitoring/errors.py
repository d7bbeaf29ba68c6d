"""Why monitoring stops.

MonitoringError
├── PredictionLogError    the log's files cannot be read as the agreed columns
└── FiguresError          the figures file is not one of this version's
"""

__all__ = ["FiguresError", "MonitoringError", "PredictionLogError"]


class MonitoringError(Exception):
    """Figures or reports cannot be made; the message says what to change."""


class PredictionLogError(MonitoringError):
    """A file of the prediction log or the feedback is broken or lacks a column."""


class FiguresError(MonitoringError):
    """The file of figures cannot be read."""

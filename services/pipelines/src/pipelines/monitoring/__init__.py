"""How models do once they serve: figures against outcomes, drift against training, one report a service.

What a long-lived process needs for the export stands here and is light; figures and reports are made by `flow`.
"""

from pipelines.monitoring.collector import performance_collector
from pipelines.monitoring.errors import FiguresError, MonitoringError, PredictionLogError

__all__ = ["FiguresError", "MonitoringError", "PredictionLogError", "performance_collector"]

"""How models do once they serve: figures against outcomes, drift against training, one report a service."""

from pipelines.monitoring.collector import performance_collector
from pipelines.monitoring.errors import FiguresError, MonitoringError, PredictionLogError
from pipelines.monitoring.performance import make_performance

__all__ = ["FiguresError", "MonitoringError", "PredictionLogError", "make_performance", "performance_collector"]

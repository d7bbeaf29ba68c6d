"""The service under test without metrics, drift counts and prediction log: what these cost is the difference.

Composed here and not by a setting, as nobody should serve so.
"""

from typing import Any

from bench.service import SERVICE
from serving import run, runtime
from serving.measures import Distribution
from serving.prediction_log import PredictionLog

__all__ = ["unobserved"]


def unobserved() -> None:
    """Take the observers out of this process, before anything is opened."""
    opened = runtime.open_predictor
    runtime.open_predictor = lambda models, service, settings, _, measures: opened(  # type: ignore[assignment,misc]
        models, service, settings, (), measures
    )
    for kind, methods in ((Distribution, ("observe",)), (PredictionLog, ("record", "record_bulk"))):
        for method in methods:
            setattr(kind, method, _nothing)


def _nothing(*_: Any, **__: Any) -> None:
    """Observe nothing."""


if __name__ == "__main__":
    unobserved()
    run(SERVICE)

"""The one data plane: everything that waits at this moment is one read, one matrix, one predict."""

from inference.predictor.limits import PredictorLimits
from inference.predictor.predictor import Canary, Predictor

__all__ = ["Canary", "Predictor", "PredictorLimits"]

"""Fakes of the data plane's surroundings, and small real models: for the tests of whoever builds on `inference`."""

from inference.testing.models import FixedModel, live_model, tiny_features, tiny_model
from inference.testing.on_demand import rate_per_year
from inference.testing.readers import InMemoryFeatureReader
from inference.testing.registry import FakeRegistry

__all__ = [
    "FakeRegistry",
    "FixedModel",
    "InMemoryFeatureReader",
    "live_model",
    "rate_per_year",
    "tiny_features",
    "tiny_model",
]

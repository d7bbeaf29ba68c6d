"""Features: Feast over the published tables, and the guard against prohibited attributes."""

from pipelines.features.prohibited import ProhibitedFeatureError, refuse_prohibited
from pipelines.features.store import FEATURE_REPOSITORY, apply, materialize, open_store

__all__ = [
    "FEATURE_REPOSITORY",
    "ProhibitedFeatureError",
    "apply",
    "materialize",
    "open_store",
    "refuse_prohibited",
]

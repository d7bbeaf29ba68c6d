"""Why a training run stops.

TrainingError
├── LabelError               the label query's answer cannot be trained on
├── FeatureError             the feature service and the declaration do not fit
│   └── ProhibitedFeatureError   a feature that the law keeps out is reached
├── LeakageError             features know what only the label's future knows
└── GateError                the model is no better than its gates ask
"""

__all__ = ["FeatureError", "LabelError", "LeakageError", "ProhibitedFeatureError", "TrainingError"]


class TrainingError(Exception):
    """Training cannot go on; the message says what to change."""


class LabelError(TrainingError):
    """The label query lacks a column, has no rows, or holds labels of the wrong kind."""


class FeatureError(TrainingError):
    """The feature service and the declaration do not fit together."""


class ProhibitedFeatureError(FeatureError):
    """The feature service reaches an attribute that must not be used (職業安定法 5条の5)."""


class LeakageError(TrainingError):
    """A feature holds what was not known at the label's time."""

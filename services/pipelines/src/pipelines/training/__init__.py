"""Training: from a model declaration to a registered model version with its contract."""

from pipelines.training.declaration import (
    BoosterChoice,
    FeatureHint,
    Gate,
    LeakageLimits,
    MaskedCopies,
    ModelDeclaration,
    OnDemandFunction,
    TimeSplit,
    declaration_hash,
)
from pipelines.training.errors import FeatureError, LabelError, LeakageError, ProhibitedFeatureError, TrainingError
from pipelines.training.fitting import FittedModel, fit
from pipelines.training.naive import GroupMedian, MeanLabel
from pipelines.training.output_tables import CalibratedProbability, ConformalInterval, ScoreWithPercentile
from pipelines.training.publishing import PublishedVersion, publish, published_alike
from pipelines.training.train import TrainedModel, inputs_digest, train
from pipelines.training.training_set import TrainingSet, build_training_set, load_training_set, save_training_set

__all__ = [
    "BoosterChoice",
    "CalibratedProbability",
    "ConformalInterval",
    "FeatureError",
    "FeatureHint",
    "FittedModel",
    "Gate",
    "GroupMedian",
    "LabelError",
    "LeakageError",
    "LeakageLimits",
    "MaskedCopies",
    "MeanLabel",
    "ModelDeclaration",
    "OnDemandFunction",
    "ProhibitedFeatureError",
    "PublishedVersion",
    "ScoreWithPercentile",
    "TimeSplit",
    "TrainedModel",
    "TrainingError",
    "TrainingSet",
    "build_training_set",
    "declaration_hash",
    "fit",
    "inputs_digest",
    "load_training_set",
    "publish",
    "published_alike",
    "save_training_set",
    "train",
]

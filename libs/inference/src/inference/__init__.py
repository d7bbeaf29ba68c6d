"""The scoring data plane: contract, boosters, model registry, predictor. It knows no web framework, Feast or pandas."""

from inference.artifacts import ArtifactCache, CacheFigures
from inference.boosters import Booster, load_booster
from inference.challenger import ChallengerCanary, Comparison, Shadow, ShadowLimits
from inference.contract import CONTRACT_FILE, CONTRACT_VERSION, Contract, FeatureSpec, OutputSpec
from inference.contract_checks import check_contract, check_schemas, encode_contract, read_contract
from inference.features import CellStatus, FeatureReader, FeatureRows, ViewSchema
from inference.guard import GuardLimits, TrialState
from inference.model import LiveModel, ModelSource, ModelVersion, VersionOrigin, load_model_version
from inference.output_form import OutputForm
from inference.predictor import Predictor, PredictorLimits
from inference.promotion import Promotion, PromotionListener
from inference.promotion_history import PromotionHistory
from inference.registry import ModelRegistry, RegisteredVersion, RegistryAuth, RegistryClient
from inference.scored import Observer, PostProcess, ScoredRows, StageTimings
from inference.version_loading import OpenReader, SpeedLimit
from inference.watch import ModelWatch, RefusedVersion, WatchState, WatchTiming

__all__ = [
    "CONTRACT_FILE",
    "CONTRACT_VERSION",
    "ArtifactCache",
    "Booster",
    "CacheFigures",
    "CellStatus",
    "ChallengerCanary",
    "Comparison",
    "Contract",
    "FeatureReader",
    "FeatureRows",
    "FeatureSpec",
    "GuardLimits",
    "LiveModel",
    "ModelRegistry",
    "ModelSource",
    "ModelVersion",
    "ModelWatch",
    "Observer",
    "OpenReader",
    "OutputForm",
    "OutputSpec",
    "PostProcess",
    "Predictor",
    "PredictorLimits",
    "Promotion",
    "PromotionHistory",
    "PromotionListener",
    "RefusedVersion",
    "RegisteredVersion",
    "RegistryAuth",
    "RegistryClient",
    "ScoredRows",
    "Shadow",
    "ShadowLimits",
    "SpeedLimit",
    "StageTimings",
    "TrialState",
    "VersionOrigin",
    "ViewSchema",
    "WatchState",
    "WatchTiming",
    "check_contract",
    "check_schemas",
    "encode_contract",
    "load_booster",
    "load_model_version",
    "read_contract",
]

"""Everything that may go wrong in the data plane, one tree.

InferenceError
├── NoModelError              no model version is loaded yet
├── FeatureStoreError         the online store did not answer, or not in time
├── ContractViolationError    a caller's value breaks the contract: the feature and the rule, never the value
├── BoosterError              a native booster refused a call
├── RegistryError             the model registry did not answer, or not as expected
│   └── AliasNotSetError      it answered: the alias points to no version
└── VersionRefusedError       a model version cannot serve
    ├── ArtifactError         a file is missing, corrupt, or not what its checksum says
    └── ContractError         the contract is unreadable, contradicts itself, or cannot be met
"""

from enum import StrEnum

__all__ = [
    "AliasNotSetError",
    "ArtifactError",
    "BoosterError",
    "ContractError",
    "ContractViolationError",
    "FeatureStoreError",
    "InferenceError",
    "NoModelError",
    "RefusalCode",
    "RegistryError",
    "VersionRefusedError",
]


class InferenceError(Exception):
    """Root of the tree."""


class NoModelError(InferenceError):
    """No model version is loaded yet."""


class FeatureStoreError(InferenceError):
    """The online store did not answer, or not in time."""


class ContractViolationError(InferenceError):
    """A caller's value breaks the contract."""

    def __init__(self, feature: str, rule: str) -> None:
        super().__init__(f"{feature}: {rule}")
        self.feature = feature
        self.rule = rule


class BoosterError(InferenceError):
    """A native booster refused a call."""


class RegistryError(InferenceError):
    """The model registry did not answer, or not as expected."""


class AliasNotSetError(RegistryError):
    """The registry answered that the alias points to no version."""


class RefusalCode(StrEnum):
    """Why a model version does not serve, for machines; a label of metrics."""

    CONTRACT_MISSING = "contract_missing"
    CONTRACT_INVALID = "contract_invalid"
    SCHEMA_MISMATCH = "schema_mismatch"
    """The online store does not have what the contract reads: a renamed feature, another type."""
    ARTIFACT_MISSING = "artifact_missing"
    ARTIFACT_CORRUPT = "artifact_corrupt"
    GOLDEN_ROWS = "golden_rows"
    POSTPROCESSING = "postprocessing"
    """The service cannot make predictions of the golden rows: a table is missing or too short, a value not finite."""
    TOO_SLOW = "too_slow"
    GUARD_ERRORS = "guard_errors"
    GUARD_LATENCY = "guard_latency"
    GUARD_SHIFT = "guard_shift"
    ROLLED_BACK_ELSEWHERE = "rolled_back_elsewhere"
    """Another process of the service rolled it back, and said so in the registry."""


class VersionRefusedError(InferenceError):
    """A model version cannot serve; the message is the reason that `/v1/model` shows."""

    default_code = RefusalCode.CONTRACT_INVALID

    def __init__(self, reason: str, code: RefusalCode | None = None) -> None:
        super().__init__(reason)
        self.code = code or self.default_code


class ArtifactError(VersionRefusedError):
    """A file of the model version is missing, corrupt, or not what its checksum says."""

    default_code = RefusalCode.ARTIFACT_CORRUPT


class ContractError(VersionRefusedError):
    """The contract is unreadable, contradicts itself, or cannot be met."""

"""Everything that may go wrong in the data plane, one tree.

InferenceError
├── NoModelError              no model version is loaded yet
├── FeatureStoreError         the online store did not answer, or not in time
├── ContractViolationError    a caller's value breaks the contract: the feature and the rule, never the value
├── BoosterError              a native booster refused a call
├── RegistryError             the model registry did not answer, or not as expected
└── VersionRefusedError       a model version cannot serve
    ├── ArtifactError         a file is missing, corrupt, or not what its checksum says
    └── ContractError         the contract is unreadable, contradicts itself, or cannot be met
"""

__all__ = [
    "ArtifactError",
    "BoosterError",
    "ContractError",
    "ContractViolationError",
    "FeatureStoreError",
    "InferenceError",
    "NoModelError",
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


class VersionRefusedError(InferenceError):
    """A model version cannot serve; the message is the reason that `/v1/model` shows."""


class ArtifactError(VersionRefusedError):
    """A file of the model version is missing, corrupt, or not what its checksum says."""


class ContractError(VersionRefusedError):
    """The contract is unreadable, contradicts itself, or cannot be met."""

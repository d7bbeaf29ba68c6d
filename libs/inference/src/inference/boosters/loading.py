"""From a contract's booster to a loaded one."""

import hashlib
from pathlib import Path

from inference.boosters.lightgbm import LightGBMBooster
from inference.boosters.protocol import Booster
from inference.boosters.xgboost import XGBoostBooster
from inference.contract import BoosterSpec
from inference.errors import ArtifactError, RefusalCode

__all__ = ["file_sha256", "load_booster"]


def load_booster(spec: BoosterSpec, directory: Path) -> Booster:
    """Load the contract's booster file from `directory`. Raises `ArtifactError` with the exact reason."""
    path = (directory / spec.file).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise ArtifactError("the booster file lies outside the model's directory")
    if not path.is_file():
        raise ArtifactError(f"the booster file {spec.file} is missing", RefusalCode.ARTIFACT_MISSING)
    if file_sha256(path) != spec.sha256:
        raise ArtifactError(f"the booster file {spec.file} is not the one that the contract names: its sha256 differs")
    return LightGBMBooster(path) if spec.library == "lightgbm" else XGBoostBooster(path)


def file_sha256(path: Path) -> str:
    """Checksum of a file's bytes, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

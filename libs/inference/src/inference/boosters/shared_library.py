"""Opens a shared library that lies inside an installed package, without importing the package."""

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path

from inference.errors import ArtifactError

__all__ = ["open_shared_library"]


def open_shared_library(package: str, stem: str) -> ctypes.CDLL:
    """Open `lib<stem>` of an installed package. Raises `ArtifactError` where it is not there or cannot be loaded."""
    spec = find_spec(package)
    roots = list(spec.submodule_search_locations or ()) if spec else []
    if not roots:
        raise ArtifactError(f"the booster's library is not installed: {package}")
    path = Path(roots[0]) / "lib" / _file_name(stem)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        # LightGBM's wheel leans on the system's OpenMP runtime (libgomp1 in Debian, libomp on macOS).
        raise ArtifactError(f"cannot load {path.name} of {package}: {error}") from error


def _file_name(stem: str) -> str:
    if sys.platform == "win32":
        return f"{stem.removeprefix('lib')}.dll"
    return f"{stem}.dylib" if sys.platform == "darwin" else f"{stem}.so"

"""The API key of local callers."""

import os
import secrets
from pathlib import Path

__all__ = ["local_api_key"]


def local_api_key(path: Path) -> str:
    """Return the first key in `path`; write a new one, readable by its owner alone, if there is none."""
    if path.exists() and (lines := path.read_text().split()):
        return lines[0].rpartition(":")[2]  # `name:key` or a bare key
    path.parent.mkdir(parents=True, exist_ok=True)
    key = secrets.token_urlsafe(32)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{key}\n")
    fresh.replace(path)
    return key

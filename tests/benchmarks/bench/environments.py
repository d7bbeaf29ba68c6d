"""An environment of its own for each peer, from its pinned `requirements.txt`, kept between runs."""

import hashlib
import subprocess
import sys
from pathlib import Path

__all__ = ["EnvironmentFailedError", "python_of"]

PEERS = Path(__file__).parents[1] / "peers"
UV = Path(sys.executable).with_name("uv")


class EnvironmentFailedError(Exception):
    """The pinned requirements could not be installed here."""


def python_of(peer: str, home: Path) -> Path:
    """Return the interpreter of a peer's environment, which is made if it is not there for these very requirements."""
    requirements = PEERS / peer / "requirements.txt"
    environment = home / "envs" / peer
    python = environment / "bin" / "python"
    mark = environment / "requirements.sha256"
    fingerprint = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == fingerprint:
        return python
    run(str(UV), "venv", "--clear", "--python", sys.executable, str(environment))
    run(str(UV), "pip", "install", "--python", str(python), "--requirement", str(requirements))
    mark.write_text(fingerprint)
    return python


def run(*command: str) -> None:
    """Run an installer step. Raises `EnvironmentFailedError` with its last words."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EnvironmentFailedError(done.stderr.strip()[-1500:])

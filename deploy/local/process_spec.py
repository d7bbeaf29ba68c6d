"""What the supervisor runs: a declaration a process."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

__all__ = ["HTTP_OK", "REDIS_PONG", "Probe", "ProcessSpec", "fingerprint", "http_probe"]

HTTP_OK = (b"HTTP/1.1 200", b"HTTP/1.0 200")
REDIS_PONG = (b"+PONG",)


@dataclass(frozen=True, slots=True)
class Probe:
    """A process is ready when it answers `request` on its port with one of `answers`."""

    request: bytes
    answers: tuple[bytes, ...]
    """How the answer may begin, all of one length: prometheus_client speaks HTTP/1.0."""


def http_probe(path: str) -> Probe:
    """GET `path` must answer 200."""
    return Probe(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(), HTTP_OK)


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One supervised process."""

    name: str
    command: tuple[str, ...]
    port: int | None = None
    probe: Probe | None = None
    """None: ready as soon as it runs."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """On top of the supervisor's own."""
    directory: Path | None = None
    stage: int = 0
    """Stage 0 starts with the supervisor, stage 1 when it is told to go on. Stops run in reverse order of starts."""
    grace_seconds: float = 8.0
    """From SIGTERM to SIGKILL."""


def fingerprint(specs: Iterable[ProcessSpec]) -> str:
    """Changes when what must run changes (not when the code behind it does)."""
    return hashlib.sha256(msgspec.json.encode(list(specs), enc_hook=str, order="deterministic")).hexdigest()

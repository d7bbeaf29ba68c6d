"""What the supervisor knows, on disk in `run/state.json`, for `make up` and `make status`.

The supervisor's lock is the truth about whether one runs; a state file without a held lock is stale.
"""

from pathlib import Path
from typing import Literal

import msgspec

__all__ = ["PlatformState", "ProcessState", "Status", "read_state", "write_state"]

Status = Literal["waiting", "starting", "ready", "backoff", "stopped"]


class ProcessState(msgspec.Struct, frozen=True):
    """One process as last seen."""

    name: str
    status: Status
    port: int | None = None
    pid: int | None = None
    restarts: int = 0
    """Deaths that the supervisor answered with a new start."""
    deaths_in_a_row: int = 0
    """Deaths without having been ready in between."""
    last_exit: int | None = None
    started_at: float | None = None
    """Seconds since the epoch."""


class PlatformState(msgspec.Struct, frozen=True):
    """The whole platform as last seen."""

    run_id: str
    """Stands in the environment of every process that this supervisor started."""
    pid: int
    fingerprint: str
    started_at: float
    processes: tuple[ProcessState, ...]


def write_state(directory: Path, state: PlatformState) -> None:
    """Replace the state file in one step: a reader never sees half of it."""
    fresh = directory / "state.json.new"
    fresh.write_bytes(msgspec.json.encode(state))
    fresh.replace(directory / "state.json")


def read_state(directory: Path) -> PlatformState | None:
    """Return the last state, or None if there is none that can be read."""
    try:
        return msgspec.json.decode((directory / "state.json").read_bytes(), type=PlatformState)
    except (OSError, msgspec.DecodeError):
        return None

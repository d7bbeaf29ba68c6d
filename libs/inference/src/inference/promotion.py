"""What became of each move of an alias, and the file that remembers it."""

import fcntl
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec

from inference.errors import RefusalCode

__all__ = ["Outcome", "Promotion", "PromotionHistory", "PromotionListener"]

Outcome = Literal["live", "refused", "rolled_back"]
UNKNOWN = "unknown"
_SAME_SECONDS = 600.0


class Promotion(msgspec.Struct, frozen=True):
    """One move of an alias, as this service saw it."""

    at: datetime
    """When the outcome was known here; the registry does not keep when an alias moved."""
    model: str
    alias: str
    from_version: str | None
    """What served before; None at a first start."""
    to_version: str
    """What the alias points to."""
    outcome: Outcome
    """`live`: it serves. `refused`: it stayed out. `rolled_back`: it served, and `from_version` serves again."""
    code: RefusalCode | None = None
    reason: str = ""
    moved_by: str = UNKNOWN
    """From the version's tag `promoted_by`; MLflow itself does not keep who moves an alias."""
    registered_by: str = UNKNOWN
    """The version's user in MLflow."""
    from_metrics: dict[str, float] | None = None
    """Evaluation figures of the contract, for the version before and the new one; None where it was not read."""
    to_metrics: dict[str, float] | None = None

    def repeats(self, other: "Promotion") -> bool:
        """Whether another process of the service has told the same move."""
        near = abs((self.at - other.at).total_seconds()) < _SAME_SECONDS
        return near and (self.from_version, self.to_version, self.outcome, self.reason) == (
            other.from_version,
            other.to_version,
            other.outcome,
            other.reason,
        )


PromotionListener = Callable[[Promotion], None]
"""Is told of each move on the event loop; must be quick."""


class PromotionHistory:
    """A file of JSON lines a model, shared by the processes of a machine, cut to the newest `kept` moves."""

    def __init__(self, directory: Path, model: str, *, kept: int = 1000) -> None:
        """Touch nothing yet."""
        self._path = directory / f"{quote(model, safe='')}.jsonl"
        self._kept = kept

    def append(self, promotion: Promotion) -> None:
        """Write durably, unless another process has just told the same. Blocks: call it in a thread."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            content = file.read()
            lines = content.splitlines()
            known = _decoded(lines[-50:])
            last = next((one for one in reversed(known) if one.alias == promotion.alias), None)
            if last is not None and promotion.repeats(last):
                return
            if len(lines) >= 2 * self._kept:
                file.truncate(0)
                file.write(b"".join(line + b"\n" for line in lines[-self._kept :]))
            elif content and not content.endswith(b"\n"):
                # A line that a crash left unfinished must not swallow this one.
                file.write(b"\n")
            file.write(msgspec.json.encode(promotion) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self, limit: int = 100) -> list[Promotion]:
        """Give the newest moves, newest first. Blocks: call it in a thread."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return _decoded(lines[-self._kept :])[::-1][:limit]


def _decoded(lines: list[bytes]) -> list[Promotion]:
    found: list[Promotion] = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=Promotion))
        except msgspec.DecodeError:
            continue
    return found

"""What a watch says of itself: what serves, what does not, and why."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from inference.errors import RefusalCode
from inference.model import ModelVersion

__all__ = ["RefusedVersion", "Source", "StateBoard", "WatchState"]

_REFUSED_KEPT = 10

Source = Literal["registry", "cache"]


@dataclass(frozen=True, slots=True)
class RefusedVersion:
    """A version that the alias points or pointed to, and that does not serve."""

    version: str
    reason: str
    refused_at: datetime
    code: RefusalCode = RefusalCode.CONTRACT_INVALID


@dataclass(frozen=True, slots=True)
class WatchState:
    """What serves now and why nothing else does: for `/v1/model` and `/readyz`."""

    name: str
    alias: str
    ready: bool
    champion: ModelVersion | None
    """The version that the watched alias serves."""
    source: Source | None
    """`cache` until the registry has confirmed, since the start, that the alias points to this version."""
    registry_error: str | None
    """Why the last look failed; None after a good one."""
    checked_at: datetime | None
    """When the registry last answered."""
    refused: tuple[RefusedVersion, ...]
    """Newest last; a version that was rolled back is one too."""
    swaps: int
    rollbacks: int = 0


class StateBoard:
    """Keeps the state; each change makes a new object, which readers may keep."""

    def __init__(self, name: str, alias: str) -> None:
        self.state = WatchState(name, alias, False, None, None, None, None, (), 0)
        self.ready = asyncio.Event()

    def note_answer(self) -> None:
        """The registry has answered."""
        self._update(registry_error=None, checked_at=datetime.now(UTC))

    def note_error(self, error: str) -> None:
        """A look has failed."""
        self._update(registry_error=error)

    def note_confirmed(self) -> None:
        """The alias points to what serves."""
        self._update(source="registry")

    def note_live(self, version: ModelVersion, source: Source, *, is_swap: bool) -> None:
        """Show a version as the one that serves."""
        self.note_allowed(version.version)
        self._update(ready=True, champion=version, source=source, swaps=self.state.swaps + is_swap)
        self.ready.set()

    def note_refused(self, version: str, code: RefusalCode, reason: str) -> bool:
        """Show a version as refused; False if that was known."""
        known = next((refused for refused in self.state.refused if refused.version == version), None)
        # How slow it is differs from try to try.
        if known is not None and known.code is code and (known.reason == reason or code is RefusalCode.TOO_SLOW):
            return False
        self.note_allowed(version)
        refused = (*self.state.refused, RefusedVersion(version, reason, datetime.now(UTC), code))
        self._update(refused=refused[-_REFUSED_KEPT:])
        return True

    def note_allowed(self, version: str) -> None:
        """Show a version as refused no more."""
        self._update(refused=tuple(refused for refused in self.state.refused if refused.version != version))

    def note_rollback(self) -> None:
        """Count a rollback."""
        self._update(rollbacks=self.state.rollbacks + 1)

    def note_stopped(self) -> None:
        """Nothing serves any more."""
        self.ready.clear()
        self._update(ready=False, champion=None, source=None)

    def _update(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]  # fields of the state, by name

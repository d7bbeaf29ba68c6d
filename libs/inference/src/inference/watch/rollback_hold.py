"""Keeps a version out that was rolled back, for as long as the alias points to it and nobody insists."""

from inference.registry import ModelRegistry, RegisteredVersion
from inference.watch.state import StateBoard
from inference.watch.version_tags import ROLLED_BACK_TAG, ROLLED_BACK_TO_TAG, is_forced, set_tags

__all__ = ["RollbackHold"]


class RollbackHold:
    """Holds at most one version; the registry's tags say so to the other processes, and they to this one."""

    def __init__(self, registry: ModelRegistry, board: StateBoard) -> None:
        self._registry = registry
        self._board = board
        self._held: RegisteredVersion | None = None
        self._untold: dict[str, str] = {}
        """Tags of the held version that the registry has not taken yet."""
        self._tag_seen = False

    def hold(self, bad: RegisteredVersion, reason: str, served_instead: str) -> None:
        """Keep a version out that this process rolled back; `tell` tells the registry."""
        self._held, self._tag_seen = bad, False
        self._untold = {ROLLED_BACK_TAG: reason, ROLLED_BACK_TO_TAG: served_instead}

    def hold_told(self, bad: RegisteredVersion) -> None:
        """Keep a version out whose tag says already that it was rolled back."""
        self._held, self._tag_seen, self._untold = bad, True, {}

    async def tell(self, bad: RegisteredVersion) -> None:
        """Set the tags that the registry has not taken yet."""
        await set_tags(self._registry, bad.name, bad.version, self._untold)

    async def keeps_out(self, registered: RegisteredVersion) -> bool:
        """Whether the alias' version must not be taken. Lets the held one go where it may be tried again."""
        held = self._held
        if held is None:
            return False
        if not registered.same_files(held):
            # The alias has pointed elsewhere: the version may be tried again when it comes back.
            self._held, self._untold = None, {}
            self._board.note_allowed(held.version)
            await set_tags(self._registry, held.name, held.version, {ROLLED_BACK_TAG: ""})
            return False
        if is_forced(registered):
            self._held = None
            return False
        if registered.tags.get(ROLLED_BACK_TAG):
            self._tag_seen = True
        elif self._tag_seen:
            # Another process saw the alias point elsewhere and back.
            self._held = None
            return False
        else:
            await self.tell(held)
        return True

"""Makes a version serve or says why it does not, and takes it back."""

import asyncio
import logging
import time
from pathlib import Path

from inference.artifacts import ArtifactCache
from inference.errors import ArtifactError, FeatureStoreError, RefusalCode, RegistryError, VersionRefusedError
from inference.model import LiveModel, VersionOrigin
from inference.registry import ModelRegistry, RegisteredVersion
from inference.version_loading import VersionLoader
from inference.watch.background import Background
from inference.watch.live_versions import LiveVersions
from inference.watch.promotion_telling import PromotionTelling
from inference.watch.rollback_hold import RollbackHold
from inference.watch.state import Source, StateBoard
from inference.watch.version_tags import REFUSED_TAG, ROLLED_BACK_TO_TAG, is_forced, set_tags

__all__ = ["Promoter"]

_log = logging.getLogger(__name__)


class Promoter:
    """Moves the versions of one alias; whatever comes of a move is shown, told, tagged and remembered."""

    def __init__(
        self,
        registry: ModelRegistry,
        cache: ArtifactCache,
        loader: VersionLoader,
        *,
        versions: LiveVersions,
        hold: RollbackHold,
        board: StateBoard,
        telling: PromotionTelling,
        background: Background,
        refused_retry_seconds: float,
    ) -> None:
        self._registry = registry
        self._cache = cache
        self._loader = loader
        self._versions = versions
        self._hold = hold
        self._board = board
        self._telling = telling
        self._background = background
        self._refused_retry_seconds = refused_retry_seconds
        self._retry_at: dict[str, float] = {}
        self._remembering = asyncio.Lock()

    def is_refused(self, registered: RegisteredVersion) -> bool:
        """Whether the version was refused so lately that it is not tried again yet."""
        return time.monotonic() < self._retry_at.get(registered.version, 0.0)

    async def promote(self, registered: RegisteredVersion) -> None:
        """Load the version and swap it in, or refuse it."""
        standby = self._versions.standby
        if standby is not None and registered.same_files(standby.registered):
            left = self._versions.live
            self._return_to_standby(registered, standby.live)
            self._telling.tell(registered, "live", left, standby.live)
            await self._remember_serving()
            return
        source: Source = "cache"
        before = self._versions.live
        try:
            directory = await asyncio.to_thread(self._cache.find, registered)
            if directory is None:
                source = "registry"
                directory = await self._cache.add(registered, self._registry.download)
            live = await self._load(registered, directory, source)
        except (RegistryError, FeatureStoreError) as error:
            # Says nothing about the version: the next look tries again.
            self._board.note_error(str(error))
            if isinstance(error, RegistryError):
                await self.serve_from_cache()
            return
        except VersionRefusedError as error:
            if isinstance(error, ArtifactError):
                await asyncio.to_thread(self._cache.discard, registered)
            await self._refuse(registered, error)
            await self.serve_from_cache()
            return
        alias = self._board.state.alias
        served = await asyncio.to_thread(self._cache.remembered, registered.name, alias)
        self._swap(registered, live, "registry")
        if before is not None or served is None or not registered.same_files(served):
            # A start moves nothing, unless the alias has moved while no process was there.
            from_version = None if served is None else served.version
            self._telling.tell(registered, "live", before, live, from_version=from_version)
        await self._remember_serving()

    async def serve_from_cache(self) -> None:
        """While nothing serves: serve what the alias served last, if it is still there."""
        if self._versions.live is not None:
            return
        state = self._board.state
        found = await asyncio.to_thread(self._cache.recall, state.name, state.alias)
        if found is None:
            return
        registered, directory = found
        try:
            live = await self._load(registered, directory, "cache")
        except (VersionRefusedError, FeatureStoreError) as error:
            reasons = [reason for reason in (self._board.state.registry_error, f"from the cache: {error}") if reason]
            self._board.note_error("; ".join(reasons))
            return
        self._swap(registered, live, "cache")

    async def follow_rollback(self, registered: RegisteredVersion, reason: str) -> None:
        """Do as another process did, or this one before a restart, when it rolled this version back."""
        self._hold.hold_told(registered)
        serving = self._versions.registered
        serves = serving is not None and registered.same_files(serving)
        reason = f"rolled back by another process: {reason}"
        if serves and self._versions.standby is not None:
            self.roll_back(RefusalCode.ROLLED_BACK_ELSEWHERE, reason)
            return
        self._board.note_refused(registered.version, RefusalCode.ROLLED_BACK_ELSEWHERE, reason)
        if not serves and self._versions.live is not None:
            return
        try:
            earlier = await self._registry.by_version(registered.name, registered.tags.get(ROLLED_BACK_TO_TAG, ""))
            await self.promote(earlier)
        except RegistryError as error:
            self._board.note_error(str(error))
        await self.serve_from_cache()

    def roll_back(self, code: RefusalCode, reason: str) -> None:
        """Serve the version before again, at once; the rest follows in the background."""
        bad, standby, left = self._versions.registered, self._versions.standby, self._versions.live
        if bad is None or standby is None:
            return
        self._return_to_standby(standby.registered, standby.live)
        if code is not RefusalCode.ROLLED_BACK_ELSEWHERE:
            self._hold.hold(bad, f"{code}: {reason}", standby.registered.version)
        self._board.note_rollback()
        self._board.note_refused(bad.version, code, reason)
        _log.error("model_rolled_back", extra={"model": bad.name, "version": bad.version, "code": code.value,
                                               "reason": reason, "to": standby.registered.version})  # fmt: skip
        self._telling.tell(bad, "rolled_back", standby.live, left, code=code, reason=reason)
        self._background.spawn(self._finish_rollback(bad))

    def stop_serving(self) -> None:
        """Serve nothing: the alias is not set."""
        if self._versions.live is not None:
            self._versions.stop()
            self._board.note_stopped()

    async def _finish_rollback(self, bad: RegisteredVersion) -> None:
        await self._remember_serving()
        await self._hold.tell(bad)
        self._cache.signal(bad.name)

    async def _remember_serving(self) -> None:
        """Let a restart find what serves now: a rollback may overtake the promotion that it undoes.

        The history comes first: a restart tells what it does not remember.
        """
        await self._telling.wait_written()
        async with self._remembering:
            if self._versions.registered is not None:
                await asyncio.to_thread(self._cache.remember, self._versions.registered, self._board.state.alias)

    async def _load(self, registered: RegisteredVersion, directory: Path, source: Source) -> LiveModel:
        alias, live = self._board.state.alias, self._versions.live
        origin = VersionOrigin(registered.name, registered.version, alias, registered.run_id, source)
        return await self._loader.load(
            directory, origin, None if live is None or is_forced(registered) else live.version
        )

    def _swap(self, registered: RegisteredVersion, live: LiveModel, source: Source) -> None:
        is_swap = self._versions.live is not None
        self._versions.swap(registered, live)
        self._note_live(registered, live, source, is_swap=is_swap)

    def _return_to_standby(self, registered: RegisteredVersion, live: LiveModel) -> None:
        self._versions.return_to_standby(registered)
        self._note_live(registered, live, "registry", is_swap=True)

    def _note_live(self, registered: RegisteredVersion, live: LiveModel, source: Source, *, is_swap: bool) -> None:
        self._retry_at.pop(registered.version, None)
        self._board.note_live(live.version, source, is_swap=is_swap)
        _log.info("model_swapped", extra={"model": registered.name, "version": registered.version, "source": source})

    async def _refuse(self, registered: RegisteredVersion, error: VersionRefusedError) -> None:
        self._retry_at[registered.version] = time.monotonic() + self._refused_retry_seconds
        reason = str(error)
        if not self._board.note_refused(registered.version, error.code, reason):
            return
        _log.warning("model_refused", extra={"model": registered.name, "version": registered.version,
                                             "code": error.code.value, "reason": reason})  # fmt: skip
        self._telling.tell(registered, "refused", self._versions.live, code=error.code, reason=reason)
        await set_tags(self._registry, registered.name, registered.version, {REFUSED_TAG: reason})

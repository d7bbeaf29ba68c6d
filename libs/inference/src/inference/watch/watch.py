"""The watch that a service holds."""

import asyncio
import logging
from collections.abc import Collection, Sequence

from inference.artifacts import ArtifactCache
from inference.errors import AliasNotSetError, NoModelError, RegistryError
from inference.guard import GuardLimits, TrialState
from inference.model import LiveModel, ModelVersion
from inference.output_form import OutputForm
from inference.promotion import PromotionListener
from inference.promotion_history import PromotionHistory
from inference.registry import ModelRegistry, RegisteredVersion
from inference.scored import ScoredRows
from inference.version_loading import OpenReader, SpeedLimit, VersionLoader
from inference.watch.background import Background
from inference.watch.live_versions import LiveVersions
from inference.watch.look_loop import LookLoop, WatchTiming
from inference.watch.promoter import Promoter
from inference.watch.promotion_telling import PromotionTelling
from inference.watch.rollback_hold import RollbackHold
from inference.watch.state import StateBoard, WatchState
from inference.watch.version_tags import ROLLED_BACK_TAG, is_forced

__all__ = ["ModelWatch"]

_log = logging.getLogger(__name__)


class ModelWatch:
    """A `ModelSource` that follows an alias. Belongs to one event loop.

    The registry being away changes nothing for what serves; a start without it takes the version that the alias
    served last from the cache. With a `guard`, a new version is on trial for a window, and the version before stays
    loaded: give the watch to the predictor as observer too. A version that breaks the guard's limits is rolled back,
    and not taken again until the alias has pointed elsewhere or a person has set the tag `serving.force`; a tag of the
    version says so to the other processes, which follow.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        cache: ArtifactCache,
        name: str,
        open_reader: OpenReader,
        *,
        on_demand_modules: Collection[str],
        alias: str = "champion",
        timing: WatchTiming | None = None,
        speed_limit: SpeedLimit | None = None,
        guard: GuardLimits | None = None,
        history: PromotionHistory | None = None,
        listeners: Sequence[PromotionListener] = (),
        keeps_last: bool = True,
        outputs: Sequence[OutputForm] = (),
    ) -> None:
        """Follow `alias` of registered model `name`; `keeps_last` says whether it serves on when the alias is unset.

        A version must give the service's `outputs`.
        """
        self._registry = registry
        self._guard = guard
        self._history = history
        self._keeps_last = keeps_last
        self._timing = timing or WatchTiming()
        self._background = Background()
        self._board = StateBoard(name, alias)
        self._versions = LiveVersions(guard, self._background)
        self._hold = RollbackHold(registry, self._board)
        self._promoter = Promoter(
            registry,
            cache,
            VersionLoader(open_reader, on_demand_modules, speed_limit, outputs),
            versions=self._versions,
            hold=self._hold,
            board=self._board,
            telling=PromotionTelling(alias, listeners, history, self._background),
            background=self._background,
            refused_retry_seconds=self._timing.refused_retry_seconds,
        )
        self._loop = LookLoop(
            self._look_safely, self._versions.end_passed_trial, timing=self._timing, cache=cache, model=name
        )

    @property
    def state(self) -> WatchState:
        """What serves now; a new object after each change."""
        return self._board.state

    @property
    def trial(self) -> TrialState | None:
        """How the guard's window stands; None outside one."""
        return self._versions.trial

    @property
    def history(self) -> PromotionHistory | None:
        """Where moves are kept."""
        return self._history

    def current(self) -> LiveModel:
        """Give the live version. Raises `NoModelError` while none is loaded."""
        live = self._versions.live
        if live is None:
            raise NoModelError(f"no version of {self.state.name} is loaded yet")
        return live

    def spare(self, failed: LiveModel) -> LiveModel | None:
        """Give the version that may score what `failed` could not: the one before, while `failed` is on trial."""
        return self._versions.spare(failed)

    def observe(self, batch: ScoredRows) -> None:
        """Take note of what was scored, for the guard."""
        breach = self._versions.observe(batch)
        if breach is not None:
            self._promoter.roll_back(breach.code, breach.reason)

    def observe_failure(self, version: ModelVersion, rows: int, error: Exception, *, ranked: bool = False) -> None:
        """Take note of a batch that could not be scored. The store being away is no fault of a version."""
        breach = self._versions.observe_failure(version, rows, error, ranked=ranked)
        if breach is not None:
            self._promoter.roll_back(breach.code, breach.reason)

    async def start(self) -> None:
        """Begin to follow the alias, in the background."""
        self._loop.start(f"watch-{self.state.name}-{self.state.alias}")

    async def close(self) -> None:
        """Stop following, and close the readers when their last requests have ended."""
        await self._loop.close()
        self._versions.close()
        await self._background.finish()
        self._board.note_stopped()

    def poke(self) -> None:
        """Look now: somebody knows that the alias has moved. The other processes of this machine look too."""
        self._loop.poke()

    async def wait_ready(self, timeout_seconds: float) -> bool:
        """Wait until a version serves; False if none does in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._board.ready.wait()
        except TimeoutError:
            return False
        return True

    async def _look_safely(self) -> bool:
        """Look at the alias; gives whether a version serves afterwards."""
        try:
            await self._look()
        except Exception as error:  # noqa: BLE001  # the watch must outlive a full disk or a bug in one version
            _log.exception("watch_failed", extra={"model": self.state.name})
            self._board.note_error(f"unexpected {type(error).__name__}")
        return self._versions.live is not None

    async def _look(self) -> None:
        try:
            registered = await self._ask_registry()
        except RegistryError as error:
            self._board.note_error(str(error))
            if isinstance(error, AliasNotSetError) and not self._keeps_last:
                self._promoter.stop_serving()
            else:
                await self._promoter.serve_from_cache()
            return
        self._board.note_answer()
        if await self._hold.keeps_out(registered):
            return
        rolled_back = registered.tags.get(ROLLED_BACK_TAG)
        if rolled_back and self._guard is not None and not is_forced(registered):
            await self._promoter.follow_rollback(registered, rolled_back)
            return
        serving = self._versions.registered
        if serving is not None and registered.same_files(serving):
            self._board.note_confirmed()
        elif self._versions.live is None or not self._promoter.is_refused(registered):
            await self._promoter.promote(registered)

    async def _ask_registry(self) -> RegisteredVersion:
        name, alias = self.state.name, self.state.alias
        if self._versions.live is not None:
            return await self._registry.by_alias(name, alias)
        try:
            async with asyncio.timeout(self._timing.first_look_seconds):
                return await self._registry.by_alias(name, alias)
        except TimeoutError:
            raise RegistryError("the registry does not answer in time") from None

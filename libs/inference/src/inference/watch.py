"""Follows an alias of a registered model: a new version is made ready aside, swapped in atomically, and guarded."""

import asyncio
import contextlib
import logging
import os
import random
import secrets
import socket
import time
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from inference.artifacts import ArtifactCache
from inference.errors import (
    AliasNotSetError,
    ArtifactError,
    FeatureStoreError,
    NoModelError,
    RefusalCode,
    RegistryError,
    VersionRefusedError,
)
from inference.guard import GuardLimits, RecentScores, Trial, TrialState
from inference.model import LiveModel, ModelVersion, VersionOrigin
from inference.output_form import OutputForm
from inference.promotion import UNKNOWN, Outcome, Promotion, PromotionListener
from inference.promotion_history import PromotionHistory
from inference.registry import ModelRegistry, RegisteredVersion
from inference.scored import ScoredRows
from inference.version_loading import OpenReader, SpeedLimit, VersionLoader

__all__ = [
    "FORCE_TAG",
    "REFUSED_TAG",
    "ROLLED_BACK_TAG",
    "ROLLED_BACK_TO_TAG",
    "ModelWatch",
    "OpenReader",
    "RefusedVersion",
    "WatchState",
    "WatchTiming",
]

_log = logging.getLogger(__name__)

REFUSED_TAG = "serving.refused"
"""Tag of a model version that did not go live; its value is the reason."""
ROLLED_BACK_TAG = "serving.rolled_back"
"""Tag of a model version that served and was rolled back; its value is the reason, empty once it may be tried again."""
ROLLED_BACK_TO_TAG = "serving.rolled_back_to"
"""Tag beside it: the version that serves instead, for processes that start later."""
FORCE_TAG = "serving.force"
"""Tag by which a person insists: the version is taken although it was rolled back, and is not guarded."""
_REFUSED_KEPT = 10
_JUDGED_SECONDS = 0.25
_SAMPLED_SECONDS = 0.002
"""Outside of a trial, a batch that follows another more closely is not noted: noting takes 9 µs."""

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


@dataclass(frozen=True, slots=True)
class WatchTiming:
    """How often the watch looks."""

    poll_seconds: float = 5.0
    """Longest time between looks; up to a fifth less, so that replicas do not ask in step."""
    first_retry_seconds: float = 0.2
    """While nothing serves: doubles up to `poll_seconds`."""
    first_look_seconds: float = 2.0
    """How long a start waits for a registry that hangs before it turns to the cache."""
    refused_retry_seconds: float = 30.0
    """When a refused version is tried again: the online store may have got what it lacked."""
    signal_seconds: float = 0.2
    """How often a signal of another process on this machine is looked for."""


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
        self._cache = cache
        self._loader = VersionLoader(open_reader, on_demand_modules, speed_limit, outputs)
        self._timing = timing or WatchTiming()
        self._guard = guard
        self._history = history
        self._listeners = tuple(listeners)
        self._teller = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._telling: asyncio.Task[None] | None = None
        """The last move being written down; each waits for the one before, so that they stand in order."""
        self._keeps_last = keeps_last
        self._live: LiveModel | None = None
        self._serving: RegisteredVersion | None = None
        self._recent = RecentScores()
        self._trial: Trial | None = None
        self._standby: tuple[RegisteredVersion, LiveModel] | None = None
        """The version before the one on trial."""
        self._held: RegisteredVersion | None = None
        """The version that was rolled back and that the alias still points to."""
        self._held_tags: dict[str, str] = {}
        """Tags of the held version that the registry has not taken yet."""
        self._held_tag_seen = False
        self._judged_at = 0.0
        self._sampled_at = 0.0
        self._remembering = asyncio.Lock()
        self._retry_at: dict[str, float] = {}
        self._signal = 0
        self._look_now = asyncio.Event()
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._state = WatchState(name, alias, False, None, None, None, None, (), 0)

    @property
    def state(self) -> WatchState:
        """What serves now; a new object after each change."""
        return self._state

    @property
    def trial(self) -> TrialState | None:
        """How the guard's window stands; None outside one."""
        return None if self._trial is None else self._trial.state

    @property
    def history(self) -> PromotionHistory | None:
        """Where moves are kept."""
        return self._history

    def current(self) -> LiveModel:
        """Give the live version. Raises `NoModelError` while none is loaded."""
        if self._live is None:
            raise NoModelError(f"no version of {self._state.name} is loaded yet")
        return self._live

    def spare(self, failed: LiveModel) -> LiveModel | None:
        """Give the version that may score what `failed` could not: the one before, while `failed` is on trial."""
        if self._live is not failed:
            return self._live
        return None if self._standby is None else self._standby[1]

    def observe(self, batch: ScoredRows) -> None:
        """Take note of what was scored, for the guard."""
        if self._guard is None:
            return
        if self._trial is None:
            now = time.monotonic()
            if now - self._sampled_at < _SAMPLED_SECONDS:
                return
            self._sampled_at = now
            if self._live is not None and batch.model is self._live.version:
                self._recent.add(batch)
        elif batch.model is self._trial.version:
            self._trial.observe(batch)
            self._judge(self._trial)

    def observe_failure(self, version: ModelVersion, rows: int, error: Exception) -> None:
        """Take note of a batch that could not be scored. The store being away is no fault of a version."""
        if isinstance(error, FeatureStoreError | NoModelError):
            return
        trial = self._trial
        if trial is not None and version is trial.version:
            trial.fail(rows)
            self._judge(trial, at_once=True)
        elif self._live is not None and version is self._live.version:
            self._recent.fail(rows)

    async def start(self) -> None:
        """Begin to follow the alias, in the background."""
        if self._task is None:
            self._signal = self._cache.signalled(self._state.name)
            self._task = asyncio.create_task(self._run(), name=f"watch-{self._state.name}-{self._state.alias}")

    async def close(self) -> None:
        """Stop following, and close the readers when their last requests have ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._end_trial()
        live, self._live = self._live, None
        if live is not None:
            self._spawn(live.retire())
        while self._background:
            await asyncio.wait(self._background)
        self._update(ready=False, champion=None, source=None)

    def poke(self) -> None:
        """Look now: somebody knows that the alias has moved. The other processes of this machine look too."""
        self._cache.signal(self._state.name)
        self._signal = self._cache.signalled(self._state.name)
        self._look_now.set()

    async def wait_ready(self, timeout_seconds: float) -> bool:
        """Wait until a version serves; False if none does in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._ready.wait()
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        pause = self._timing.first_retry_seconds
        while True:
            self._look_now.clear()
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001  # the watch must outlive a full disk or a bug in one version
                _log.exception("watch_failed", extra={"model": self._state.name})
                self._update(registry_error=f"unexpected {type(error).__name__}")
            longest = self._timing.poll_seconds
            pause = min(pause * 2, longest) if self._live is None else longest
            await self._pause(pause * random.uniform(0.8, 1.0))  # noqa: S311  # jitter, no secret

    async def _pause(self, seconds: float) -> None:
        """Wait, but not past a poke or another process' signal; end a trial whose window has passed."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, self._timing.signal_seconds)):
                    await self._look_now.wait()
                return
            if self._trial is not None and self._trial.is_over:
                _log.info("model_proven", extra={"model": self._state.name, "version": self._trial.version.version})
                self._end_trial()
            signal = self._cache.signalled(self._state.name)
            if signal != self._signal:
                self._signal = signal
                return

    async def _look(self) -> None:
        try:
            registered = await self._ask_registry()
        except RegistryError as error:
            self._update(registry_error=str(error))
            if isinstance(error, AliasNotSetError) and not self._keeps_last:
                self._stop_serving()
            elif self._live is None:
                await self._serve_from_cache()
            return
        self._update(registry_error=None, checked_at=datetime.now(UTC))
        if await self._holds(registered):
            return
        if self._serving is not None and registered.same_files(self._serving):
            self._update(source="registry")
            return
        if time.monotonic() < self._retry_at.get(registered.version, 0.0) and self._live is not None:
            return
        await self._promote(registered)

    async def _ask_registry(self) -> RegisteredVersion:
        name, alias = self._state.name, self._state.alias
        if self._live is not None:
            return await self._registry.by_alias(name, alias)
        try:
            async with asyncio.timeout(self._timing.first_look_seconds):
                return await self._registry.by_alias(name, alias)
        except TimeoutError:
            raise RegistryError("the registry does not answer in time") from None

    async def _holds(self, registered: RegisteredVersion) -> bool:
        """Whether the alias points to a version that was rolled back and must not be taken."""
        held = self._held
        if held is not None and not registered.same_files(held):
            # The alias has pointed elsewhere: the version may be tried again when it comes back.
            self._held, self._held_tags = None, {}
            self._update(refused=tuple(one for one in self._state.refused if one.version != held.version))
            await self._tag(held.version, {ROLLED_BACK_TAG: ""})
            held = None
        if self._guard is None or registered.tags.get(FORCE_TAG):
            self._held = None
            return False
        reason = registered.tags.get(ROLLED_BACK_TAG)
        if held is not None:
            if reason:
                self._held_tag_seen = True
            elif self._held_tag_seen:
                # Another process saw the alias point elsewhere and back.
                self._held = None
                return False
            else:
                await self._tag(held.version, self._held_tags)
            return True
        if not reason:
            return False
        self._held, self._held_tags, self._held_tag_seen = registered, {}, True
        await self._follow_rollback(registered, reason)
        return True

    async def _follow_rollback(self, registered: RegisteredVersion, reason: str) -> None:
        """Another process, or this one before a restart, has rolled this version back."""
        serving = self._serving is not None and registered.same_files(self._serving)
        reason = f"rolled back by another process: {reason}"
        if serving and self._standby is not None:
            self._roll_back(RefusalCode.ROLLED_BACK_ELSEWHERE, reason)
            return
        self._note_refused(registered.version, RefusalCode.ROLLED_BACK_ELSEWHERE, reason)
        if not serving and self._live is not None:
            return
        try:
            earlier = await self._registry.by_version(registered.name, registered.tags.get(ROLLED_BACK_TO_TAG, ""))
            await self._promote(earlier)
        except RegistryError as error:
            self._update(registry_error=str(error))
        if self._live is None:
            await self._serve_from_cache()

    async def _serve_from_cache(self) -> None:
        found = await asyncio.to_thread(self._cache.recall, self._state.name, self._state.alias)
        if found is None:
            return
        registered, directory = found
        try:
            live = await self._load(registered, directory, "cache")
        except (VersionRefusedError, FeatureStoreError) as error:
            reasons = [reason for reason in (self._state.registry_error, f"from the cache: {error}") if reason]
            self._update(registry_error="; ".join(reasons))
            return
        self._swap(registered, live, "cache")

    async def _promote(self, registered: RegisteredVersion) -> None:
        if self._standby is not None and registered.same_files(self._standby[0]):
            left = self._live
            live = self._standby[1]
            self._return_to_standby(registered)
            self._tell(registered, "live", left, live)
            await self._remember_serving()
            return
        source: Source = "cache"
        before = self._live
        try:
            directory = await asyncio.to_thread(self._cache.find, registered)
            if directory is None:
                source = "registry"
                directory = await self._cache.add(registered, self._registry.download)
            live = await self._load(registered, directory, source)
        except (RegistryError, FeatureStoreError) as error:
            # Says nothing about the version: the next look tries again.
            self._update(registry_error=str(error))
            if self._live is None and isinstance(error, RegistryError):
                await self._serve_from_cache()
            return
        except VersionRefusedError as error:
            if isinstance(error, ArtifactError):
                await asyncio.to_thread(self._cache.discard, registered)
            await self._refuse(registered, error)
            if self._live is None:
                await self._serve_from_cache()
            return
        served = await asyncio.to_thread(self._cache.remembered, registered.name, self._state.alias)
        self._swap(registered, live, "registry")
        if before is not None or served is None or not registered.same_files(served):
            # A start moves nothing, unless the alias has moved while no process was there.
            self._tell(registered, "live", before, live, from_version=None if served is None else served.version)
        await self._remember_serving()

    async def _load(self, registered: RegisteredVersion, directory: Path, source: Source) -> LiveModel:
        origin = VersionOrigin(registered.name, registered.version, self._state.alias, registered.run_id, source)
        serving = None if self._live is None else self._live.version
        forced = bool(registered.tags.get(FORCE_TAG))
        return await self._loader.load(directory, origin, None if forced else serving)

    def _swap(self, registered: RegisteredVersion, live: LiveModel, source: Source) -> None:
        old, before = self._live, self._serving
        self._live, self._serving = live, registered
        if old is not None and before is not None:
            self._put_on_trial(registered, live, (before, old))
        self._note_live(registered, live, source, swaps=self._state.swaps + (old is not None))

    def _put_on_trial(
        self, registered: RegisteredVersion, live: LiveModel, old: tuple[RegisteredVersion, LiveModel]
    ) -> None:
        """Keep the last proven version at hand; one that was still on trial itself is let go."""
        proven = self._standby
        if self._guard is None or registered.tags.get(FORCE_TAG):
            self._end_trial()
            self._spawn(old[1].retire())
            return
        if proven is None:
            proven = old
            before, self._recent = self._recent, RecentScores()
        else:
            self._spawn(old[1].retire())
            before = self._recent if self._trial is None else self._trial.before
        self._standby = proven
        self._trial = Trial(live.version, proven[1].version, before, self._guard)

    def _end_trial(self) -> None:
        """Let the version before go; the one that serves is proven."""
        standby, self._standby = self._standby, None
        trial, self._trial = self._trial, None
        if trial is not None:
            self._recent = trial.now
        if standby is not None:
            self._spawn(standby[1].retire())

    def _return_to_standby(self, registered: RegisteredVersion) -> None:
        """Serve the version before again, which is still loaded and proven."""
        standby, trial, left = self._standby, self._trial, self._live
        if standby is None or trial is None:
            return
        self._standby = self._trial = None
        self._recent = trial.before
        self._live, self._serving = standby[1], registered
        if left is not None:
            self._spawn(left.retire())
        self._note_live(registered, standby[1], "registry", swaps=self._state.swaps + 1)

    def _judge(self, trial: Trial, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if not at_once and now - self._judged_at < _JUDGED_SECONDS:
            return
        self._judged_at = now
        breach = trial.breach()
        if breach is not None:
            self._roll_back(breach.code, breach.reason)

    def _roll_back(self, code: RefusalCode, reason: str) -> None:
        """Serve the version before again, at once; the rest follows in the background."""
        bad, standby, left = self._serving, self._standby, self._live
        if bad is None or standby is None:
            return
        self._return_to_standby(standby[0])
        self._held, self._held_tag_seen = bad, code is RefusalCode.ROLLED_BACK_ELSEWHERE
        if code is not RefusalCode.ROLLED_BACK_ELSEWHERE:
            self._held_tags = {ROLLED_BACK_TAG: f"{code}: {reason}", ROLLED_BACK_TO_TAG: standby[0].version}
        self._update(rollbacks=self._state.rollbacks + 1)
        self._note_refused(bad.version, code, reason)
        _log.error("model_rolled_back", extra={"model": bad.name, "version": bad.version, "code": code.value,
                                               "reason": reason, "to": standby[0].version})  # fmt: skip
        self._tell(bad, "rolled_back", standby[1], left, code=code, reason=reason)
        self._spawn(self._finish_rollback(bad))

    async def _finish_rollback(self, bad: RegisteredVersion) -> None:
        await self._remember_serving()
        await self._tag(bad.version, self._held_tags)
        self._cache.signal(bad.name)

    async def _remember_serving(self) -> None:
        """Let a restart find what serves now: a rollback may overtake the promotion that it undoes.

        The history comes first: a restart tells what it does not remember.
        """
        if self._telling is not None:
            await asyncio.wait([self._telling])
        async with self._remembering:
            if self._serving is not None:
                await asyncio.to_thread(self._cache.remember, self._serving, self._state.alias)

    def _stop_serving(self) -> None:
        live, self._live, self._serving = self._live, None, None
        self._end_trial()
        if live is not None:
            self._spawn(live.retire())
            self._ready.clear()
            self._update(ready=False, champion=None, source=None)

    async def _refuse(self, registered: RegisteredVersion, error: VersionRefusedError) -> None:
        self._retry_at[registered.version] = time.monotonic() + self._timing.refused_retry_seconds
        reason = str(error)
        if not self._note_refused(registered.version, error.code, reason):
            return
        _log.warning("model_refused", extra={"model": registered.name, "version": registered.version,
                                             "code": error.code.value, "reason": reason})  # fmt: skip
        self._tell(registered, "refused", self._live, code=error.code, reason=reason)
        await self._tag(registered.version, {REFUSED_TAG: reason})

    def _note_refused(self, version: str, code: RefusalCode, reason: str) -> bool:
        """Show a version as refused; False if that was known."""
        known = [refused for refused in self._state.refused if refused.version == version]
        # How slow it is differs from try to try.
        if known and known[-1].code is code and (known[-1].reason == reason or code is RefusalCode.TOO_SLOW):
            return False
        others = [refused for refused in self._state.refused if refused.version != version]
        refused = (*others, RefusedVersion(version, reason, datetime.now(UTC), code))
        self._update(refused=refused[-_REFUSED_KEPT:])
        return True

    def _note_live(self, registered: RegisteredVersion, live: LiveModel, source: Source, *, swaps: int) -> None:
        self._retry_at.pop(registered.version, None)
        refused = tuple(refused for refused in self._state.refused if refused.version != registered.version)
        self._update(ready=True, champion=live.version, source=source, refused=refused, swaps=swaps)
        self._ready.set()
        _log.info("model_swapped", extra={"model": registered.name, "version": registered.version, "source": source})

    def _tell(
        self,
        registered: RegisteredVersion,
        outcome: Outcome,
        before: LiveModel | None,
        after: LiveModel | None = None,
        *,
        code: RefusalCode | None = None,
        reason: str = "",
        from_version: str | None = None,
    ) -> None:
        """Tell listeners, and write into the history, what became of a move to `registered`."""
        promotion = Promotion(
            at=datetime.now(UTC),
            model=registered.name,
            alias=self._state.alias,
            from_version=from_version if before is None else before.version.version,
            to_version=registered.version,
            outcome=outcome,
            code=code,
            reason=reason,
            moved_by=registered.tags.get("promoted_by") or UNKNOWN,
            registered_by=registered.registered_by or UNKNOWN,
            from_metrics=None if before is None else before.version.contract.training.metrics,
            to_metrics=None if after is None else after.version.contract.training.metrics,
            seen_by=(self._teller,),
        )
        for listener in self._listeners:
            listener(promotion)
        if self._history is not None:
            self._telling = self._spawn(self._write_down(self._history, promotion, self._telling))

    async def _write_down(
        self, history: PromotionHistory, promotion: Promotion, earlier: asyncio.Task[None] | None
    ) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        try:
            await asyncio.to_thread(history.append, promotion)
        except OSError as error:
            _log.warning("history_failed", extra={"model": promotion.model, "reason": str(error)})

    async def _tag(self, version: str, tags: dict[str, str]) -> None:
        """Set tags of a version; those that the registry takes are removed from `tags`."""
        for key, value in tuple(tags.items()):
            try:
                await self._registry.set_tag(self._state.name, version, key, value)
            except RegistryError as error:
                _log.warning("tag_failed", extra={"model": self._state.name, "reason": str(error)})
                return
            tags.pop(key, None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _update(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]  # fields of the state, by name

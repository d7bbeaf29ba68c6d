"""Follows an alias of a registered model: a new version is loaded aside, checked, warmed, and swapped in atomically."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from inference.artifacts import ArtifactCache
from inference.contract import Contract
from inference.contract_checks import check_schemas
from inference.errors import (
    ArtifactError,
    ContractError,
    FeatureStoreError,
    NoModelError,
    RegistryError,
    VersionRefusedError,
)
from inference.features import FeatureReader
from inference.model import LiveModel, ModelVersion, VersionOrigin, load_model_version
from inference.registry import ModelRegistry, RegisteredVersion

__all__ = ["ModelWatch", "OpenReader", "RefusedVersion", "WatchState", "WatchTiming"]

_log = logging.getLogger(__name__)

OpenReader = Callable[[Contract], Awaitable[FeatureReader]]
REFUSED_TAG = "serving.refused"
"""Tag of a model version that did not go live; its value is the reason."""
_REFUSED_KEPT = 10


@dataclass(frozen=True, slots=True)
class RefusedVersion:
    """A version that the alias points or pointed to, and that does not serve."""

    version: str
    reason: str
    refused_at: datetime


@dataclass(frozen=True, slots=True)
class WatchState:
    """What serves now and why nothing else does: for `/v1/model` and `/readyz`."""

    name: str
    alias: str
    ready: bool
    champion: ModelVersion | None
    """The version that the watched alias serves."""
    source: Literal["registry", "cache"] | None
    """`cache` until the registry has confirmed, since the start, that the alias points to this version."""
    registry_error: str | None
    """Why the last look failed; None after a good one."""
    checked_at: datetime | None
    """When the registry last answered."""
    refused: tuple[RefusedVersion, ...]
    """Newest last."""
    swaps: int


@dataclass(frozen=True, slots=True)
class WatchTiming:
    """How often the watch looks."""

    poll_seconds: float = 5.0
    """Between looks, ± 20 % so that replicas do not ask in step."""
    first_retry_seconds: float = 0.2
    """While nothing serves: doubles up to `poll_seconds`."""
    first_look_seconds: float = 2.0
    """How long a start waits for a registry that hangs before it turns to the cache."""
    refused_retry_seconds: float = 30.0
    """When a refused version is tried again: the online store may have got what it lacked."""


class ModelWatch:
    """A `ModelSource` that follows an alias. Belongs to one event loop.

    The registry being away changes nothing for what serves; a start without it takes the version that the alias
    served last from the cache. `on_demand_modules` are the modules whose functions a contract may name.
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
        max_slowdown: float | None = None,
    ) -> None:
        """Follow `alias` of registered model `name`; `max_slowdown` refuses a version so many times slower a row."""
        self._registry = registry
        self._cache = cache
        self._open_reader = open_reader
        self._on_demand_modules = tuple(on_demand_modules)
        self._timing = timing or WatchTiming()
        self._max_slowdown = max_slowdown
        self._live: LiveModel | None = None
        self._serving: RegisteredVersion | None = None
        self._retry_at: dict[str, float] = {}
        self._look_now = asyncio.Event()
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._state = WatchState(name, alias, False, None, None, None, None, (), 0)

    @property
    def state(self) -> WatchState:
        """What serves now; a new object after each change."""
        return self._state

    def current(self) -> LiveModel:
        """Give the live version. Raises `NoModelError` while none is loaded."""
        if self._live is None:
            raise NoModelError(f"no version of {self._state.name} is loaded yet")
        return self._live

    async def start(self) -> None:
        """Begin to follow the alias, in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"watch-{self._state.name}-{self._state.alias}")

    async def close(self) -> None:
        """Stop following, and close the reader when its last request has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        live, self._live = self._live, None
        if live is not None:
            self._retire(live)
        while self._retiring:
            await asyncio.wait(self._retiring)
        self._update(ready=False, champion=None, source=None)

    def poke(self) -> None:
        """Look now: somebody knows that the alias has moved."""
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
            await self._pause(pause * random.uniform(0.8, 1.2))  # noqa: S311  # jitter, no secret

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._look_now.wait()
        except TimeoutError:
            return

    async def _look(self) -> None:
        try:
            registered = await self._ask_registry()
        except RegistryError as error:
            self._update(registry_error=str(error))
            if self._live is None:
                await self._serve_from_cache()
            return
        self._update(registry_error=None, checked_at=datetime.now(UTC))
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
        source: Literal["registry", "cache"] = "cache"
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
            await self._refuse(registered, str(error))
            if self._live is None:
                await self._serve_from_cache()
            return
        self._swap(registered, live, "registry")
        await asyncio.to_thread(self._cache.remember, registered, self._state.alias)

    async def _load(
        self, registered: RegisteredVersion, directory: Path, source: Literal["registry", "cache"]
    ) -> LiveModel:
        """Load aside and check; raises `VersionRefusedError` or `FeatureStoreError`."""
        origin = VersionOrigin(registered.name, registered.version, self._state.alias, registered.run_id, source)
        version = await asyncio.to_thread(
            load_model_version, directory, origin, on_demand_modules=self._on_demand_modules
        )
        self._check_cost(version)
        reader = await self._open_reader(version.contract)
        try:
            check_schemas(version.contract, await reader.schemas())
            await _warm_up(version, reader)
        except BaseException:
            await reader.close()
            raise
        return LiveModel(version, reader)

    def _check_cost(self, version: ModelVersion) -> None:
        if self._max_slowdown is None or self._live is None:
            return
        now, then = version.cost.estimate(1), self._live.version.cost.estimate(1)
        if now > then * self._max_slowdown:
            raise ContractError(f"a row takes {now * 1e6:.0f} µs to predict, {now / then:.1f} times as long as now")

    def _swap(self, registered: RegisteredVersion, live: LiveModel, source: Literal["registry", "cache"]) -> None:
        old, self._live, self._serving = self._live, live, registered
        self._retry_at.pop(registered.version, None)
        self._update(
            ready=True,
            champion=live.version,
            source=source,
            refused=tuple(refused for refused in self._state.refused if refused.version != registered.version),
            swaps=self._state.swaps + (old is not None),
        )
        self._ready.set()
        _log.info("model_swapped", extra={"model": registered.name, "version": registered.version, "source": source})
        if old is not None:
            self._retire(old)

    def _retire(self, live: LiveModel) -> None:
        task = asyncio.create_task(live.retire())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _refuse(self, registered: RegisteredVersion, reason: str) -> None:
        self._retry_at[registered.version] = time.monotonic() + self._timing.refused_retry_seconds
        known = [refused for refused in self._state.refused if refused.version == registered.version]
        if known and known[-1].reason == reason:
            return
        others = [refused for refused in self._state.refused if refused.version != registered.version]
        refused = (*others, RefusedVersion(registered.version, reason, datetime.now(UTC)))
        self._update(refused=refused[-_REFUSED_KEPT:])
        _log.warning("model_refused", extra={"model": registered.name, "version": registered.version, "reason": reason})
        try:
            await self._registry.set_tag(registered.name, registered.version, REFUSED_TAG, reason)
        except RegistryError as error:
            _log.warning("tag_failed", extra={"model": registered.name, "reason": str(error)})

    def _update(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]  # fields of the state, by name


async def _warm_up(version: ModelVersion, reader: FeatureReader) -> None:
    """Go the whole way once with an id that nobody has: connections, plans and code are warm after it."""
    rows = await reader.read(dict.fromkeys(version.contract.entities, ("warm-up",)))
    version.booster.predict(version.assembly.assemble(rows).matrix)

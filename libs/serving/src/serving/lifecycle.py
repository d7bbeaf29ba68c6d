"""The model versions of a serving process: the champion that is followed and guarded, and the challenger beside it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from inference import (
    ArtifactCache,
    ChallengerCanary,
    Comparison,
    FeatureReader,
    GuardLimits,
    LiveModel,
    ModelWatch,
    Observer,
    OpenReader,
    OutputForm,
    Predictor,
    Promotion,
    PromotionHistory,
    Shadow,
    ShadowLimits,
    SpeedLimit,
    WatchTiming,
)
from inference.contract import Contract
from inference.watch import WatchState
from serving.measures import Measures
from serving.service import Service
from serving.settings import Settings
from serving.shadow_counts import ShadowCounts

if TYPE_CHECKING:
    from serving.runtime import ServedModels

__all__ = ["Lifecycle", "follow_registry", "open_predictor"]


class Lifecycle:
    """`ServedModels` of a registry: the watches of both aliases and the challenger's comparison."""

    def __init__(
        self,
        champion: ModelWatch,
        challenger: ModelWatch,
        shadow: Shadow | None,
        history: PromotionHistory,
        cache: ArtifactCache,
    ) -> None:
        self.champion = champion
        self.challenger = challenger
        self.shadow = shadow
        self.history = history
        self.cache = cache

    def current(self) -> LiveModel:
        """Give the champion. Raises `NoModelError` while none is loaded."""
        return self.champion.current()

    @property
    def state(self) -> WatchState:
        """How the champion stands."""
        return self.champion.state

    @property
    def comparisons(self) -> Sequence[Comparison]:
        """Challenger versions against champion versions, oldest first."""
        return () if self.shadow is None else tuple(self.shadow.comparisons.values())

    def poke(self) -> None:
        """Look at both aliases now."""
        self.champion.poke()
        self.challenger.poke()

    def moves(self, limit: int, before: str | None = None) -> list[Promotion]:
        """Give the newest moves of both aliases, newest first, or those before one. Blocks: call it in a thread."""
        return self.history.read(limit, before)


@asynccontextmanager
async def follow_registry(
    service: Service, settings: Settings, open_reader: OpenReader | None = None
) -> AsyncIterator[Lifecycle]:
    """Follow the aliases of the service's registered model, with features from the online store by default."""
    from inference import RegistryClient

    reader_of = open_reader or _online_store(settings)
    registry = RegistryClient(settings.mlflow_url)
    cache = ArtifactCache(settings.cache_path)
    history = PromotionHistory(settings.cache_path / "history", service.name)
    timing = WatchTiming(poll_seconds=settings.registry_poll_seconds)
    guard = GuardLimits(window_seconds=settings.guard_window_seconds, min_rows=settings.guard_min_rows)
    outputs = tuple(OutputForm(one, service.prediction) for one in (service.postprocess, *service.postprocess_beside))
    champion = ModelWatch(
        registry,
        cache,
        service.name,
        reader_of,
        on_demand_modules=service.on_demand_modules,
        timing=timing,
        speed_limit=SpeedLimit(max_slowdown=settings.max_slowdown),
        guard=guard if settings.guard_window_seconds > 0 else None,
        history=history,
        outputs=outputs,
    )
    challenger = ModelWatch(
        registry,
        cache,
        service.name,
        reader_of,
        on_demand_modules=service.on_demand_modules,
        alias="challenger",
        timing=timing,
        history=history,
        keeps_last=False,
        outputs=outputs,
    )
    shadow = None
    if settings.challenger_share > 0:
        shadow = Shadow(challenger, service.postprocess, ShadowLimits(share=settings.challenger_share))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(registry.close)
        stack.push_async_callback(champion.close)
        await champion.start()
        if shadow is not None or settings.canary_share > 0:
            stack.push_async_callback(challenger.close)
            await challenger.start()
        yield Lifecycle(champion, challenger, shadow, history, cache)


def _online_store(settings: Settings) -> OpenReader:
    async def reader_of(contract: Contract) -> FeatureReader:
        from online_features.reader import open_reader

        return await open_reader(settings.redis_url, contract, settings.feast_project)

    return reader_of


@asynccontextmanager
async def open_predictor(
    models: "ServedModels", service: Service, settings: Settings, observers: Sequence[Observer], measures: Measures
) -> AsyncIterator[Predictor]:
    """Hold a predictor; over a registry's models, with guard, shadow and canary."""
    async with AsyncExitStack() as stack:
        if not isinstance(models, Lifecycle):
            plain = Predictor(models, service.postprocess, observers=observers)
            stack.push_async_callback(plain.close)
            yield plain
            return
        canary = None
        if settings.canary_share > 0:
            beside = Predictor(models.challenger, service.postprocess, observers=observers)
            stack.push_async_callback(beside.close)
            canary = ChallengerCanary(beside, settings.canary_share)
        watching: list[Observer] = [*observers, models.champion]
        if models.shadow is not None:
            models.shadow.listener = ShadowCounts(service.name, measures)
            await models.shadow.start()
            stack.push_async_callback(models.shadow.close)
            watching.append(models.shadow)
        predictor = Predictor(
            models,
            service.postprocess,
            observers=watching,
            failure_observers=(models.champion,),
            spare=models.champion.spare,
            canary=canary,
        )
        stack.push_async_callback(predictor.close)
        yield predictor

"""What a serving process holds between start and stop, opened by the application's lifespan."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

import numpy as np
from fastapi import Depends, Request
from numpy.typing import NDArray

from inference import LiveModel, ModelSource, ModelVersion, Predictor, PredictorLimits, ScoredRows
from inference.errors import NoModelError
from inference.watch import WatchState
from serving.admission import Admission, Quota
from serving.api_keys import ApiKeys
from serving.ledger import Ledger
from serving.lifecycle import Lifecycle, follow_registry, open_predictor
from serving.measures import Measures
from serving.metrics import SHED, measures_in
from serving.observing import ScoredCounts
from serving.prediction_log import FeedbackJournal, PredictionLog, open_feedback_journal, open_prediction_log
from serving.service import Service
from serving.settings import Settings
from serving.upkeep import Upkeep

if TYPE_CHECKING:
    from serving.tracing import Tracing

__all__ = [
    "CALLER",
    "CurrentCaller",
    "CurrentResource",
    "CurrentRuntime",
    "OpenModels",
    "ReadPool",
    "RowScorer",
    "Runtime",
    "ServedModels",
    "Shell",
    "follow_registry",
    "open_runtime",
    "read_online_pool",
]


class ServedModels(Protocol):
    """The model version that serves, and what is known of it; `inference.ModelWatch` is one."""

    def current(self) -> LiveModel:
        """Give the live version. Raises `NoModelError` while none is loaded."""
        ...

    @property
    def state(self) -> WatchState:
        """What serves now and why nothing else does."""
        ...


CALLER = "offers.caller"
"""Where a request's scope names its caller."""


class RowScorer(Protocol):
    """Scores rows; `inference.Predictor` does, and says what it promises."""

    async def score(
        self, keys: Mapping[str, Sequence[str]], overrides: Mapping[str, object] | None = None
    ) -> ScoredRows:
        """Score the rows that `keys` names."""
        ...

    async def score_values(self, values: Mapping[str, Sequence[object] | NDArray[np.generic]]) -> ScoredRows:
        """Score rows whose features the caller gives."""
        ...

    async def explain(self, rows: ScoredRows, indices: Sequence[int] | None = None) -> NDArray[np.float64]:
        """Give contributions of features to the chosen rows."""
        ...

    def beside(
        self,
        models: ModelSource,
        *,
        spare: Callable[[LiveModel], LiveModel | None] | None = None,
        limits: PredictorLimits | None = None,
    ) -> Predictor:
        """Make a predictor over other models, whose rows and failures the same observers see."""
        ...

    def spare_of(self, live: LiveModel) -> LiveModel | None:
        """Give the version that tries once more what `live` cannot score."""
        ...

    def observe(self, batch: ScoredRows) -> None:
        """Show the observers rows that were scored past this predictor, in a later turn of the loop."""
        ...

    def observe_failure(self, version: ModelVersion, rows: int, error: Exception, *, ranked: bool = False) -> None:
        """Tell the observers of rows that `version` could not score, past this predictor."""
        ...


ReadPool = Callable[[Settings, str], Awaitable[list[str]]]
"""Lists the ids of an entity's pool. Raises `FeatureStoreError`."""
OpenModels = Callable[[Service, Settings], AbstractAsyncContextManager[ServedModels]]


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything that a request needs."""

    service: Service
    settings: Settings
    keys: ApiKeys
    admission: Admission
    quota: Quota
    models: ServedModels
    predictor: RowScorer
    counts: ScoredCounts
    measures: Measures
    upkeep: Upkeep
    read_pool: ReadPool
    log: PredictionLog
    feedback: FeedbackJournal

    async def can_score(self, timeout_seconds: float = 1.0) -> None:
        """Return when a model version is loaded and its features can be read.

        Raises `NoModelError`, `FeatureStoreError` or TimeoutError.
        """
        live = self.models.current()
        live.acquire()
        try:
            async with asyncio.timeout(timeout_seconds):
                await live.reader.read({entity: ["-"] for entity in live.version.contract.entities})
        finally:
            live.release()


class Shell:
    """The application's hold on its runtime: empty until the lifespan has begun."""

    __slots__ = ("_resource", "_runtime", "measures", "tracing")

    def __init__(self, measures: Measures | None = None) -> None:
        self.measures = measures or measures_in(Ledger())
        self._runtime: Runtime | None = None
        self._resource: object = None
        self.tracing: Tracing | None = None
        """Begins spans of requests; None where no collector is set."""

    @property
    def runtime(self) -> Runtime:
        """The runtime. Raises `NoModelError` before the start and after the end."""
        if self._runtime is None:
            raise NoModelError("the service is not started")
        return self._runtime

    @property
    def resource(self) -> object:
        """What the service's `resources` yielded."""
        return self._resource

    @asynccontextmanager
    async def opened(
        self, service: Service, settings: Settings, open_models: OpenModels, read_pool: ReadPool
    ) -> AsyncIterator[None]:
        """Hold an open runtime."""
        async with AsyncExitStack() as stack:
            if settings.traces_endpoint is not None:
                # 18 MB and 70 ms that only who traces pays for.
                from serving.tracing import open_tracing

                self.tracing = await stack.enter_async_context(
                    open_tracing(service.name, settings.worker, settings.traces_endpoint, settings.traces_ratio)
                )
            self._runtime = await stack.enter_async_context(
                open_runtime(service, settings, open_models, read_pool, self.measures)
            )
            try:
                if service.resources is not None:
                    self._resource = await stack.enter_async_context(service.resources(self._runtime))
                yield
            finally:
                self._runtime = None
                self._resource = None
                self.tracing = None


@asynccontextmanager
async def open_runtime(
    service: Service, settings: Settings, open_models: OpenModels, read_pool: ReadPool, measures: Measures
) -> AsyncIterator[Runtime]:
    """Read the keys, follow the model, and be ready to score. Raises `ApiKeyError`."""
    keys = ApiKeys.read(settings.keys_path)
    counts = ScoredCounts(service.name, measures)
    shed = measures.cells(SHED, service.name)
    admission = Admission(settings.in_flight_max, settings.retry_after_seconds, shed)
    async with (
        open_models(service, settings) as models,
        open_predictor(models, service, settings, (counts,), measures) as predictor,
        open_prediction_log(service.name, settings, measures) as log,
        open_feedback_journal(service.name, settings, measures) as feedback,
    ):
        scorer: RowScorer = predictor
        if settings.traces_endpoint is not None:
            from serving.tracing import TracedPredictor, TracedStage

            scorer = TracedPredictor(predictor)
            counts.parse = TracedStage("parse", counts.parse)
            counts.serialise = TracedStage("serialise", counts.serialise)
        runtime = Runtime(
            service=service,
            settings=settings,
            keys=keys,
            admission=admission,
            quota=Quota(settings.quota_per_second, settings.quota_burst),
            models=models,
            predictor=scorer,
            counts=counts,
            measures=measures,
            upkeep=Upkeep(
                service.name,
                measures,
                admission,
                counts,
                lambda: models.state,
                cache=models.cache if isinstance(models, Lifecycle) else None,
            ),
            read_pool=read_pool,
            log=log,
            feedback=feedback,
        )
        measuring = asyncio.create_task(runtime.upkeep.run(runtime.can_score), name="upkeep")
        try:
            yield runtime
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)


async def read_online_pool(settings: Settings, name: str) -> list[str]:
    """List a pool of the online store."""
    from online_features.pool import read_pool

    return await read_pool(settings.redis_url, settings.feast_project, name)


def _current_runtime(request: Request) -> Runtime:
    shell: Shell = request.app.state.shell
    return shell.runtime


def _current_resource(request: Request) -> object:
    shell: Shell = request.app.state.shell
    return shell.resource


def _current_caller(request: Request) -> str:
    caller: str = request.scope[CALLER]
    return caller


CurrentRuntime = Annotated[Runtime, Depends(_current_runtime)]
"""For handlers of a service's own routes."""
CurrentResource = Annotated[object, Depends(_current_resource)]
"""What the service's `resources` yielded, for the same handlers."""
CurrentCaller = Annotated[str, Depends(_current_caller)]
"""Name of the caller, for the same handlers."""

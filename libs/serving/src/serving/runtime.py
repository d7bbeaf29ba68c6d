"""What a serving process holds between start and stop, opened by the application's lifespan."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from inference import LiveModel, Predictor
from inference.errors import NoModelError
from inference.watch import WatchState
from serving.admission import Admission, Quota
from serving.api_keys import ApiKeys
from serving.ledger import Ledger
from serving.lifecycle import follow_registry, open_predictor
from serving.measures import Measures
from serving.metrics import measures_in
from serving.observing import ScoredCounts
from serving.service import Service
from serving.settings import Settings
from serving.upkeep import Upkeep

__all__ = [
    "CurrentResource",
    "CurrentRuntime",
    "OpenModels",
    "ReadPool",
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
    predictor: Predictor
    counts: ScoredCounts
    measures: Measures
    upkeep: Upkeep
    read_pool: ReadPool

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

    __slots__ = ("_resource", "_runtime", "measures")

    def __init__(self, measures: Measures | None = None) -> None:
        self.measures = measures or measures_in(Ledger())
        self._runtime: Runtime | None = None
        self._resource: object = None

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
        async with open_runtime(service, settings, open_models, read_pool, self.measures) as runtime:
            self._runtime = runtime
            try:
                if service.resources is None:
                    yield
                else:
                    async with service.resources(runtime) as resource:
                        self._resource = resource
                        yield
            finally:
                self._runtime = None
                self._resource = None


@asynccontextmanager
async def open_runtime(
    service: Service, settings: Settings, open_models: OpenModels, read_pool: ReadPool, measures: Measures
) -> AsyncIterator[Runtime]:
    """Read the keys, follow the model, and be ready to score. Raises `ApiKeyError`."""
    keys = ApiKeys.read(settings.keys_path)
    counts = ScoredCounts(service.name, measures)
    admission = Admission(settings.in_flight_max, settings.retry_after_seconds)
    async with (
        open_models(service, settings) as models,
        open_predictor(models, service, settings, (counts,), measures) as predictor,
    ):
        runtime = Runtime(
            service=service,
            settings=settings,
            keys=keys,
            admission=admission,
            quota=Quota(settings.quota_per_second, settings.quota_burst),
            models=models,
            predictor=predictor,
            counts=counts,
            measures=measures,
            upkeep=Upkeep(service.name, measures, admission, counts, lambda: models.state),
            read_pool=read_pool,
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


CurrentRuntime = Annotated[Runtime, Depends(_current_runtime)]
"""For handlers of a service's own routes."""
CurrentResource = Annotated[object, Depends(_current_resource)]
"""What the service's `resources` yielded, for the same handlers."""

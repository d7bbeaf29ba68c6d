"""Fakes for tests of services: models that stand still."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

from inference import LiveModel, WatchState
from inference.errors import NoModelError
from serving.runtime import OpenModels, ServedModels
from serving.service import Service
from serving.settings import Settings

__all__ = ["StandingModels", "standing_models"]


class StandingModels:
    """Serves one version, or none; assign `live` to swap it."""

    def __init__(self, name: str, live: LiveModel | None) -> None:
        self.name = name
        self.live = live

    def current(self) -> LiveModel:
        """Give the live version. Raises `NoModelError` if there is none."""
        if self.live is None:
            raise NoModelError(f"no version of {self.name} is loaded yet")
        return self.live

    @property
    def state(self) -> WatchState:
        """As a watch that has just looked would say."""
        return WatchState(
            name=self.name,
            alias="champion",
            ready=self.live is not None,
            champion=None if self.live is None else self.live.version,
            source=None if self.live is None else "registry",
            registry_error=None,
            checked_at=datetime.now(UTC),
            refused=(),
            swaps=0 if self.live is None else 1,
        )


def standing_models(models: StandingModels) -> OpenModels:
    """Make an `open_models` for `create_app`."""

    @asynccontextmanager
    async def opened(_: Service, __: Settings) -> AsyncIterator[ServedModels]:
        yield models

    def open_models(service: Service, settings: Settings) -> AbstractAsyncContextManager[ServedModels]:
        return opened(service, settings)

    return open_models

"""Routes of operations: what serves, is it alive, can it score, what has it counted."""

import asyncio
from datetime import datetime
from typing import Any, Literal

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from inference.errors import FeatureStoreError, NoModelError
from inference.watch import WatchState
from serving.answers import model_used
from serving.metrics import IN_FLIGHT, MODEL_READY, SHED, RequestTimes
from serving.problems import Problem, problem
from serving.runtime import Runtime, Shell
from serving.wire import ModelUsed

__all__ = ["LiveAnswer", "ModelAnswer", "Operations", "ReadyAnswer"]


class LiveAnswer(msgspec.Struct, frozen=True):
    """The process answers."""

    live: bool


class ReadyAnswer(msgspec.Struct, frozen=True):
    """The service can score, with this model version."""

    ready: bool
    model: ModelUsed


class LoadedVersion(msgspec.Struct, frozen=True):
    """A model version that is loaded."""

    name: str
    version: str
    alias: str
    run_id: str
    source: Literal["registry", "cache", "local"]
    digest: str
    loaded_at: datetime


class RefusedAnswer(msgspec.Struct, frozen=True):
    """A model version that stayed out."""

    version: str
    reason: str
    refused_at: datetime


class RegistryAnswer(msgspec.Struct, frozen=True):
    """How the service stands with the registry."""

    confirmed_by: Literal["registry", "cache"] | None
    """`cache` until the registry has confirmed, since the start, what serves."""
    checked_at: datetime | None
    error: str | None


class ModelAnswer(msgspec.Struct, frozen=True):
    """What serves, what stayed out and why, and the contract of what serves."""

    name: str
    ready: bool
    champion: LoadedVersion | None
    challenger: LoadedVersion | None
    refused: tuple[RefusedAnswer, ...]
    registry: RegistryAnswer
    swaps: int
    contract: dict[str, Any] | None
    """As logged with the version, but for its golden rows."""


_encoder = msgspec.json.Encoder()


class Operations:
    """Handlers of the routes of operations."""

    def __init__(self, shell: Shell, times: RequestTimes) -> None:
        self._shell = shell
        self._times = times

    async def livez(self, _: Request) -> Response:
        """Say that the process answers."""
        return _json(LiveAnswer(live=True))

    async def readyz(self, _: Request) -> Response:
        """Say whether the service can score: a model version is loaded and its features can be read."""
        runtime = self._shell.runtime
        retry_after_seconds = runtime.settings.retry_after_seconds
        try:
            await runtime.can_score()
        except NoModelError:
            detail = "No model version is loaded."
        except (FeatureStoreError, TimeoutError):
            detail = "The feature store does not answer."
        else:
            return _json(ReadyAnswer(ready=True, model=model_used(runtime.models.current().version)))
        raise problem(Problem.NOT_READY, detail, retry_after_seconds=retry_after_seconds)

    async def model(self, _: Request) -> Response:
        """Say what serves."""
        return _json(model_answer(self._shell.runtime.models.state))

    async def metrics(self, _: Request) -> Response:
        """Give Prometheus' text."""
        # Observers of rows that were just answered come in the loop's next turn.
        await asyncio.sleep(0)
        _bring_up_to_date(self._shell.runtime)
        own = CollectorRegistry()
        own.register(self._times)
        text = await asyncio.to_thread(generate_latest) + generate_latest(own)
        return Response(text, media_type=CONTENT_TYPE_LATEST)


def model_answer(state: WatchState) -> ModelAnswer:
    """Put the state of the watch on the wire."""
    version = state.champion
    champion = None
    contract: dict[str, Any] | None = None
    if version is not None:
        champion = LoadedVersion(
            version.name,
            version.version,
            version.alias,
            version.run_id,
            version.source,
            version.digest,
            version.loaded_at,
        )
        contract = msgspec.to_builtins(version.contract)
        del contract["golden"]
    return ModelAnswer(
        name=state.name,
        ready=state.ready,
        champion=champion,
        challenger=None,
        refused=tuple(RefusedAnswer(one.version, one.reason, one.refused_at) for one in state.refused),
        registry=RegistryAnswer(state.source, state.checked_at, state.registry_error),
        swaps=state.swaps,
        contract=contract,
    )


def _bring_up_to_date(runtime: Runtime) -> None:
    name = runtime.service.name
    runtime.counts.flush()
    IN_FLIGHT.labels(name).set(runtime.admission.in_flight)
    SHED.labels(name).inc(runtime.admission.take_shed())
    MODEL_READY.labels(name).set(runtime.models.state.ready)


def _json(answer: msgspec.Struct) -> Response:
    return Response(_encoder.encode(answer), media_type="application/json")

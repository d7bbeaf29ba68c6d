"""Routes of operations: what serves, is it alive, can it score, what has it counted."""

import asyncio
import os
from typing import Literal

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import Response

from inference.errors import FeatureStoreError, NoModelError
from serving.answers import model_used
from serving.problems import Problem, problem
from serving.runtime import Shell
from serving.wire import ModelUsed

__all__ = ["LiveAnswer", "Operations", "ReadyAnswer"]


class LiveAnswer(msgspec.Struct, frozen=True):
    """The process answers."""

    live: bool


class ReadyAnswer(msgspec.Struct, frozen=True):
    """The service can score, with this model version."""

    ready: bool
    model: ModelUsed
    confirmed_by: Literal["registry", "cache"] | None
    """`cache` while the registry has not confirmed, since the start, that this version is the one to serve."""
    worker: int
    """Which of the processes that share the port has answered."""


_encoder = msgspec.json.Encoder()


class Operations:
    """Handlers of the routes of operations."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

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
            model = model_used(runtime.models.current().version)
            return _json(ReadyAnswer(True, model, runtime.models.state.source, runtime.settings.worker))
        raise problem(Problem.NOT_READY, detail, retry_after_seconds=retry_after_seconds)

    async def metrics(self, _: Request) -> Response:
        """Give Prometheus' text."""
        # Observers of rows that were just answered come in the loop's next turn.
        await asyncio.sleep(0)
        self._shell.runtime.upkeep.refresh()
        own = CollectorRegistry()
        own.register(self._shell.measures)
        text = await asyncio.to_thread(_text_of_libraries) + generate_latest(own)
        return Response(text, media_type=CONTENT_TYPE_LATEST)


def _text_of_libraries() -> bytes:
    """What is counted by Prometheus' own client; over all workers where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    workers = CollectorRegistry()
    MultiProcessCollector(workers)  # type: ignore[no-untyped-call]  # the package leaves it untyped
    return generate_latest(workers)


def _json(answer: msgspec.Struct) -> Response:
    return Response(_encoder.encode(answer), media_type="application/json")

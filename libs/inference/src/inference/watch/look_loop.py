"""When a watch looks: again and again, and at once where somebody knows that an alias has moved."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from inference.artifacts import ArtifactCache

__all__ = ["LookLoop", "WatchTiming"]


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


class LookLoop:
    """Calls `look`, which says whether a version serves, and `meanwhile` every `signal_seconds` of the pauses."""

    def __init__(
        self,
        look: Callable[[], Awaitable[bool]],
        meanwhile: Callable[[], None],
        *,
        timing: WatchTiming,
        cache: ArtifactCache,
        model: str,
    ) -> None:
        self._look = look
        self._meanwhile = meanwhile
        self._timing = timing
        self._cache = cache
        self._model = model
        self._signal = 0
        self._look_now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, task_name: str) -> None:
        """Begin, in the background; only the first start counts."""
        if self._task is None:
            self._signal = self._cache.signalled(self._model)
            self._task = asyncio.create_task(self._run(), name=task_name)

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def poke(self) -> None:
        """Look now, here and in the other processes of this machine."""
        self._cache.signal(self._model)
        self._signal = self._cache.signalled(self._model)
        self._look_now.set()

    async def _run(self) -> None:
        pause = self._timing.first_retry_seconds
        while True:
            self._look_now.clear()
            serves = await self._look()
            longest = self._timing.poll_seconds
            pause = longest if serves else min(pause * 2, longest)
            await self._pause(pause * random.uniform(0.8, 1.0))  # noqa: S311  # jitter, no secret

    async def _pause(self, seconds: float) -> None:
        """Wait, but not past a poke or another process' signal."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, self._timing.signal_seconds)):
                    await self._look_now.wait()
                return
            self._meanwhile()
            signal = self._cache.signalled(self._model)
            if signal != self._signal:
                self._signal = signal
                return

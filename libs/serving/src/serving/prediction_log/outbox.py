"""Messages on their way to a stream: over the spool when the stream does not take them, or always where they must last.

All work on files is done by one thread, beside the event loop.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from inference.prediction_log import Frame, Spool
from serving.prediction_log.stream import LogStream, StreamError

__all__ = ["Outbox"]

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.stdlib.get_logger()


class Outbox:
    """A stream with a spool before it."""

    def __init__(self, stream: LogStream, root: Path, bytes_max: int, name: str) -> None:
        self.stream = stream
        self._root = root
        self._bytes_max = bytes_max
        self._spool: Spool | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._is_failing = False

    @property
    def spool_bytes(self) -> int:
        """On disk."""
        return 0 if self._spool is None else self._spool.bytes

    @property
    def damaged_bytes(self) -> int:
        """What could not be read of the spool."""
        return 0 if self._spool is None else self._spool.damaged_bytes

    @property
    def since(self) -> float | None:
        """When the spool was last empty, seconds since the epoch; None while it is."""
        return None if self._spool is None else self._spool.since

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in the outbox's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))

    async def keep(self, frames: Sequence[Frame], *, sync: bool = False) -> int:
        """Spool the first frames that find room, and say how many. Raises OSError."""
        try:
            kept = await self.in_thread(self._keep, frames, sync=sync)
        except OSError as error:
            if not self._is_failing:
                _log.error("spool_failed", directory=str(self._root), reason=error.strerror)
            self._is_failing = True
            raise
        self._is_failing = False
        return kept

    async def forward(self) -> None:
        """Send what is spooled, oldest first, until nothing is left or the stream takes no more."""
        try:
            while (spool := self._spool) is not None and spool.bytes:
                chunk = await self.in_thread(spool.oldest)
                if chunk is None:
                    return
                await self.stream.append(chunk.frames)
                await self.in_thread(spool.release, chunk)
        except StreamError:
            return
        except OSError as error:
            _log.error("spool_failed", directory=str(self._root), reason=error.strerror)

    async def tend(self) -> None:
        """Take over what dead processes left, and look whether the stream is there."""
        try:
            taken = await self.in_thread(self._adopt)
            if taken:
                _log.info("spool_taken_over", directory=str(self._root), bytes=taken)
        except OSError as error:
            _log.error("spool_failed", directory=str(self._root), reason=error.strerror)
        if self.stream.may_try:
            try:
                await self.stream.look()
            except StreamError:
                return

    async def close(self) -> None:
        """Make durable what is left, for whoever comes next."""
        try:
            if self._spool is not None:
                await self.in_thread(self._spool.close)
        except OSError as error:
            _log.error("spool_failed", directory=str(self._root), reason=error.strerror)
        finally:
            self._spool = None
            self._thread.shutdown(wait=False)
            await self.stream.close()

    def _opened(self) -> Spool:
        if self._spool is None:
            self._spool = Spool(self._root, self._bytes_max)
        return self._spool

    def _keep(self, frames: Sequence[Frame], *, sync: bool) -> int:
        return self._opened().append(frames, sync=sync)

    def _adopt(self) -> int:
        # Without a folder of our own nothing of others has a place to go.
        return self._opened().adopt() if self._root.is_dir() else 0

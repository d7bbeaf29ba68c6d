"""A Redis stream that takes messages, as long as it has room.

StreamError
├── StreamAwayError    Redis does not answer, or refuses
└── StreamFullError    what waits in the stream for its consumer has reached the bound

The stream is never trimmed: MAXLEN would drop what nobody has read yet. The consumer deletes what it has written, so
that the stream's size is the backlog, and at its bound messages stay on our side.
"""

import time
from collections.abc import Sequence
from typing import Any, Protocol

from inference.errors import FeatureStoreError
from inference.prediction_log import Frame
from inference.prediction_log.streams import MESSAGE_FIELD, ROWS_FIELD
from online_features.resp import RespConnection, ServerAddress, command

__all__ = ["LogStream", "StreamAwayError", "StreamError", "StreamFullError"]

_CONNECT_SECONDS = 1.0
_TIMEOUT_SECONDS = 1.0
_RETRY_FIRST_SECONDS = 0.2
_RETRY_LAST_SECONDS = 2.0


class StreamError(Exception):
    """The stream did not take the messages."""


class StreamAwayError(StreamError):
    """Redis does not answer, or refuses."""


class StreamFullError(StreamError):
    """The backlog has reached its bound."""


class _Commands(Protocol):
    async def run(self, commands: Sequence[Sequence[bytes | str]]) -> list[Any]:
        """Run commands, pipelined. Raises Exception."""
        ...

    async def close(self) -> None:
        """Release the connection."""
        ...


class LogStream:
    """The writing end of one stream, over a connection of its own: scoring reads never queue behind a message."""

    def __init__(self, url: str, key: str, bytes_max: int) -> None:
        """Connect nothing yet. Raises ValueError for an URL that cannot be read."""
        self._commands: _Commands = _SingleServer(url) if "+" not in url.partition(":")[0] else _RedisPy(url)
        self._key = key
        self._bytes_max = bytes_max
        self._retry_seconds = _RETRY_FIRST_SECONDS
        self._retry_at = 0.0
        self.bytes = 0
        """What the stream held when it was last looked at."""
        self.is_up = False
        """The last command was answered."""

    @property
    def may_try(self) -> bool:
        """Whether it is not too soon after a failure."""
        return time.monotonic() >= self._retry_at

    async def look(self) -> None:
        """Ask how much waits. Raises `StreamAwayError`."""
        (size,) = await self._run([("MEMORY", "USAGE", self._key)])
        self.bytes = size or 0

    async def append(self, frames: Sequence[Frame]) -> None:
        """Add messages. Raises `StreamError`; Redis may have taken them nevertheless, if its answer was lost."""
        await self.look()
        if self.bytes >= self._bytes_max:
            self._retry_at = time.monotonic() + _RETRY_LAST_SECONDS
            raise StreamFullError
        await self._run(
            [("XADD", self._key, "*", MESSAGE_FIELD, frame.message, ROWS_FIELD, str(frame.rows)) for frame in frames]
        )

    async def close(self) -> None:
        """Release the connection."""
        await self._commands.close()

    async def _run(self, commands: Sequence[Sequence[bytes | str]]) -> list[Any]:
        try:
            replies = await self._commands.run(commands)
        except Exception as error:
            self.is_up = False
            self._retry_at = time.monotonic() + self._retry_seconds
            self._retry_seconds = min(self._retry_seconds * 2, _RETRY_LAST_SECONDS)
            raise StreamAwayError(str(error)) from error
        self.is_up = True
        self._retry_seconds = _RETRY_FIRST_SECONDS
        return replies


class _SingleServer:
    def __init__(self, url: str) -> None:
        self._address = ServerAddress.parse(url)
        self._connection: RespConnection | None = None

    async def run(self, commands: Sequence[Sequence[bytes | str]]) -> list[Any]:
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = await RespConnection.open(
                self._address, connect_seconds=_CONNECT_SECONDS, timeout_seconds=_TIMEOUT_SECONDS
            )
        sent = [connection.send(command(*one)) for one in commands]
        replies: list[Any] = []
        failure: FeatureStoreError | None = None
        # Each is waited for: a failure that nobody fetches would be reported as lost.
        for future in sent:
            try:
                replies.append(await future)
            except FeatureStoreError as error:
                failure = error
        if failure is not None:
            raise failure
        return replies

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.aclose()


class _RedisPy:
    """Cluster and Sentinel."""

    def __init__(self, url: str) -> None:
        from online_features.redis_py_links import open_redis_py_link

        self._link = open_redis_py_link(url)

    async def run(self, commands: Sequence[Sequence[bytes | str]]) -> list[Any]:
        return [await self._link.client.execute_command(*one) for one in commands]

    async def close(self) -> None:
        await self._link.close()

"""How a reader reaches the online store: one server by our own connection, Cluster and Sentinel through redis-py.

URLs: `redis://[user:password@]host:port/db`, `rediss://…` (TLS), `unix://[user:password@]/path?db=0`,
`redis+cluster://host:port,host:port` (`rediss+cluster://`), `redis+sentinel://host:port,host:port/<master>/<db>`
(`rediss+sentinel://`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from inference.errors import FeatureStoreError
from online_features.keys import KEY_END
from online_features.resp import RespConnection, ServerAddress, command, pairs

__all__ = ["CONNECT_SECONDS", "TIMEOUT_SECONDS", "KeyRun", "Link", "SingleServerLink", "open_link"]

CONNECT_SECONDS = 2.0
TIMEOUT_SECONDS = 2.0


class KeyRun(NamedTuple):
    """Keys of one view: prefix + id + `}`."""

    prefix: str
    ids: Sequence[str]


class Link(Protocol):
    """What a reader asks of the online store. Methods raise `FeatureStoreError`."""

    async def mget(self, runs: Sequence[KeyRun]) -> list[bytes | None]:
        """Values of all keys of all runs, in order."""
        ...

    async def hgetall(self, key: str) -> Mapping[bytes, bytes]:
        """A hash."""
        ...

    async def get(self, key: str) -> bytes | None:
        """A value."""
        ...

    async def set(self, key: str, value: bytes) -> None:
        """Replace a value."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class SingleServerLink:
    """One server, one connection, opened on first use and again after it was lost.

    A command on a connection that dies is sent once more on a new one, so that a restarted server or a dropped idle
    connection is not seen by callers: all commands here are reads or replace a whole value.
    """

    def __init__(self, url: str) -> None:
        self._address = ServerAddress.parse(url)
        self._connection: RespConnection | None = None
        self._opening = asyncio.Lock()

    async def mget(self, runs: Sequence[KeyRun]) -> list[bytes | None]:
        """See `Link`."""
        reply: list[bytes | None] = await self._call(mget_frame(runs))
        return reply

    async def hgetall(self, key: str) -> Mapping[bytes, bytes]:
        """See `Link`."""
        return pairs(await self._call(command("HGETALL", key)))

    async def get(self, key: str) -> bytes | None:
        """See `Link`."""
        reply: bytes | None = await self._call(command("GET", key))
        return reply

    async def set(self, key: str, value: bytes) -> None:
        """See `Link`."""
        await self._call(command("SET", key, value))

    async def close(self) -> None:
        """See `Link`."""
        if self._connection is not None:
            await self._connection.aclose()
            self._connection = None

    async def _call(self, frame: bytes) -> Any:
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._connect()
        try:
            return await connection.send(frame)
        except FeatureStoreError:
            if not connection.closed:
                raise
        return await (await self._connect()).send(frame)

    async def _connect(self) -> RespConnection:
        async with self._opening:
            if self._connection is None or self._connection.closed:
                self._connection = await RespConnection.open(
                    self._address, connect_seconds=CONNECT_SECONDS, timeout_seconds=TIMEOUT_SECONDS
                )
            return self._connection


def mget_frame(runs: Sequence[KeyRun]) -> bytes:
    """One MGET over all runs. Ids of one length (the usual case) cost one `str.join` a run."""
    parts = [""]
    count = 1
    checked: Sequence[str] | None = None
    length = -1
    for prefix, ids in runs:
        count += len(ids)
        if ids is not checked:
            # Views of one entity share their ids.
            checked, length = ids, _common_length(ids)
        size = len(prefix.encode()) + 1
        if length >= 0:
            start = f"${size + length}\r\n{prefix}"
            end = f"{KEY_END}\r\n"
            parts += (start, (end + start).join(ids), end)
        else:
            parts += [f"${size + len(id_.encode())}\r\n{prefix}{id_}{KEY_END}\r\n" for id_ in ids]
    parts[0] = f"*{count}\r\n$4\r\nMGET\r\n"
    return "".join(parts).encode()


def _common_length(ids: Sequence[str]) -> int:
    """The length in bytes that all ids have; -1 if they differ, are not ASCII or there are none."""
    lengths = set(map(len, ids))
    return lengths.pop() if len(lengths) == 1 and "".join(ids).isascii() else -1


def open_link(url: str) -> Link:
    """A link for the URL; nothing is connected yet. Raises ValueError for an URL it cannot read."""
    if "+" not in urlsplit(url).scheme:
        return SingleServerLink(url)
    # 18 MB and 80 ms that a service over one server has no use for.
    from online_features.redis_py_links import open_redis_py_link

    return open_redis_py_link(url)

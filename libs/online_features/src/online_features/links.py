"""How a reader reaches the online store: one server by our own connection, Cluster and Sentinel through redis-py.

URLs: `redis://[user:password@]host:port/db`, `rediss://…` (TLS), `unix://[user:password@]/path?db=0`,
`redis+cluster://host:port,host:port` (`rediss+cluster://`), `redis+sentinel://host:port,host:port/<master>/<db>`
(`rediss+sentinel://`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from inference.errors import FeatureStoreError
from online_features.keys import KEY_END
from online_features.resp import RespConnection, ServerAddress, command, pairs

__all__ = ["CONNECT_SECONDS", "TIMEOUT_SECONDS", "KeyRun", "Link", "SingleServerLink", "open_link"]

CONNECT_SECONDS = 2.0
TIMEOUT_SECONDS = 2.0
_KEYS_ALONE = 48
"""Up to so many keys go in one command."""
_KEYS_AT_ONCE = 16
"""Keys a command where there are more. Valkey fetches the memory of as many keys of waiting commands at once
(`prefetch-batch-max-size`), but of one large command looks up key after key: 2.5 times as long over 3 million keys."""


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
        if sum(len(ids) for _, ids in runs) <= _KEYS_ALONE:
            reply: list[bytes | None] = await self._call(mget_frame(runs))
            return reply
        values: list[bytes | None] = await self._attempt(lambda connection: _mget_run_by_run(connection, runs))
        return values

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
        return await self._attempt(lambda connection: connection.send(frame))

    async def _attempt(self, send: Callable[[RespConnection], Awaitable[Any]]) -> Any:
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._connect()
        try:
            return await send(connection)
        except FeatureStoreError:
            if not connection.closed:
                raise
        return await send(await self._connect())

    async def _connect(self) -> RespConnection:
        async with self._opening:
            if self._connection is None or self._connection.closed:
                self._connection = await RespConnection.open(
                    self._address, connect_seconds=CONNECT_SECONDS, timeout_seconds=TIMEOUT_SECONDS
                )
            return self._connection


async def _mget_run_by_run(connection: RespConnection, runs: Sequence[KeyRun]) -> list[bytes | None]:
    """Values of all runs; one is put together while the server works on the one before."""
    sent = [connection.send_all(*mget_frames(run)) for run in runs if run.ids]
    return list(chain.from_iterable(chain.from_iterable(await asyncio.gather(*sent))))


def mget_frame(runs: Sequence[KeyRun]) -> bytes:
    """One MGET over the keys of all runs in order."""
    keys = sum(len(ids) for _, ids in runs)
    parts = [_mget_head(keys)]
    checked: Sequence[str] | None = None
    length = -1
    for prefix, ids in runs:
        if ids is not checked:
            # Views of one entity share their ids.
            checked, length = ids, _common_length(ids)
        parts += _texts(prefix, ids, length, keys)
    return "".join(parts).encode()


def mget_frames(run: KeyRun) -> tuple[bytes, int]:
    """MGETs of a few keys each over the keys of a run, which has some, and how many they are."""
    texts = _texts(run.prefix, run.ids, _common_length(run.ids), _KEYS_AT_ONCE)
    head = _mget_head(_KEYS_AT_ONCE)
    parts = [head + text for text in texts[:-1]]
    parts += (_mget_head((len(run.ids) - 1) % _KEYS_AT_ONCE + 1), texts[-1])
    return "".join(parts).encode(), len(texts)


def _mget_head(keys: int) -> str:
    return f"*{keys + 1}\r\n$4\r\nMGET\r\n"


def _texts(prefix: str, ids: Sequence[str], length: int, size: int) -> list[str]:
    """Keys as RESP, `size` a text. Ids of one `length` (the usual case; else it is -1) cost a `str.join` a text."""
    starts = range(0, len(ids), max(size, 1))
    bytes_before = len(prefix.encode()) + 1
    if length >= 0:
        start = f"${bytes_before + length}\r\n{prefix}"
        end = f"{KEY_END}\r\n"
        between = end + start
        return [start + between.join(ids[first : first + size]) + end for first in starts]
    keys = [f"${bytes_before + len(id_.encode())}\r\n{prefix}{id_}{KEY_END}\r\n" for id_ in ids]
    return ["".join(keys[first : first + size]) for first in starts]


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

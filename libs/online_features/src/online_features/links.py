"""How a reader reaches the online store: one server by our own connection, Cluster and Sentinel through redis-py.

URLs: `redis://[user:password@]host:port/db`, `rediss://…` (TLS), `unix://[user:password@]/path?db=0`,
`redis+cluster://host:port,host:port` (`rediss+cluster://`), `redis+sentinel://host:port,host:port/<master>/<db>`
(`rediss+sentinel://`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from redis.exceptions import RedisError

from inference.errors import FeatureStoreError
from online_features.keys import KEY_END
from online_features.resp import RespConnection, ServerAddress, command, pairs

__all__ = ["KeyRun", "Link", "RedisPyLink", "SingleServerLink", "open_link"]

_CONNECT_SECONDS = 2.0
_TIMEOUT_SECONDS = 2.0


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
                    self._address, connect_seconds=_CONNECT_SECONDS, timeout_seconds=_TIMEOUT_SECONDS
                )
            return self._connection


class RedisPyLink:
    """Cluster and Sentinel."""

    def __init__(self, client: Any, *, cluster: bool) -> None:
        self._client = client
        self._cluster = cluster

    @property
    def client(self) -> Any:
        """The redis-py client, for commands beyond those of a reader."""
        return self._client

    async def mget(self, runs: Sequence[KeyRun]) -> list[bytes | None]:
        """See `Link`. In a cluster: one MGET a slot, pipelined by node."""
        keys = [f"{prefix}{id_}{KEY_END}".encode() for prefix, ids in runs for id_ in ids]
        if not keys:
            return []
        read = self._client.mget_nonatomic if self._cluster else self._client.mget
        values: list[bytes | None] = await self._guarded(read(keys))
        return values

    async def hgetall(self, key: str) -> Mapping[bytes, bytes]:
        """See `Link`."""
        reply: dict[bytes, bytes] = await self._guarded(self._client.hgetall(key))
        return reply

    async def get(self, key: str) -> bytes | None:
        """See `Link`."""
        reply: bytes | None = await self._guarded(self._client.get(key))
        return reply

    async def set(self, key: str, value: bytes) -> None:
        """See `Link`."""
        await self._guarded(self._client.set(key, value))

    async def close(self) -> None:
        """See `Link`."""
        await self._client.aclose()

    @staticmethod
    async def _guarded(call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError, TimeoutError) as error:
            raise FeatureStoreError(f"the online store cannot be reached: {error}") from error


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
    scheme, plus, kind = urlsplit(url).scheme.partition("+")
    if not plus:
        return SingleServerLink(url)
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    nodes = [(host, int(port or 6379)) for host, _, port in (node.partition(":") for node in hosts.split(","))]
    options: dict[str, Any] = {"socket_timeout": _TIMEOUT_SECONDS, "socket_connect_timeout": _CONNECT_SECONDS}
    if password:
        options |= {"username": unquote(username) or None, "password": unquote(password)}
    if scheme == "rediss":
        options["ssl"] = True
    if kind == "cluster":
        from redis.asyncio.cluster import ClusterNode, RedisCluster

        startup = [ClusterNode(host, port) for host, port in nodes]
        return RedisPyLink(RedisCluster(startup_nodes=startup, **options), cluster=True)
    if kind == "sentinel":
        from redis.asyncio import Sentinel

        master, _, database = parts.path.strip("/").partition("/")
        sentinel = Sentinel(nodes, db=int(database or 0), **options)  # type: ignore[no-untyped-call]  # redis-py leaves it unannotated
        return RedisPyLink(sentinel.master_for(master or "mymaster"), cluster=False)
    raise ValueError("a Redis URL is redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://")

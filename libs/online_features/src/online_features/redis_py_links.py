"""Links through redis-py: to a Cluster, and to the master that Sentinel names."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import Sentinel
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisError

from inference.errors import FeatureStoreError
from online_features.keys import KEY_END
from online_features.links import CONNECT_SECONDS, TIMEOUT_SECONDS, KeyRun

__all__ = ["RedisPyLink", "open_redis_py_link"]


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


def open_redis_py_link(url: str) -> RedisPyLink:
    """A link for a URL with `+cluster` or `+sentinel`. Raises ValueError for another."""
    parts = urlsplit(url)
    kind = parts.scheme.partition("+")[2]
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    nodes = [(host, int(port or 6379)) for host, _, port in (node.partition(":") for node in hosts.split(","))]
    options: dict[str, Any] = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": CONNECT_SECONDS}
    if password:
        options |= {"username": unquote(username) or None, "password": unquote(password)}
    if parts.scheme.startswith("rediss+"):
        options["ssl"] = True
    if kind == "cluster":
        startup = [ClusterNode(host, port) for host, port in nodes]
        return RedisPyLink(RedisCluster(startup_nodes=startup, **options), cluster=True)
    if kind == "sentinel":
        master, _, database = parts.path.strip("/").partition("/")
        sentinel = Sentinel(nodes, db=int(database or 0), **options)  # type: ignore[no-untyped-call]  # redis-py leaves it unannotated
        return RedisPyLink(sentinel.master_for(master or "mymaster"), cluster=False)
    raise ValueError("a Redis URL is redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://")

"""Blocking access to the online store for the Feast side: clients from a connection string, and raw script calls.

The connection string is that of Feast's Redis store: `host:port[,host:port…][,db=0][,ssl=true][,password=…][,…]`, where
every option is an argument of the redis-py client; `unix_socket_path=…` stands in for host and port.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from redis import Redis
from redis import asyncio as redis_asyncio
from redis.cluster import ClusterNode, RedisCluster
from redis.sentinel import Sentinel

from online_features.writer import NEWEST_WINS

__all__ = ["ClientSender", "RedisType", "Server", "connection_options"]

_IN_FLIGHT: Final = 8
"""Commands sent ahead of their replies: enough to keep the server busy, bounded memory in its input buffer."""


class RedisType(StrEnum):
    """As in Feast's Redis store; `sentinel` is short for `redis_sentinel`."""

    redis = "redis"
    redis_cluster = "redis_cluster"
    redis_sentinel = "redis_sentinel"
    sentinel = "sentinel"


def connection_options(connection_string: str) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    """Nodes and client options of a connection string."""
    nodes: list[tuple[str, int]] = []
    options: dict[str, Any] = {}
    for part in connection_string.split(","):
        name, equals, value = part.partition("=")
        if equals:
            try:
                options[name] = json.loads(value)
            except json.JSONDecodeError:
                options[name] = value
        elif part:
            host, _, port = part.rpartition(":")
            nodes.append((host or part, int(port) if host else 6379))
    # A password of digits only is read as a number above.
    for name in {"password", "username"} & options.keys():
        options[name] = str(options[name])
    return nodes, options


@dataclass(frozen=True, slots=True)
class Server:
    """Where the online store is."""

    connection_string: str
    redis_type: RedisType
    sentinel_master: str

    @property
    def cluster(self) -> bool:
        """Whether it is a Redis Cluster."""
        return self.redis_type is RedisType.redis_cluster

    def client(self) -> Any:
        """A blocking client; it connects on first use."""
        nodes, options = connection_options(self.connection_string)
        if self.cluster:
            return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in nodes], **options)  # type: ignore[no-untyped-call]  # redis-py leaves it unannotated
        if self.redis_type is not RedisType.redis:
            return Sentinel(nodes, **options).master_for(self.sentinel_master)  # type: ignore[no-untyped-call]  # redis-py leaves it unannotated
        return Redis(**_address(nodes), **options)

    def async_client(self) -> Any:
        """An asyncio client; it connects on first use."""
        nodes, options = connection_options(self.connection_string)
        if self.cluster:
            startup = [redis_asyncio.cluster.ClusterNode(host, port) for host, port in nodes]
            return redis_asyncio.RedisCluster(startup_nodes=startup, **options)
        if self.redis_type is not RedisType.redis:
            return redis_asyncio.Sentinel(nodes, **options).master_for(self.sentinel_master)  # type: ignore[no-untyped-call]  # redis-py leaves it unannotated
        return redis_asyncio.Redis(**_address(nodes), **options)


def _address(nodes: list[tuple[str, int]]) -> dict[str, Any]:
    return {"host": nodes[0][0], "port": nodes[0][1]} if nodes else {}


class ClientSender:
    """Sends ready-made commands over connections of a redis-py client, so that its TLS and log-in are used."""

    def __init__(self, client: Any, *, cluster: bool) -> None:
        self._client = client
        self.cluster = cluster
        self._loaded = False

    def send(self, frames: list[tuple[bytes, int]]) -> list[int]:
        """Send (command, slot) pairs, return the replies in order. Raises redis-py's errors."""
        if not self._loaded:
            self._client.script_load(NEWEST_WINS)
            self._loaded = True
        try:
            if not self.cluster:
                return _pipeline(self._client.connection_pool, [frame for frame, _ in frames])
            by_node: dict[str, list[int]] = {}
            for place, (_, slot) in enumerate(frames):
                by_node.setdefault(self._client.nodes_manager.get_node_from_slot(slot).name, []).append(place)
            replies = [0] * len(frames)
            for name, places in by_node.items():
                node = self._client.get_node(node_name=name)
                pool = self._client.get_redis_connection(node).connection_pool
                mine = _pipeline(pool, [frames[place][0] for place in places])
                for place, reply in zip(places, mine, strict=True):
                    replies[place] = reply
        except Exception:
            # A server that restarted has no script, a cluster that moved a slot has another node: start afresh.
            self._loaded = False
            raise
        return replies


def _pipeline(pool: Any, frames: list[bytes]) -> list[int]:
    connection = pool.get_connection()
    replies: list[int] = []
    try:
        for sent, frame in enumerate(frames, 1):
            connection.send_packed_command([frame])
            if sent - len(replies) == _IN_FLIGHT:
                replies.append(int(connection.read_response()))
        while len(replies) < len(frames):
            replies.append(int(connection.read_response()))
    except BaseException:
        # Replies may still be under way: the connection cannot be used again.
        connection.disconnect()
        raise
    finally:
        pool.release(connection)
    return replies

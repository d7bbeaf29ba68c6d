"""Redis Cluster: a server in cluster mode that owns all slots refuses commands whose keys span slots."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from feast import FeatureStore
from numpy.testing import assert_array_equal
from redis.cluster import ClusterNode, RedisCluster

from inference.features import FeatureRows
from online_features import open_reader, read_pool, write_pool
from online_features.feast_reader import FeastFeatureReader

from . import marketplace_views as market

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Feast's and Ibis's own
    # redis-py's blocking cluster client drops its first connections without closing them.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def cluster(own_valkey: Any) -> int:
    """Start a cluster of one node, return its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    bus = port + 1 if port < 65_000 else port - 1
    own_valkey("--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(bus), "--bind", "127.0.0.1")
    with redis.Redis(port=port) as node:
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        deadline = time.monotonic() + 20
        while b"cluster_state:ok" not in node.execute_command("CLUSTER", "INFO"):
            assert time.monotonic() < deadline, "the cluster did not form"
            time.sleep(0.05)
    return port


def test_a_cluster_serves_the_same_rows(own_valkey: Any, feast_store: Callable[..., FeatureStore]) -> None:
    port = cluster(own_valkey)
    url = f"redis+cluster://127.0.0.1:{port}"
    store = feast_store("clustered", connection_string=f"127.0.0.1:{port}", redis_type="redis_cluster")
    store.apply([market.CANDIDATE, market.JOB, *market.views()])
    for name, frame in market.frames(40).items():
        store.write_to_online_store(name, frame)
    keys = {"candidate_id": [f"c{i:04d}" for i in range(40)], "job_id": ["j0", "j404"] * 20}

    async def read() -> FeatureRows:
        reader = await open_reader(url, market.contract(), "clustered")
        rows = await reader.read(keys)
        await reader.close()
        await write_pool(url, "clustered", "candidates", ["c1"])
        assert await read_pool(url, "clustered", "candidates") == ["c1"]
        return rows

    rows = asyncio.run(read())

    expected = asyncio.run(FeastFeatureReader(store, market.contract()).read(keys))
    assert_array_equal(rows.matrix, expected.matrix)
    assert_array_equal(rows.status, expected.status)
    store.teardown()
    with contextlib.closing(RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", port)])) as client:
        assert client.dbsize() == 0

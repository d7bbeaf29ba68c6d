"""The candidate pool in the online store: whom a shortlist may name."""

import asyncio
from pathlib import Path

import pyarrow.parquet as pq

from online_features import write_pool
from pipelines.features.redis_url import redis_url

__all__ = ["POOL_NAME", "publish_pool"]

POOL_NAME = "candidates"
"""Name of the pool in `online_features.read_pool(redis_url, project, name)`."""


def publish_pool(home: Path, project: str) -> int:
    """Replace the pool by the published one and return its size. Raises FeatureStoreError."""
    table = pq.read_table(home / "warehouse" / "features" / "candidate_pool.parquet", columns=["candidate_id"])
    ids: list[str] = table["candidate_id"].to_pylist()
    asyncio.run(write_pool(redis_url(), project, POOL_NAME, ids))
    return len(ids)

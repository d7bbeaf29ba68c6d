"""Feast's Redis online store at `OFFERS_REDIS_URL`, wherever the command line is called."""

import os
from typing import Literal
from urllib.parse import urlsplit

from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from pydantic import Field, StrictStr

__all__ = ["LocalRedisOnlineStore", "LocalRedisOnlineStoreConfig"]


def _connection_string() -> str:
    url = urlsplit(os.environ.get("OFFERS_REDIS_URL", "redis://127.0.0.1:6380/0"))
    parts = [f"{url.hostname}:{url.port or 6379}", f"db={url.path.strip('/') or 0}"]
    if url.password:
        parts.append(f"password={url.password}")
    if url.scheme == "rediss":
        parts.append("ssl=true")
    return ",".join(parts)


class LocalRedisOnlineStoreConfig(RedisOnlineStoreConfig):  # type: ignore[misc]  # published without types
    """As Feast's, with the address from the environment."""

    type: Literal["pipelines.features.online.LocalRedisOnlineStore"] = "pipelines.features.online.LocalRedisOnlineStore"
    connection_string: StrictStr = Field(default_factory=_connection_string)


class LocalRedisOnlineStore(RedisOnlineStore):  # type: ignore[misc]  # published without types
    """Feast's Redis online store with the address from the environment."""

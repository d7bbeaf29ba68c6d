"""The packed online store at `OFFERS_REDIS_URL`, wherever Feast's command line is called."""

from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, StrictStr

from online_features.store import PackedRedisOnlineStore, PackedRedisOnlineStoreConfig
from pipelines.features.redis_url import redis_url

__all__ = ["HomeOnlineStore", "HomeOnlineStoreConfig"]


def _connection_string() -> str:
    url = urlsplit(redis_url())
    parts = [f"{url.hostname}:{url.port or 6379}", f"db={url.path.strip('/') or 0}"]
    if url.password:
        parts.append(f"password={unquote(url.password)}")
    if url.scheme == "rediss":
        parts.append("ssl=true")
    return ",".join(parts)


class HomeOnlineStoreConfig(PackedRedisOnlineStoreConfig):
    """As the packed store's, with the address from the environment."""

    type: Literal["pipelines.features.online.HomeOnlineStore"] = Field(  # type: ignore[assignment]  # its own name
        default="pipelines.features.online.HomeOnlineStore"
    )
    connection_string: StrictStr = Field(default_factory=_connection_string)


class HomeOnlineStore(PackedRedisOnlineStore):
    """`online_features.PackedRedisOnlineStore` with the address from the environment."""

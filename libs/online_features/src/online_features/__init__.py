"""The packed Redis online store for Feast: layout, writer and vectorised reader.

The Feast side (`PackedRedisOnlineStore`, `PackedComputeEngine`) is imported on first use: a serving process that only
reads never pays for Feast.
"""

import importlib
from typing import TYPE_CHECKING, Any

from online_features.pool import read_pool, write_pool
from online_features.reader import open_reader

if TYPE_CHECKING:
    from online_features.engine import PackedComputeEngine, PackedComputeEngineConfig
    from online_features.store import PackedRedisOnlineStore, PackedRedisOnlineStoreConfig

__all__ = [
    "PackedComputeEngine",
    "PackedComputeEngineConfig",
    "PackedRedisOnlineStore",
    "PackedRedisOnlineStoreConfig",
    "open_reader",
    "read_pool",
    "write_pool",
]

_FEAST_SIDE = {
    "PackedComputeEngine": "online_features.engine",
    "PackedComputeEngineConfig": "online_features.engine",
    "PackedRedisOnlineStore": "online_features.store",
    "PackedRedisOnlineStoreConfig": "online_features.store",
}


def __getattr__(name: str) -> Any:
    """Import the Feast side on first use."""
    if name not in _FEAST_SIDE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_FEAST_SIDE[name]), name)

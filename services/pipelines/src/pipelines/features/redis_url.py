"""Where the online store is."""

import os

__all__ = ["redis_url"]


def redis_url() -> str:
    """Return `OFFERS_REDIS_URL`, by default the local Valkey."""
    return os.environ.get("OFFERS_REDIS_URL", "redis://127.0.0.1:6380/0")

"""Marks in Redis that say which run filled it: a Redis that lost its data has lost the mark too."""

import os

__all__ = ["read_marks", "write_mark"]

_TIMEOUT_SECONDS = 2.0


def _key(step: str) -> str:
    return f"{os.environ.get('OFFERS_FEAST_PROJECT', 'offers')}:pipelines:{step}"


def read_marks(url: str, steps: list[str]) -> list[str | None]:
    """Return the mark of each step; None where there is none, or no Redis that answers."""
    import redis

    client = redis.Redis.from_url(url, socket_timeout=_TIMEOUT_SECONDS, decode_responses=True)
    try:
        return [value if isinstance(value, str) else None for value in client.mget([_key(step) for step in steps])]  # type: ignore[union-attr]  # redis-py types both its clients as one
    except redis.RedisError:
        return [None] * len(steps)
    finally:
        client.close()


def write_mark(url: str, step: str, fingerprint: str) -> None:
    """Mark a step as done."""
    import redis

    client = redis.Redis.from_url(url, socket_timeout=_TIMEOUT_SECONDS)
    try:
        client.set(_key(step), fingerprint)
    finally:
        client.close()

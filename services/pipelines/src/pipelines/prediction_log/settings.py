"""Settings of the log in the warehouse."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipelines.features.redis_url import redis_url
from pipelines.warehouse.settings import offers_home

__all__ = ["SERVICES", "LogSettings"]

SERVICES = ("residency", "skill_experience", "business_experience", "hourly_rate", "recommendation")
"""Their streams are followed; a test holds them to the declared models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Where the log is, and how long it is kept."""

    home: Path
    redis_url: str
    project: str = "offers"
    consumer: str = "follower"
    """Name in the consumer group: unique among the followers that run at once, the same after a restart."""
    follow_seconds: float = 2.0
    """Pause between looks at the streams: the longer, the larger the files."""
    retention_days: int = 365
    """Days after which predictions and feedback are deleted."""
    services: tuple[str, ...] = SERVICES

    @classmethod
    def from_env(cls) -> Self:
        """Read `OFFERS_LOG_REDIS_URL`, `OFFERS_CONSUMER`, `OFFERS_FOLLOW_SECONDS` and `OFFERS_RETENTION_DAYS`."""
        return cls(
            home=offers_home(),
            redis_url=os.environ.get("OFFERS_LOG_REDIS_URL") or redis_url(),
            project=os.environ.get("OFFERS_FEAST_PROJECT", "offers"),
            consumer=os.environ.get("OFFERS_CONSUMER") or socket.gethostname(),
            follow_seconds=float(os.environ.get("OFFERS_FOLLOW_SECONDS", "2")),
            retention_days=int(os.environ.get("OFFERS_RETENTION_DAYS", "365")),
        )

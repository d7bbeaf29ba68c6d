"""How long the log is kept: whole days go, as their folders are named."""

import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from inference.prediction_log import FEEDBACK, PREDICTIONS
from pipelines.prediction_log.log_files import day_directories, day_of, locked

__all__ = ["expire"]


def expire(home: Path, services: Sequence[str], retention_days: int) -> int:
    """Delete the days that lie longer back, and what was set aside so long ago; say how many days. Raises OSError."""
    if retention_days < 1:
        raise ValueError("predictions are kept for at least a day")
    oldest = datetime.now(UTC).date() - timedelta(days=retention_days)
    gone = 0
    with locked(home, "tidy"):
        for kind in (PREDICTIONS, FEEDBACK):
            for service in services:
                for directory in day_directories(home, kind, service):
                    day = day_of(directory)
                    if day is not None and day < oldest:
                        shutil.rmtree(directory)
                        gone += 1
                for path in (home / kind / service / "unreadable").glob("*"):
                    if path.stat().st_mtime < time.time() - retention_days * 86_400:
                        path.unlink()
    return gone

"""What Prometheus sees of the follower."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from inference.prediction_log import FEEDBACK, PREDICTIONS

__all__ = ["FollowerMetrics"]

_STREAM = ("kind", "service")


class FollowerMetrics:
    """Its metrics, in a registry of their own."""

    def __init__(self, services: Sequence[str]) -> None:
        self.registry = CollectorRegistry()
        add = self.registry
        self.backlog = Gauge("scoring_follow_backlog_entries", "Messages not yet written.", _STREAM, registry=add)
        self.lag = Gauge("scoring_follow_lag_seconds", "Age of the oldest of them.", _STREAM, registry=add)
        self.files = Gauge("scoring_follow_files", "Files of the log.", _STREAM, registry=add)
        self.redis_up = Gauge("scoring_follow_redis_up", "1 while Redis answers.", registry=add)
        self.written = Counter("scoring_follow_written_rows", "Rows written.", _STREAM, registry=add)
        self.duplicates = Counter("scoring_follow_duplicate_rows", "Rows that came twice.", _STREAM, registry=add)
        self.forgotten = Counter(
            "scoring_follow_forgotten_rows", "Rows of people who were forgotten.", ("service",), registry=add
        )
        self.unreadable = Counter(
            "scoring_follow_unreadable_entries", "Messages set aside as they cannot be read.", _STREAM, registry=add
        )
        self.failures = Counter("scoring_follow_failures", "Turns that failed.", _STREAM, registry=add)
        self.tidy_failures = Counter("scoring_follow_tidy_failures", "Merges or deletions that failed.", registry=add)
        for service in services:
            self.forgotten.labels(service)
            for kind in (PREDICTIONS, FEEDBACK):
                for family in (self.backlog, self.lag, self.files):
                    family.labels(kind, service)
                for counter in (self.written, self.duplicates, self.unreadable, self.failures):
                    counter.labels(kind, service)

"""What Prometheus sees of a serving process. Labels are bounded: no id, no path that came in."""

import itertools
from bisect import bisect_left
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = [
    "FEATURE_CELLS",
    "IN_FLIGHT",
    "MODEL_READY",
    "PREDICTIONS",
    "SHED",
    "STAGE_SECONDS",
    "RequestTimes",
]

_REQUEST_BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075,
    0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
_STAGE_BUCKETS = (
    0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
)  # fmt: skip

STAGE_SECONDS = Histogram(
    "scoring_stage_seconds",
    "Time of one stage of a scoring request.",
    ("service", "stage"),
    buckets=_STAGE_BUCKETS,
)
PREDICTIONS = Counter("scoring_predictions_total", "Rows scored.", ("model", "version"))
FEATURE_CELLS = Counter(
    "scoring_feature_cells_total",
    "Feature values that were not present when a row was scored.",
    ("model", "feature", "status"),
)
IN_FLIGHT = Gauge("scoring_requests_in_flight", "Scoring requests being worked on.", ("service",))
SHED = Counter("scoring_requests_shed_total", "Requests answered 503 for want of room.", ("service",))
MODEL_READY = Gauge("scoring_model_ready", "1 while a model version is loaded.", ("service",))


class RequestTimes(Collector):
    """Request times of one service by route and status; their counts are the counts of requests.

    `Histogram.observe` takes 3 µs and a lock; one event loop needs no lock, and counts in a list.
    """

    _FAMILY = "scoring_request_seconds"

    def __init__(self, service: str) -> None:
        self._service = service
        self._counts: dict[tuple[str, int], list[int]] = {}
        self._seconds: dict[tuple[str, int], float] = {}

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (route, status)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = [0] * (len(_REQUEST_BUCKETS) + 1)
            self._seconds[key] = 0.0
        counts[bisect_left(_REQUEST_BUCKETS, seconds)] += 1
        self._seconds[key] += seconds

    def collect(self) -> Iterable[Metric]:
        """Give Prometheus the histogram."""
        family = HistogramMetricFamily(
            self._FAMILY,
            "Time from a request's head to the end of its answer; its count is the count of requests.",
            labels=("service", "route", "status"),
        )
        bounds = [*(str(bound) for bound in _REQUEST_BUCKETS), "+Inf"]
        for (route, status), counts in list(self._counts.items()):
            buckets = list(zip(bounds, itertools.accumulate(counts), strict=True))
            family.add_metric((self._service, route, str(status)), buckets, self._seconds[route, status])
        return [family]

"""What Prometheus sees of a serving process. Labels are bounded: no id, no path that came in."""

from prometheus_client import Counter, Gauge, Histogram

__all__ = [
    "FEATURE_CELLS",
    "IN_FLIGHT",
    "MODEL_READY",
    "PREDICTIONS",
    "REQUEST_SECONDS",
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

REQUEST_SECONDS = Histogram(
    "scoring_request_seconds",
    "Time from a request's head to the end of its answer; its count is the count of requests.",
    ("service", "route", "status"),
    buckets=_REQUEST_BUCKETS,
)
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


class RequestTimes:
    """Observes request times with children resolved once a (route, status)."""

    __slots__ = ("_children", "_service")

    def __init__(self, service: str) -> None:
        self._service = service
        self._children: dict[tuple[str, int], Histogram] = {}

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        child = self._children.get((route, status))
        if child is None:
            child = REQUEST_SECONDS.labels(self._service, route, str(status))
            self._children[route, status] = child
        child.observe(seconds)

"""What Prometheus sees of a serving process. Labels are bounded: no id, no path that came in."""

from serving.ledger import Ledger
from serving.measures import Distribution, Family, Measures

__all__ = ["FAMILIES", "RequestTimes", "measures_in"]

_REQUEST_BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075,
    0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
_STAGE_BUCKETS = (
    0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
)  # fmt: skip
_HOUR = 3600.0
_AGE_BUCKETS = tuple(_HOUR * hours for hours in (1, 3, 6, 12, 24, 48, 96, 168, 336, 720, 1440, 4320, 9600))
_ROWS_BUCKETS = tuple(float(2**power) for power in range(10))

REQUEST_SECONDS = Family(
    "scoring_request_seconds",
    "Time from a request's head to the end of its answer; its count is the count of requests.",
    "histogram",
    ("service", "route", "status"),
    _REQUEST_BUCKETS,
)
WORKER_REQUESTS = Family(
    "scoring_worker_requests", "Requests by the worker that answered.", "counter", ("service", "worker")
)
STAGE_SECONDS = Family(
    "scoring_stage_seconds", "Time of one stage of scoring.", "histogram", ("service", "stage"), _STAGE_BUCKETS
)
BATCH_ROWS = Family(
    "scoring_batch_rows", "Rows that were read and predicted together.", "histogram", ("service",), _ROWS_BUCKETS
)
FEATURE_AGE = Family(
    "scoring_feature_age_seconds",
    "Age of the oldest stored value of a row when it was scored.",
    "histogram",
    ("model", "version"),
    _AGE_BUCKETS,
)
PREDICTIONS = Family(
    "scoring_predictions", "Rows scored; of a shortlist those that it names.", "counter", ("model", "version")
)
DEGRADED = Family("scoring_degraded_rows", "Rows scored without a required feature.", "counter", ("model", "version"))
NOT_FOUND = Family("scoring_unknown_rows", "Rows whose entity the store lacks.", "counter", ("model", "version"))
FEATURE_CELLS = Family(
    "scoring_feature_cells",
    "Feature values that were not present when a row was scored.",
    "counter",
    ("model", "version", "status", "feature"),
)
FEATURE_BINS = Family(
    "scoring_feature_bin_rows",
    "Rows scored by reference bin of a feature, before defaults.",
    "counter",
    ("model", "version", "feature", "bin"),
)
PREDICTION_BINS = Family(
    "scoring_prediction_bin_rows", "Rows scored by reference bin of the output.", "counter", ("model", "version", "bin")
)
FEATURE_REFERENCE = Family(
    "scoring_feature_bin_reference_ratio",
    "Share of the training rows in a reference bin.",
    "gauge",
    ("model", "version", "feature", "bin"),
    merge="max",
)
PREDICTION_REFERENCE = Family(
    "scoring_prediction_bin_reference_ratio",
    "Share of the training set's predictions in a reference bin.",
    "gauge",
    ("model", "version", "bin"),
    merge="max",
)
FEATURE_REFERENCE_ROWS = Family(
    "scoring_feature_reference_rows",
    "Training rows behind the reference shares.",
    "gauge",
    ("model", "version", "feature"),
    merge="max",
)
PREDICTION_REFERENCE_ROWS = Family(
    "scoring_prediction_reference_rows",
    "Predictions behind the reference shares.",
    "gauge",
    ("model", "version"),
    merge="max",
)
CACHE_LOOKUPS = Family(
    "scoring_artifact_cache_lookups",
    "Looks for a version's files on disk, by `result`: a miss fetches them from the registry.",
    "counter",
    ("service", "result"),
)
CACHE_BYTES = Family(
    "scoring_artifact_cache_bytes", "Size of the artefact cache on disk.", "gauge", ("service",), merge="max"
)
CACHE_ENTRIES = Family(
    "scoring_artifact_cache_entries", "Model versions in the artefact cache.", "gauge", ("service",), merge="max"
)
MODEL_ROLLBACKS = Family(
    "scoring_model_rollbacks", "Versions that were taken back after they served.", "counter", ("model",), merge="max"
)
IN_FLIGHT = Family("scoring_requests_in_flight", "Scoring requests being worked on.", "gauge", ("service",))
SHED = Family("scoring_requests_shed", "Requests answered 503 for want of room.", "counter", ("service",))
MODEL_READY = Family("scoring_model_ready", "1 while a model version is loaded.", "gauge", ("service", "worker"))
MODEL_INFO = Family(
    "scoring_model_info", "Workers that serve a version.", "gauge", ("model", "version", "alias", "source")
)
MODEL_SWAPS = Family("scoring_model_swaps", "Versions swapped in after the first.", "counter", ("model",), merge="max")
MODEL_REFUSALS = Family(
    "scoring_model_refusals",
    "Versions that stayed out or were rolled back (codes `guard_...`).",
    "counter",
    ("model", "code"),
    merge="max",
)
DEPENDENCY_UP = Family(
    "scoring_dependency_up", "1 while the last look at a dependency went well.", "gauge",
    ("service", "worker", "dependency"),
)  # fmt: skip
PROCESS_START = Family(
    "scoring_process_start_time_seconds", "Start, seconds since the epoch.", "gauge", ("service", "worker")
)
PROCESS_MEMORY = Family("scoring_process_resident_bytes", "Resident memory.", "gauge", ("service", "worker"))
SERIES_DROPPED = Family("scoring_metric_series_dropped", "Series that found no room.", "gauge", ("service", "worker"))

LOG_ROWS = Family("scoring_prediction_log_rows", "Rows made into messages of the log.", "counter", ("service",))
LOG_DROPPED = Family(
    "scoring_prediction_log_dropped_rows", "Rows that the log lost, and why.", "counter", ("service", "reason")
)
DROP_REASONS = ("memory", "spool_full", "spool_failed", "unencodable")
LOG_SPOOL_BYTES = Family(
    "scoring_prediction_log_spool_bytes", "Messages on disk that Redis has not taken.", "gauge", ("service",)
)
LOG_STREAM_BYTES = Family(
    "scoring_prediction_log_stream_bytes",
    "Messages in Redis that no consumer has written.",
    "gauge",
    ("service",),
    merge="max",
)
LOG_DAMAGED_BYTES = Family(
    "scoring_prediction_log_damaged_bytes", "Bytes of the spool that could not be read.", "counter", ("service",)
)
FEEDBACK_ROWS = Family("scoring_feedback_rows", "Feedback that was acknowledged.", "counter", ("service",))
FEEDBACK_REFUSED = Family(
    "scoring_feedback_refused_rows", "Feedback that could not be kept, answered 503.", "counter", ("service",)
)
FEEDBACK_JOURNAL_BYTES = Family(
    "scoring_feedback_journal_bytes", "Feedback on disk that Redis has not taken.", "gauge", ("service",)
)
FEEDBACK_WAITING_SINCE = Family(
    "scoring_feedback_waiting_since_seconds",
    "When a worker's journal was last empty, seconds since the epoch; 0 while it is.",
    "gauge",
    ("service", "worker"),
)
FEEDBACK_STREAM_BYTES = Family(
    "scoring_feedback_stream_bytes",
    "Feedback in Redis that no consumer has written.",
    "gauge",
    ("service",),
    merge="max",
)

SHADOW_ROWS = Family(
    "scoring_shadow_rows", "Rows scored by a challenger too.", "counter", ("model", "champion", "challenger")
)
SHADOW_AGREEING = Family(
    "scoring_shadow_agreeing_rows",
    "Of those, rows with the same decision; without decisions, within 1 %.",
    "counter",
    ("model", "champion", "challenger"),
)
SHADOW_DROPPED = Family(
    "scoring_shadow_dropped_rows", "Rows that the challenger was too busy for.", "counter", ("model",)
)
SHADOW_SECONDS = Family(
    "scoring_shadow_seconds", "A challenger's predict of a batch.", "histogram", ("model", "version"), _STAGE_BUCKETS
)
SHADOW_SHIFT = Family(
    "scoring_shadow_difference",
    "Sum of challenger - champion over the rows that both scored; over the rows it is the mean score shift.",
    "gauge",
    ("model", "champion", "challenger"),
)

FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))


def measures_in(ledger: Ledger) -> Measures:
    """Make the measures of a service over a ledger."""
    return Measures(ledger, FAMILIES)


class RequestTimes:
    """Request times of one service by route and status; their counts are the counts of requests."""

    def __init__(self, service: str, measures: Measures) -> None:
        self._service = service
        self._measures = measures
        self._series: dict[tuple[str, int], Distribution] = {}
        self._own = measures.cells(WORKER_REQUESTS, service, measures.worker)

    def expect(self, route: str, statuses: tuple[int, ...]) -> None:
        """Show zeros from the start: `increase` does not see a series' first value."""
        for status in statuses:
            self._open(route, status)

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        series = self._series.get((route, status)) or self._open(route, status)
        series.observe(seconds)
        self._own[0] += 1.0

    def _open(self, route: str, status: int) -> Distribution:
        series = self._measures.distribution(REQUEST_SECONDS, self._service, route, str(status))
        self._series[route, status] = series
        return series

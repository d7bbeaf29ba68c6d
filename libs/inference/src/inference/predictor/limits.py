"""Bounds of a predictor."""

from dataclasses import dataclass

__all__ = ["PredictorLimits"]


@dataclass(frozen=True, slots=True)
class PredictorLimits:
    """How work is cut and where it runs."""

    batch_rows: int = 512
    """A batch takes waiting calls up to so many rows; a call with more is large, and is scored in chunks of so many."""
    batches_in_flight: int = 4
    """Batches that may wait for the store at once; while all do, calls gather for the next."""
    large_calls: int = 2
    """Large calls that run at once; the others queue, and small calls pass them by."""
    chunks_in_flight: int = 2
    """Chunks of one large call: while one is predicted, the next is read."""
    inline_seconds: float = 200e-6
    """A predict that is estimated to take longer leaves the event loop for a thread."""
    threads: int = 2
    """Threads for small batches, and again as many for large calls."""

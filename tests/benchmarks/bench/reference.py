"""The booster's own predict, in a process of its own on the server's core."""

import contextlib
import sys
from collections.abc import Iterator

from bench.processes import Worker
from bench.stage import HARNESS, Stage

__all__ = ["booster", "predict_seconds"]


@contextlib.contextmanager
def booster(stage: Stage) -> Iterator[Worker]:
    """Run the reference process."""
    with Worker.running(
        "booster",
        [sys.executable, "-m", "bench.booster_worker", str(stage.data.model())],
        log=stage.home / "run" / "booster.log",
        cwd=stage.home,
        env={"PYTHONPATH": str(HARNESS)},
    ) as worker:
        yield worker


def predict_seconds(worker: Worker, rows: int, seconds: float) -> float:
    """Median seconds of one predict of so many rows."""
    return float(worker.ask({"rows": rows, "seconds": seconds})["p50"])

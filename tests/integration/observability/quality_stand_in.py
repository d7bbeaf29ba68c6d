"""A prediction log with outcomes, and its figures on a port: `python quality_stand_in.py <home> <port>`."""

import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from prometheus_client import REGISTRY, start_http_server

from inference.contract import OutputSpec
from inference.testing import tiny_model
from pipelines.monitoring import performance_collector
from pipelines.monitoring.performance import make_performance
from pipelines.monitoring.version_facts import VersionFacts

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "pipelines_monitoring"))

# After the path is set.
from log_files import moments, write_feedback, write_predictions

_ROWS = 300


def write_log(home: Path, until: datetime) -> None:
    """Four weeks of residency and hourly_rate; outcomes come after a week."""
    rng = np.random.default_rng(0)
    at = moments(until - timedelta(days=28), timedelta(days=28), _ROWS)
    probability, rate = rng.beta(1, 4, _ROWS), rng.uniform(3000, 8000, _ROWS)
    interval = {"lower": rate * 0.85, "upper": rate * 1.15, "coverage": np.full(_ROWS, 0.8)}
    outcomes = {
        "residency": (rng.random(_ROWS) < probability).astype(float),
        "hourly_rate": rate * np.exp(rng.normal(0, 0.11, _ROWS)),
    }
    arrivals = [moment + timedelta(days=7) for moment in at]
    known = [i for i, moment in enumerate(arrivals) if moment < until]
    ids = {
        "residency": write_predictions(home, "residency", at, probability),
        "hourly_rate": write_predictions(home, "hourly_rate", at, rate, output=interval),
    }
    for service, outcome in outcomes.items():
        arrived = [arrivals[i] for i in known]
        write_feedback(home, service, [ids[service][i] for i in known], outcome[known], arrived)


def main(home: Path, port: int) -> None:
    """Make the figures, then export them until asked to end."""
    until = datetime.now(UTC)
    write_log(home, until)
    output = OutputSpec(name="estimate", unit="JPY/hour", tables={"coverage": (0.8,)})
    naive = {"log_loss": 0.5, "mae": 1200.0}
    facts = VersionFacts(tiny_model(home / "model", output=output), importance={}, naive=naive, run_id="run")
    make_performance(home, lambda *_: facts, until)
    REGISTRY.register(performance_collector(home / "monitoring"))
    start_http_server(port, addr="127.0.0.1")
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

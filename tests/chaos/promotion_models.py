"""Model versions, people and jobs for the tests of promotion."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from inference import OutputSpec, read_contract
from inference.testing import tiny_model

NAME = "hourly_rate"
MATCHING = "recommendation"
PROJECT = "offers"
ON_DEMAND = "inference.testing:rate_per_year"
CANDIDATES = tuple(f"c{number:07}" for number in range(1, 401))
VIEWS: dict[str, Sequence[str]] = {
    "candidate_profile": ("role", "years_experience", "desired_rate_yen", "has_github"),
    "candidate_activity": ("commits_90d", "articles_90d"),
}
JOBS = tuple(f"j{number:07}" for number in range(1, 21))
JOB_VIEW = "job_profile"
JOB_COLUMNS = ("job_rate_max_yen", "job_skill_count")
TABLES: dict[str, tuple[float, ...]] = {
    "interval_edges": (8.4, 8.6),
    "interval_low_known": (-0.1, -0.2, -0.3),
    "interval_high_known": (0.1, 0.2, 0.3),
    "interval_low_anonymous": (-0.4, -0.4, -0.4),
    "interval_high_anonymous": (0.4, 0.4, 0.4),
    "coverage": (0.8,),
    "round_to": (1.0,),
}


def people() -> dict[tuple[str, ...], dict[str, object]]:
    """Feature rows of all candidates, the same in each process."""
    rng = np.random.default_rng(11)
    return {
        (candidate,): {
            "role": ("backend", "frontend", "designer", "product")[int(rng.integers(4))],
            "years_experience": float(rng.uniform(0, 60)),
            "desired_rate_yen": int(rng.integers(0, 100_000)),
            "has_github": int(rng.integers(2)),
            "commits_90d": int(rng.integers(100)),
            "articles_90d": int(rng.integers(100)),
        }
        for candidate in CANDIDATES
    }


def jobs() -> dict[str, dict[str, object]]:
    """Feature rows of all jobs, the same in each process."""
    rng = np.random.default_rng(12)
    return {job: {column: int(rng.integers(100)) for column in JOB_COLUMNS} for job in JOBS}


def version(
    directory: Path, *, trees: int = 12, centre: float = 8.5, without: str = "", on_demand: str = ON_DEMAND
) -> Path:
    """Train a version; versions of one centre give like answers.

    `without` leaves a table out; `on_demand` is the function of the feature that is computed on demand.
    """
    tables = {name: values for name, values in TABLES.items() if name != without}
    output = OutputSpec(name="estimate", unit="JPY/hour", tables=tables)
    tiny_model(directory, model=NAME, output=output, seed=1, trees=trees, centre=centre, on_demand=True)
    return _computing(directory, on_demand)


def matching_version(directory: Path, *, trees: int, on_demand: str = ON_DEMAND) -> Path:
    """Train a version of the model that ranks."""
    output = OutputSpec("score", "", {"calibration_x": (0.0, 1.0), "calibration_y": (0.0, 1.0)})
    pair = ("job_id", "candidate_id")
    tiny_model(directory, model=MATCHING, task="binary", entities=pair, output=output, trees=trees, on_demand=True)
    return _computing(directory, on_demand)


def _computing(directory: Path, function: str) -> Path:
    """Let a version compute its on-demand feature by another function."""
    path = directory / "contract.json"
    contract = read_contract(path.read_bytes())
    (view,) = contract.on_demand
    view = msgspec.structs.replace(view, function=function)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(contract, on_demand=(view,))))
    return directory

"""Model versions and people for the tests of promotion; both the service process and the test know them."""

from pathlib import Path

import numpy as np

from inference import Contract, FeatureReader, OutputSpec
from inference.testing import InMemoryFeatureReader, tiny_features, tiny_model

NAME = "hourly_rate"
CANDIDATES = tuple(f"c{number:07}" for number in range(1, 401))
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


def version(directory: Path, *, trees: int = 12, centre: float = 8.5, without: str = "") -> Path:
    """Train a version; versions of one centre give like answers. `without` leaves a table out."""
    tables = {name: values for name, values in TABLES.items() if name != without}
    output = OutputSpec(name="estimate", unit="JPY/hour", tables=tables)
    tiny_model(directory, model=NAME, output=output, seed=1, trees=trees, centre=centre)
    return directory


async def open_reader(contract: Contract) -> FeatureReader:
    """A store whose schemas do not follow the contract: it knows the features of the first versions."""
    reader = InMemoryFeatureReader(contract, people())
    known = {feature.reference for feature in tiny_features()}
    for name, view in list(reader.schemas_now.items()):
        for column in list(view.columns):
            if f"{name}:{column}" not in known:
                del view.columns[column]  # type: ignore[attr-defined]  # the fake's own dict
    return reader
